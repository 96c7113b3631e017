from typing import Any

import pytest

from datamodules import MNIST, MNIST1D, AddingProblem, BaseDataModule, SequenceMNIST


@pytest.mark.parametrize(
    ("data_class", "option", "value"),
    [
        (AddingProblem, "marks", "half"),
        (MNIST, "variant", "letters"),
        (MNIST1D, "form", "step"),
        (SequenceMNIST, "order", "permute"),
        (SequenceMNIST, "variant", "letters"),
    ],
)
def test_a_choice_that_python_misspells_is_refused(data_class: type[BaseDataModule], option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{option}='{value}' is none of .*; type another --data.{option}"):
        data_class(**{option: value})
