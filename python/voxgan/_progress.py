"""Progress of a job: a bar of tqdm, or a callable."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias, Union

from ._types import Tell


@dataclass(frozen=True)
class Event:
    """What a job tells.

    Attributes
    ----------
    kind : {"done", "step", "wrote", "note", "failed"}
        Some of several items are done; a step of an iteration is; a file was written; a note; one of several inputs
        failed, and the job goes on.
    text : str
        The items, the file, or the note.
    done, of : int
        How many are done, of how many; zeros where nothing is counted.
    seconds_left : float or None
        The time that is left, where it is known.
    numbers : mapping
        Measures of a step by name, such as losses.
    """

    kind: Literal["done", "step", "wrote", "note", "failed"]
    text: str
    done: int
    of: int
    seconds_left: float | None
    numbers: Mapping[str, float]


Progress: TypeAlias = Union[bool, None, Callable[[Event], object]]
"""None for a bar where somebody looks and tqdm is installed, True or False for one in any case or none, or a callable
that is given each :class:`Event`; an exception of it ends the job and passes through."""


@contextmanager
def listening(progress: Progress, name: str) -> Iterator[Tell | None]:
    """What the native module tells the progress of the job ``name``."""
    if callable(progress):
        heard = progress
        yield lambda *event: heard(Event(*event))
        return
    if progress is False or (progress is None and not _somebody_looks()):
        yield None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress is True:
            raise
        yield None
        return
    with tqdm(desc=name, leave=False) as bar:

        def show(kind: str, text: str, done: int, of: int, left: float | None, numbers: Mapping[str, float]) -> None:
            if of:
                bar.total = of
                bar.update(done - bar.n)
                shown = list(numbers.items())[:4]
                # The end is drawn however quick it was.
                bar.set_postfix({key: f"{number:.4g}" for key, number in shown}, refresh=done == of)
            elif kind == "failed":
                bar.write(text)

        yield show


def _somebody_looks() -> bool:
    return "ipykernel" in sys.modules or sys.stderr.isatty()
