"""Options of jobs as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Union

import numpy as np

Paths: TypeAlias = Union[str, "os.PathLike[str]", Sequence[Union[str, "os.PathLike[str]"]]]
"""A path, or several."""


def plain(value: Any) -> Any:
    """A value without types of numpy, paths and tuples."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def given(**settings: Any) -> dict[str, Any]:
    """The settings that are not None, as plain data."""
    return {name: plain(setting) for name, setting in settings.items() if setting is not None}


def listed(paths: Paths) -> list[str]:
    """The paths as a list."""
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def ranged(value: Any) -> list[float]:
    """A range of a number or of two."""
    low, high = (value, value) if np.ndim(value) == 0 else value
    return [plain(low), plain(high)]
