"""The digits of MNIST, its variants and its subset."""

from pathlib import Path

import pytest
import torch

from datamodules import MNIST

RAW = MNIST().raw  # the folder of MNIST, if this machine has it


def test_classes_are_named_as_the_authors_name_them() -> None:
    """Source: the tables of labels on the data sets' own pages."""
    garments = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"]
    assert MNIST().classes == list("0123456789")
    assert MNIST("fashion").classes == [*garments, "Ankle boot"]
    assert MNIST("kmnist").classes == ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


def test_subset_is_split_by_class_without_overlap() -> None:
    datamodule = MNIST(source="subset")
    datamodule.setup()
    sizes = {name: targets.bincount().tolist() for name, (_, targets) in datamodule.splits.items()}
    assert sizes == {"train": [400] * 10, "val": [50] * 10, "test": [50] * 10}
    images = torch.cat([inputs.flatten(1) for inputs, _ in datamodule.splits.values()])
    assert len(images.unique(dim=0)) == 5000


@pytest.mark.skipif(bool(MNIST().missing_files()), reason=f"no MNIST files in {RAW}")
def test_full_data_is_split_by_class_and_normalised() -> None:
    datamodule = MNIST()
    datamodule.setup()
    assert {name: len(targets) for name, (_, targets) in datamodule.splits.items()} == {
        "train": 55_000,
        "val": 5_000,
        "test": 10_000,
    }
    inputs, targets = datamodule.splits["train"]
    difference = targets.bincount() / 55_000 - datamodule.splits["val"][1].bincount() / 5_000
    assert difference.abs().max() < 0.0005
    assert inputs.mean().item() == pytest.approx(0.0, abs=0.01)
    assert inputs.std().item() == pytest.approx(1.0, abs=0.01)


def test_data_folder_is_data_dir_or_the_environment_or_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATA_DIR", "~/environment")
    assert MNIST(data_dir="/given").raw == Path("/given/MNIST/raw")
    assert MNIST(data_dir="~/given").raw == tmp_path / "home" / "given" / "MNIST" / "raw"
    assert MNIST().raw == tmp_path / "home" / "environment" / "MNIST" / "raw"
    monkeypatch.delenv("DATA_DIR")
    monkeypatch.chdir(tmp_path)
    assert MNIST().raw == tmp_path / "data" / "MNIST" / "raw"


def test_data_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.touch()
    with pytest.raises(ValueError, match=f"data_dir={file} is a file; use the folder that contains MNIST/raw"):
        MNIST(data_dir=str(file))


@pytest.mark.parametrize("title", ["MNIST", "FashionMNIST"])
def test_checkpoint_of_other_data_is_refused(title: str) -> None:
    subset = MNIST(source="subset")
    subset.load_state_dict(subset.state_dict())
    with pytest.raises(ValueError, match=f"was made with title={title}, not title=MNIST-5k; use the data of"):
        subset.load_state_dict({"title": title})
