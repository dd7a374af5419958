"""Checks of arguments that every job shares: one place for the rule, one form for the message."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

MOST_NAMED = 4  # items that a message lists


def is_int(value: Any) -> bool:
    """Whether a value is a whole number; `True` and `False` are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; `True` and `False` are not."""
    return is_int(value) or (isinstance(value, float) and math.isfinite(value))


def require_int(key: str, value: Any, least: int = 0, optional: bool = False, most: float = math.inf) -> None:
    """Check that an argument is a whole number.

    Args:
        key: The argument's name, for the message.
        value: What was given.
        least: The smallest number allowed.
        optional: Whether `None` is allowed.
        most: The largest number allowed.

    Raises:
        ValueError: The value is anything else.
    """
    if not (optional and value is None) and not (is_int(value) and least <= value <= most):
        allowed = f"{least} or more" if most == math.inf else f"{least} to {most}"
        raise ValueError(f"{key}={value}: expected a whole number, {allowed}{_or_null(optional)}")


def require_number(
    key: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    optional: bool = False,
) -> None:
    """Check that an argument is a finite number within bounds.

    Args:
        key: The argument's name, for the message.
        value: What was given.
        least: The smallest number allowed.
        most: The largest number allowed.
        above: A bound that the number itself must exceed.
        optional: Whether `None` is allowed.

    Raises:
        ValueError: The value is anything else.
    """
    if (optional and value is None) or (is_number(value) and least <= value <= most and value > above):
        return
    bounds = [f"above {above:g}"] if above > -math.inf else []
    bounds += [f"{least:g} or more"] if least > -math.inf else []
    bounds += [f"{most:g} or less"] if most < math.inf else []
    raise ValueError(f"{key}={value}: expected {', '.join(['a number', *bounds])}{_or_null(optional)}")


def require_choice(key: str, value: Any, choices: Collection[Any], optional: bool = False) -> None:
    """Check that an argument is one of the values allowed.

    Args:
        key: The argument's name, for the message.
        value: What was given.
        choices: The values allowed, in the order in which the message lists them.
        optional: Whether `None` is allowed.

    Raises:
        ValueError: The value is anything else.
    """
    if not (optional and value is None) and value not in choices:
        raise ValueError(f"{key}={value}: expected one of {', '.join(map(str, choices))}{_or_null(optional)}")


def list_values(value: Any) -> list[Any]:
    """Return the items of an argument that takes one value or several.

    Args:
        value: A list, or a single text, number or path, which is a list of one; `None` and an empty text are an empty
            list.
    """
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)


def name_some(names: Sequence[str], separator: str = ", ") -> str:
    """Join names for a message: the first ones, and how many more there are."""
    more = f"{separator}and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return separator.join(names[:MOST_NAMED]) + more


def _or_null(optional: bool) -> str:
    return ", or null" if optional else ""
