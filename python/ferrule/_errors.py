# SPDX-License-Identifier: Apache-2.0
"""The exceptions."""

from __future__ import annotations

import errno as _errno
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CorruptError",
    "Error",
    "InvalidArgumentError",
    "IoError",
    "LimitExceededError",
    "NetworkError",
    "NotFoundError",
    "PermissionDeniedError",
    "SafetensorError",
    "UnsupportedError",
    "WrongTypeError",
]


class Error(Exception):
    """Why an operation did not happen. ``str()`` gives "path: [rule] message".

    Each code has a subclass, which is also a subclass of the exception that Python itself would raise.
    """

    #: "invalid_argument", "not_found", "io", "corrupt", "unsupported" or "limit_exceeded".
    code: str = "invalid_argument"
    #: The rule that was broken, as numbered in docs/rules ("ST-7"); empty if no rule applies.
    rule: str
    #: One sentence: what was expected, what was found.
    message: str
    #: The file or directory it concerns; may be empty.
    path: str
    #: errno of the failed call, or 0.
    errno: int
    #: The kind of failure (``kind`` in ``ferrule push --json``): "network", "gated", "adapter" ...
    kind: str
    #: The status of the HTTP answer that refused; None if no server was asked or none answered.
    status: int | None
    #: The server's name for that request, to quote when asking its owners.
    request_id: str | None

    def __init__(self, message: str = "", rule: str = "", path: str = "", errno: int = 0, text: str | None = None,
                 kind: str = "", status: int | None = None, request_id: str | None = None) -> None:
        self.args = (message,)
        self.message = message
        self.rule = rule
        self.path = path
        self.errno = errno
        self.kind = kind
        self.status = status
        self.request_id = request_id
        self._text = text
        if isinstance(self, OSError):
            self.strerror = message
            self.filename = path or None

    def __str__(self) -> str:
        if self._text is not None:
            return self._text
        return (f"{self.path}: " if self.path else "") + (f"[{self.rule}] " if self.rule else "") + self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.rule, self.path, self.errno, self._text, self.kind, self.status,
                            self.request_id)


class InvalidArgumentError(Error, ValueError):
    """The request is not valid: correct the call."""

    code = "invalid_argument"


class WrongTypeError(InvalidArgumentError, TypeError):
    """A field of a config, given in a call, has the wrong type (CF-8)."""


class NotFoundError(Error, FileNotFoundError):
    """The named file, directory, adapter, repository or revision does not exist."""

    code = "not_found"


class IoError(Error, OSError):
    """The operating system or a server refused; ``errno`` or ``status`` gives the reason. Trying again may help."""

    code = "io"


class PermissionDeniedError(IoError, PermissionError):
    """The operating system or the Hub refused because permission is missing."""


class NetworkError(IoError, ConnectionError):
    """No answer came (HB-3), or no request is made because of offline mode (HB-2)."""


class CorruptError(Error, ValueError):
    """The data break a rule of their format. Trying again will not help."""

    code = "corrupt"


class UnsupportedError(Error, ValueError):
    """The data are in a format, or use a feature, that Ferrule does not handle."""

    code = "unsupported"


class LimitExceededError(Error, ValueError):
    """The data ask for more memory or time than the limits in force allow."""

    code = "limit_exceeded"


class SafetensorError(Error):
    """What safetensors' functions raise, with Ferrule's reasons if there are any."""

    @classmethod
    def of(cls, prefix: str, error: Error) -> SafetensorError:
        """The same failure, as safetensors words it."""
        made = cls(error.message, error.rule, error.path, error.errno, f"{prefix}{error}")
        made.code = error.code
        return made


_BY_CODE: dict[str, type[Error]] = {
    kind.code: kind
    for kind in (InvalidArgumentError, NotFoundError, IoError, CorruptError, UnsupportedError, LimitExceededError)
}


#: Kinds of failure for which Python has a more exact exception than that of their code.
_BY_KIND: dict[str, type[Error]] = {
    "offline": NetworkError,
    "network": NetworkError,
    "authentication": PermissionDeniedError,
    "gated": PermissionDeniedError,
    "forbidden": PermissionDeniedError,
}


def error_of(code: str, rule: str, message: str, path: str, errno: int, text: str, kind: str, status: int | None,
             request_id: str | None) -> Error:
    """The exception of that code; the native half raises through here."""
    made = _BY_KIND.get(kind, _BY_CODE[code])
    if made is InvalidArgumentError and rule == "CF-8":
        made = WrongTypeError
    if made is IoError and errno in (_errno.EACCES, _errno.EPERM):
        made = PermissionDeniedError
    if made is NotFoundError and errno == 0:
        errno = _errno.ENOENT
    return made(message, rule, path, errno, text, kind, status, request_id)


for _class in (Error, *_BY_CODE.values(), WrongTypeError, PermissionDeniedError, NetworkError, SafetensorError):
    _class.__module__ = "ferrule"
