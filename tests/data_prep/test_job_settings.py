"""The arguments of a job: Hydra's schema follows from their declaration, and values get the declared types."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from data_prep.job_settings import make_schema, read_settings


@dataclass(frozen=True)
class Group:
    share: float
    file: Path | None


@dataclass(frozen=True, kw_only=True)
class Base:
    model: Path


@dataclass(frozen=True, kw_only=True)
class Declared(Base):
    name: str
    title: str | None
    switch: bool | None
    count: int
    channel: int | str | None
    held_out: float | Path | None
    widths: list[int]
    files: list[Path]
    inputs: str | list[str] | None
    shares: dict[str, float] | None
    more: dict[str, Any]
    group: Group


GIVEN = {
    **{"model": "a.nemo", "name": "x", "title": None, "switch": None, "count": 1, "channel": 0, "held_out": None},
    **{"widths": [1, 2], "files": "a.txt", "inputs": None, "shares": None, "more": {}},
    "group": {"share": 1, "file": None},
}


def read(**changes: Any) -> Declared:
    """Check and convert as a job does."""
    cfg = OmegaConf.merge(OmegaConf.structured(make_schema(Declared)), GIVEN, changes)
    return read_settings(Declared, OmegaConf.to_container(cfg))


def test_values_have_the_declared_types():
    assert read() == Declared(
        **{"model": Path("a.nemo"), "name": "x", "title": None, "switch": None, "count": 1, "channel": 0},
        **{"held_out": None, "widths": [1, 2], "files": [Path("a.txt")], "inputs": None, "shares": None, "more": {}},
        group=Group(1.0, None),
    )


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("model", 2024, Path("2024")),
        ("name", 2024, "2024"),
        ("switch", "yes", True),
        ("channel", "average", "average"),
        ("held_out", 0.1, 0.1),
        ("held_out", "dev.txt", Path("dev.txt")),
        ("held_out", "", None),
        ("widths", 8, [8]),
        ("files", "", []),
        ("files", [2024, "b"], [Path("2024"), Path("b")]),
        ("inputs", "a.wav", "a.wav"),
        ("inputs", ["a.wav", 7], ["a.wav", "7"]),
        ("shares", {"dev": 1}, {"dev": 1}),
        ("more", {"beam": {"size": 4}}, {"beam": {"size": 4}}),
        ("group", {"share": 2, "file": "x"}, Group(2.0, Path("x"))),
    ],
)
def test_a_value_gets_the_type_of_its_key(key: str, given: Any, expected: Any):
    assert getattr(read(**{key: given}), key) == expected


@pytest.mark.parametrize(
    ("key", "given"),
    [
        *(("model", None), ("model", True), ("name", 1.5), ("switch", "maybe"), ("count", "many"), ("count", 1.5)),
        *(("held_out", True), ("more", 3), ("group", {"share": "half"}), ("group", {"part": 1})),
    ],
)
def test_hydra_refuses_a_value_of_another_type(key: str, given: Any):
    with pytest.raises(OmegaConfBaseException):
        read(**{key: given})


def test_hydra_refuses_an_unknown_key():
    with pytest.raises(ConfigKeyError, match="no_such_key"):
        read(no_such_key=1)


@pytest.mark.parametrize(
    ("key", "given", "message"),
    [
        ("widths", ["wide"], "widths=wide: expected a whole number"),
        ("widths", [True], "widths=True: expected a whole number"),
        ("files", [1.5], "files=1.5: expected a text; quote it"),
        ("inputs", "", "inputs=: expected a text; quote it"),
        ("model", "", "model=: expected a text; quote it"),
        ("shares", {"dev": "most"}, "shares.dev=most: expected a number"),
        ("shares", 3, "shares=3: expected names with values"),
    ],
)
def test_other_items_of_lists_and_dicts_are_refused_in_one_line(key: str, given: Any, message: str):
    with pytest.raises(ValueError, match=f"^{message}"):
        read(**{key: given})


def test_an_argument_that_is_not_given_has_the_declared_default():
    @dataclass(frozen=True)
    class WithDefault:
        seed: int = 3

    assert read_settings(WithDefault, {"other": 1}) == WithDefault(3)
