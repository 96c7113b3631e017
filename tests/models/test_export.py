"""Every model can be exported, with any batch size."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import Dim, export

from models import BaseModel
from tests.models.test_base import MODELS, smallest

# fewer layers of a kind: the export takes longer with each
FEW = {
    "CNN1D": {"num_layers": 2},
    "ResidualMLP": {"num_layers": 2},
    "TCN": {"num_blocks": 2},
    "Transformer": {"num_layers": 1},
}


@pytest.mark.parametrize("model_class", MODELS)
def test_exported_program_and_onnx_file_give_the_same_outputs(model_class: type[BaseModel], tmp_path: Path) -> None:
    model = smallest(model_class, **FEW.get(model_class.__name__, {})).eval().requires_grad_(False)
    example, inputs = (torch.randn(size, *model.hparams["input_shape"]) for size in (2, 3))
    program = export(model, (example,), dynamic_shapes=({0: Dim.DYNAMIC},))
    torch.testing.assert_close(program.module()(inputs), model(inputs), rtol=1e-4, atol=1e-5)
    pytest.importorskip("onnxscript", reason="pip install --editable '.[onnx]' adds it")
    runtime: Any = pytest.importorskip("onnxruntime", reason="pip install --editable '.[onnx]' adds it")
    path = tmp_path / "model.onnx"
    torch.onnx.export(program, f=path, dynamo=True, verbose=False)
    session = runtime.InferenceSession(path)
    (outputs,) = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
    torch.testing.assert_close(torch.from_numpy(outputs), model(inputs), rtol=1e-3, atol=1e-4)
