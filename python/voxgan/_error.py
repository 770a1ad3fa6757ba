"""The exception of the library."""

from __future__ import annotations

import re

_FLAG = re.compile(r"--([a-z0-9]+(?:-[a-z0-9]+)*)")


def _as_keyword(text: str) -> str:
    """A text whose options of the command line are written as keywords: ``--keep-spacing`` is ``keep_spacing``."""
    return _FLAG.sub(lambda flag: flag[1].replace("-", "_"), text)


class Error(Exception):
    """An error of files, arguments, devices or data, which says what to do next.

    Attributes
    ----------
    kind : str
        ``io`` (the operating system refused), ``file`` (content that is wrong), ``value`` (an argument), ``device``,
        ``check`` (a check that failed), ``incomplete`` (some of several inputs failed), ``training``, ``cancelled``
        or ``other``.
    path : str or None
        The file or folder.
    field : str or None
        The part of the file, the argument, or what was attempted.
    expected : str or None
        What was expected.
    found : str or None
        What was found.
    advice : str or None
        What to do next.
    """

    def __init__(
        self,
        message: str,
        kind: str = "other",
        *,
        path: str | None = None,
        field: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(_as_keyword(message))
        self.kind = kind
        self.path = path
        self.field = None if field is None else _as_keyword(field)
        self.expected = None if expected is None else _as_keyword(expected)
        self.found = found
        self.advice = None if advice is None else _as_keyword(advice)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (str(self), self.kind), self.__dict__)
