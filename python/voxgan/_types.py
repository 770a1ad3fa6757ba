"""Types that the package and its native module share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, Union

import numpy as np
import numpy.typing as npt

NativeImage: TypeAlias = tuple[npt.NDArray[np.float32], list[list[float]], dict[str, Any]]
"""Voxels ``[C, D, H, W]``, affine by rows, and provenance."""

NativeScan: TypeAlias = Union[str, NativeImage]
"""A path, or the parts of a volume."""

NativeRaw: TypeAlias = Union[str, npt.NDArray[np.complex64]]
"""A path, or an array of k-space or maps."""

Tell: TypeAlias = Callable[..., object]
"""What is called with kind, text, done, of, seconds left and numbers."""

Device: TypeAlias = Union[Literal["cpu", "cuda"], str]
"""Where to compute: ``cpu``, ``cuda`` or ``cuda:N``."""

Axis: TypeAlias = Literal["D", "H", "W"]
"""An axis of a volume."""

Row: TypeAlias = dict[str, Union[float, str]]
"""The columns of a table for one scan."""
