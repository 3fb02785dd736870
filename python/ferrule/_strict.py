# SPDX-License-Identifier: Apache-2.0
"""Keywords that are misspelled, and the classes' and functions' place: what help() and tracebacks show."""

from __future__ import annotations

import functools
from typing import Any, Callable, Iterable, TypeVar

__all__ = ["refuse_misspelled", "strict"]

Function = TypeVar("Function", bound=Callable[..., Any])


def strict(function: Function) -> Function:
    """Refuses keywords that the function does not have, with the one that may have been meant. Says "ferrule" where
    it is from."""
    code = function.__code__
    names = frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if not names.issuperset(keywords):
            raise _unexpected(function.__name__, names, next(name for name in keywords if name not in names))
        return function(*arguments, **keywords)

    call.__module__ = "ferrule"
    return call  # type: ignore[return-value]


def refuse_misspelled(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """For functions that take further keywords: refuses those that are nearly one that they know."""
    import difflib

    names = sorted(known)
    for name in given:
        meant = difflib.get_close_matches(name, names, 1, 0.8)
        if meant and name not in names:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}; did you mean {meant[0]!r}?")


def _unexpected(function: str, names: frozenset[str], name: str) -> TypeError:
    import difflib

    meant = difflib.get_close_matches(name, sorted(names), 1, 0.7)
    hint = f"; did you mean {meant[0]!r}?" if meant else ""
    return TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
