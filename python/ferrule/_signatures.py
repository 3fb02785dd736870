# SPDX-License-Identifier: Apache-2.0
"""inspect.signature() of native functions, from the line that nanobind keeps for stubs."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["signature_of"]


def signature_of(function: Any) -> inspect.Signature:
    """Raises AttributeError if it is not known, so that inspect says what it says of others."""
    overloads = getattr(function, "__nb_signature__", None)
    if not overloads:
        raise AttributeError("__signature__")
    line, _, defaults = overloads[0]
    for number, default in enumerate(defaults or ()):
        line = line.replace(f"\\{number}", repr(default))
    names: dict[str, Any] = {}
    try:
        exec(f"from __future__ import annotations\n{line}: ...", names)
    except SyntaxError:
        raise AttributeError("__signature__") from None
    made = inspect.signature(next(value for name, value in names.items() if inspect.isfunction(value)))
    if getattr(function, "__self__", None) is not None:
        made = made.replace(parameters=list(made.parameters.values())[1:])
    return made
