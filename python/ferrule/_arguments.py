# SPDX-License-Identifier: Apache-2.0
"""Arguments of the verbs: each function raises TypeError or InvalidArgumentError (a ValueError) that names the argument."""

from __future__ import annotations

import os
from typing import Any, Literal, Mapping, Union

from . import _pending
from ._errors import InvalidArgumentError

__all__ = ["Backing", "Durability", "StrPath", "flag", "is_path", "numbers", "optional", "paths_of", "positive", "real", "wait",
           "whole", "words", "wrong_type"]

StrPath = Union[str, "os.PathLike[str]"]
Durability = Literal["fast", "safe", "full"]
Backing = Literal["map", "copy"]


def wrong_type(argument: str, expected: str, value: object) -> TypeError:
    return TypeError(f"{argument}: expected {expected}, found {type(value).__name__}")


def is_path(value: object) -> bool:
    return isinstance(value, (str, bytes, os.PathLike))


def wait(path: Any) -> None:
    """For pending saves into that path."""
    if is_path(path):
        _pending.wait_for(path)


def words(values: Any, argument: str) -> list[str]:
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise wrong_type(argument, "a list of str", values)
    found = list(values)
    for value in found:
        if not isinstance(value, str):
            raise wrong_type(argument, "a list of str", value)
    return found


def flag(value: Any, argument: str) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(argument, "bool", value)
    return value


def whole(value: Any, argument: str, least: int = 0) -> int:
    """A count. numpy's integers are taken too."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong_type(argument, "int", value)
    number = value.__index__()
    if not least <= number < 1 << 64:
        raise InvalidArgumentError(f"{argument}: expected an int of {least} or more, found {number}")
    return number


def positive(value: Any, argument: str) -> int:
    return whole(value, argument, 1)


def real(value: Any, argument: str) -> float:
    if isinstance(value, (bool, str, bytes)) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise wrong_type(argument, "float", value)
    return float(value)


def optional(of: Any, value: Any, argument: str) -> Any:
    """None, or what `of` makes of it."""
    return None if value is None else of(value, argument)


def numbers(values: Any, argument: str) -> list[float]:
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__"):
        raise wrong_type(argument, "a list of float", values)
    return [real(value, argument) for value in values]


def paths_of(paths: Any, argument: str = "path") -> list[Any]:
    """A path, or one or more: a pattern that matched nothing must not pass as good. Waits for pending saves into them."""
    if is_path(paths):
        paths = [paths]
    elif isinstance(paths, Mapping) or not hasattr(paths, "__iter__"):
        raise wrong_type(argument, "str or os.PathLike", paths)
    found = list(paths)
    if not found:
        raise InvalidArgumentError(f"{argument}: expected one or more, found none")
    for path in found:
        if not is_path(path):
            raise wrong_type(argument, "str or os.PathLike", path)
        wait(path)
    return found
