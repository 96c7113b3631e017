"""Every model can be exported, with any batch size."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import Dim, export

from models import BaseModel
from tests.models.test_base import MODELS, smallest

every_model = pytest.mark.parametrize("model_class", MODELS)


@every_model
def test_exported_program_gives_the_same_outputs(model_class: type[BaseModel]) -> None:
    model = smallest(model_class).eval().requires_grad_(False)
    inputs = torch.randn(3, *model.hparams["input_shape"])
    program = export(model, (torch.randn(2, *inputs.shape[1:]),), dynamic_shapes=({0: Dim.DYNAMIC},))
    torch.testing.assert_close(program.module()(inputs), model(inputs), rtol=1e-4, atol=1e-5)


@every_model
def test_onnx_file_gives_the_same_outputs(model_class: type[BaseModel], tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="pip install --editable '.[onnx]' adds it")
    runtime: Any = pytest.importorskip("onnxruntime", reason="pip install --editable '.[onnx]' adds it")
    model = smallest(model_class).eval().requires_grad_(False)
    example, inputs = (torch.randn(size, *model.hparams["input_shape"]) for size in (2, 3))
    path = tmp_path / "model.onnx"
    torch.onnx.export(model, (example,), path, dynamo=True, dynamic_shapes=({0: Dim.DYNAMIC},), verbose=False)
    session = runtime.InferenceSession(path)
    (outputs,) = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
    torch.testing.assert_close(torch.from_numpy(outputs), model(inputs), rtol=1e-3, atol=1e-4)
