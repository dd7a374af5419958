"""The arguments of a job, declared once: a dataclass with their types, from which Hydra's schema follows.

A declaration may use `bool`, `int`, `float`, `str`, `Path`, lists and dicts of these, unions, and further dataclasses
for groups of arguments. This module imports nothing large, for it is loaded before `--help`.
"""

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass, make_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from data_prep.arguments import is_int, is_number, list_values

Settings = TypeVar("Settings")
TEXTS = {str, Path}
MISSING = "???"  # OmegaConf's mark of a value that must be given


def make_schema(declared: type) -> type:
    """Make the dataclass that Hydra checks a job's arguments against; the YAML has the defaults.

    Hydra checks single values and groups. It takes a whole number where a text is declared, because a name such as 2024
    is a number for it. `read_settings` checks lists, and dicts that may be `None`.

    Args:
        declared: A dataclass.
    """
    schema: dict[str, Any] = {name: _schema_type(kind) for name, kind in get_type_hints(declared).items()}
    members: list[tuple[str, Any, Any]] = [
        (
            name,
            kind,
            field(default_factory=kind) if isinstance(kind, type) and is_dataclass(kind) else field(default=MISSING),
        )
        for name, kind in schema.items()
    ]
    return make_dataclass(declared.__name__, members)


def read_settings(declared: type[Settings], arguments: Mapping[str, Any], group: str = "") -> Settings:
    """Make settings of a job's arguments, which Hydra has checked against `make_schema(declared)`.

    Args:
        declared: A dataclass.
        arguments: Plain containers. Further arguments are ignored; a missing one has the dataclass' default.
        group: Name of the group that they are in, with a dot behind it, for messages.

    Returns:
        Settings whose values have the declared types.

    Raises:
        ValueError: A list holds anything else than declared, or a value is out of range.
    """
    kinds = get_type_hints(declared)
    names = [one.name for one in fields(declared) if one.name in arguments]  # type: ignore[arg-type]
    return declared(**{name: _convert(f"{group}{name}", arguments[name], kinds[name]) for name in names})


def _members(kind: Any) -> tuple[set[Any], bool]:
    """Return the types of a union, without `None`, and whether `None` is one of them."""
    kinds = set(get_args(kind)) if get_origin(kind) in (Union, UnionType) else {kind}
    return kinds - {NoneType}, NoneType in kinds


def _schema_type(kind: Any) -> Any:
    """Return the type that Hydra checks a value against."""
    kinds, optional = _members(kind)
    origins = {get_origin(one) or one for one in kinds}
    if origins & {list, Any} or (dict in origins and optional):  # Hydra fails on an override of a null dict
        return Any
    if any(map(is_dataclass, kinds)):
        return make_schema(*kinds)
    if dict in origins:
        return dict[str, Any]
    scalars = (kinds - TEXTS) | {int, str} if kinds & TEXTS else kinds
    schema: Any = Union[tuple(sorted(scalars, key=repr))]  # noqa: UP007  known at run time only
    return schema | None if optional else schema


def _convert(key: str, value: Any, kind: Any) -> Any:
    kinds, optional = _members(kind)
    if value is None and optional:
        return None
    if any(map(is_dataclass, kinds)):
        (declared,) = kinds
        return read_settings(declared, value, f"{key}.")
    members = {get_origin(one): get_args(one) for one in kinds}
    if dict in members:
        if not isinstance(value, Mapping):
            raise ValueError(f"{key}={value}: expected names with values, such as '{key}={{name: value}}'")
        return {str(name): _convert_item(f"{key}.{name}", each, members[dict][1]) for name, each in value.items()}
    if list in members:
        (item,) = members[list]
        if isinstance(value, list) or len(kinds) == 1:
            return [_convert_item(key, each, item) for each in list_values(value)]
        return _convert_item(key, value, item)  # a declaration such as `str | list[str]`
    if not kinds & TEXTS or (is_int(value) and int in kinds) or (is_number(value) and float in kinds):
        return value
    if str in kinds:
        return str(value)
    return None if value == "" and optional else Path(_require_text(key, value))


def _convert_item(key: str, value: Any, kind: Any) -> Any:
    """Convert one of the values of a list or dict, whose types Hydra does not check."""
    if kind in TEXTS:
        return kind(_require_text(key, value))
    if kind is int and not is_int(value):
        raise ValueError(f"{key}={value}: expected a whole number")
    if kind is float and not is_number(value):
        raise ValueError(f"{key}={value}: expected a number")
    return value


def _require_text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str | Path) or value == "":
        raise ValueError(f"{key}={value}: expected a text; quote it: '{key}=\"{value}\"'")
    return str(value)
