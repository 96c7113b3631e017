"""Curves, progress, predictions and inspection of a run."""

from callbacks.activation_stats import ActivationStats
from callbacks.attention import AttentionMaps
from callbacks.curves import BroadcastBuffers, EpochCurves, StepCurves
from callbacks.decision_boundary import DecisionBoundary
from callbacks.embedding import Embedding
from callbacks.feature_maps import FeatureMaps
from callbacks.features import Features
from callbacks.filters import Filters
from callbacks.forecasts import Forecasts
from callbacks.gates import Gates
from callbacks.gradient_flow import GradientFlow
from callbacks.history import History
from callbacks.loss_surface import LossSurface
from callbacks.mistakes import Mistakes
from callbacks.model_graph import ModelGraph
from callbacks.predictions import Predictions
from callbacks.text_samples import TextSamples

__all__ = [
    "ActivationStats",
    "AttentionMaps",
    "BroadcastBuffers",
    "DecisionBoundary",
    "Embedding",
    "EpochCurves",
    "FeatureMaps",
    "Features",
    "Filters",
    "Forecasts",
    "Gates",
    "GradientFlow",
    "History",
    "LossSurface",
    "Mistakes",
    "ModelGraph",
    "Predictions",
    "StepCurves",
    "TextSamples",
]
