import math

import pytest
from omegaconf import OmegaConf

from data_prep.arguments import list_values, require_choice, require_int, require_number


@pytest.mark.parametrize("value", [0, 7, 10**30])
def test_whole_numbers_pass(value: object):
    require_int("n", value)


@pytest.mark.parametrize("value", [-1, True, 1.0, "1", None, math.nan])
def test_anything_but_a_whole_number_is_named(value: object):
    with pytest.raises(ValueError, match=r"^n=.*: expected a whole number, 0 or more$"):
        require_int("n", value)


def test_null_passes_only_where_it_is_allowed():
    require_int("n", None, optional=True)
    require_number("x", None, optional=True)
    require_choice("c", None, ("a",), optional=True)
    with pytest.raises(ValueError, match="n=x: expected a whole number, 1 or more, or null"):
        require_int("n", "x", least=1, optional=True)
    with pytest.raises(ValueError, match="x=None: expected a number"):
        require_number("x", None)


@pytest.mark.parametrize(("value", "good"), [(0.5, True), (1, True), (0, False), (1.5, False), (math.inf, False)])
def test_numbers_are_held_to_their_bounds(value: float, good: bool):
    if good:
        require_number("x", value, above=0, most=1)
        return
    with pytest.raises(ValueError, match=r"x=.*: expected a number, above 0, 1 or less$"):
        require_number("x", value, above=0, most=1)


def test_a_choice_lists_the_others():
    require_choice("format", "a", ("a", "b"))
    with pytest.raises(ValueError, match=r"^format=c: expected one of a, b$"):
        require_choice("format", "c", ("a", "b"))


@pytest.mark.parametrize(
    ("value", "items"),
    [("sita", ["sita"]), (7, [7]), (["a", "b"], ["a", "b"]), (("a",), ["a"]), (None, []), ("", []), ([], [])],
)
def test_one_value_is_a_list_of_one(value: object, items: list):
    assert list_values(value) == items


def test_lists_of_hydra_are_lists():
    assert list_values(OmegaConf.create(["a", "b"])) == ["a", "b"]
