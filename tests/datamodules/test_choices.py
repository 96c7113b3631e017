from inspect import signature
from typing import Literal, get_origin

import pytest

import datamodules

CHOICES = [
    (name, option)
    for name in sorted(set(datamodules.__all__) - {"BaseDataModule"})
    for option, parameter in signature(getattr(datamodules, name), eval_str=True).parameters.items()
    if get_origin(parameter.annotation) is Literal
]


@pytest.mark.parametrize(("name", "option"), CHOICES)
def test_misspelt_choice_is_refused(name: str, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}='misspelt' must be one of "):
        getattr(datamodules, name)(**{option: "misspelt"})
