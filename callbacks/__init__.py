"""What a run shows and records beyond its curves."""

from callbacks.history import History
from callbacks.model_graph import ModelGraph
from callbacks.predictions import Predictions
from callbacks.progress import Progress

__all__ = ["History", "ModelGraph", "Predictions", "Progress"]
