"""Sampling masks of k-space: arrays ``[D, H, W]`` of truth values, DC at ``n // 2`` of every axis.

A shape of two numbers is ``[H, W]``, and so is the mask then. One shape and seed give one mask. :func:`report` says what a
mask really is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt

from . import _voxgan
from ._options import plain
from ._types import Axis

__all__ = [
    "caipi",
    "fastmri",
    "gaussian",
    "partial_fourier",
    "pattern",
    "poisson",
    "radial",
    "report",
    "spiral",
    "trajectory",
]

Mask = npt.NDArray[np.bool_]
Seed = Union[int, str]
Pair = Union[int, Sequence[int]]

_PLANE: tuple[Axis, Axis] = ("H", "W")


def _pair(number: Pair) -> list[int]:
    return [number, number] if isinstance(number, int) else [int(one) for one in number]


def _whole(shape: Sequence[int]) -> list[int]:
    return [1] * (3 - len(shape)) + [int(n) for n in shape]


def pattern(shape: Sequence[int], pattern: Mapping[str, Any], seed: Seed = 0) -> Mask:
    """The mask of a pattern in plain data, as recipes and records have it.

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    pattern : mapping
        Its ``kind`` and settings; ``{"kind": "and", "patterns": [...]}`` measures what all of several do.
    seed : int or str, default 0
        Where draws start; of a text, its code points, as fastMRI seeds the mask of a file.

    Returns
    -------
    numpy.ndarray
        The mask.

    Raises
    ------
    voxgan.Error
        For settings out of range, and patterns that do not fit the shape.
    """
    sampled, _ = _voxgan.mask(plain(pattern), _whole(shape), seed)
    return sampled if len(shape) == 3 else sampled.reshape(tuple(shape))


def fastmri(
    shape: Sequence[int],
    acceleration: float = 4.0,
    *,
    centre_fraction: float = 0.08,
    columns: Literal["random", "equispaced", "equispaced-fraction", "magic", "magic-fraction"] = "random",
    offset: int | None = None,
    axis: Axis = "W",
    seed: Seed = 0,
) -> Mask:
    """Columns as in the fastMRI challenge, bit for bit those of its package.

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    acceleration : float, default 4.0
        Acceleration; whole numbers of equispaced and magic columns.
    centre_fraction : float, default 0.08
        Share of the columns about DC that is sampled fully.
    columns : str, default "random"
        How the others are chosen.
    offset : int, optional
        First column of the equispaced and magic kinds; drawn by default.
    axis : {"D", "H", "W"}, default "W"
        The axis of the columns.
    seed : int or str, default 0
        As in :func:`pattern`.

    Returns
    -------
    numpy.ndarray
        The mask.

    Raises
    ------
    voxgan.Error
        As :func:`pattern`.
    """
    settings = {
        "kind": "fastmri",
        "columns": columns,
        "centre_fractions": [centre_fraction],
        "accelerations": [acceleration],
        "offset": offset,
        "axis": axis,
    }
    return pattern(shape, settings, seed)


def gaussian(
    shape: Sequence[int],
    acceleration: float = 4.0,
    *,
    calibration: Union[int, Sequence[int]] = 24,
    deviation: float = 0.2,
    axes: Sequence[Axis] = ("W",),
    seed: Seed = 0,
) -> Mask:
    """Places drawn with a Gaussian density about DC: lines of one axis, or points of several.

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    acceleration : float, default 4.0
        Places over samples, exactly.
    calibration : int or sequence of int, default 24
        Widths of the fully sampled centre, one an axis.
    deviation : float, default 0.2
        Standard deviation of the density, as a part of each axis.
    axes : sequence of {"D", "H", "W"}, default ("W",)
        The axes that are drawn along.
    seed : int or str, default 0
        As in :func:`pattern`.

    Returns
    -------
    numpy.ndarray
        The mask.

    Raises
    ------
    voxgan.Error
        As :func:`pattern`.
    """
    widths = [calibration] * len(axes) if isinstance(calibration, int) else list(calibration)
    settings = {
        "kind": "gaussian",
        "acceleration": acceleration,
        "calibration": widths,
        "deviation": deviation,
        "axes": list(axes),
    }
    return pattern(shape, settings, seed)


def poisson(
    shape: Sequence[int],
    acceleration: float = 4.0,
    *,
    calibration: Pair = 24,
    falloff: float = 2.0,
    crop_corners: bool = True,
    axes: tuple[Axis, Axis] = _PLANE,
    seed: Seed = 0,
) -> Mask:
    """A Poisson disc of variable density.

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    acceleration : float, default 4.0
        Places over samples, exactly.
    calibration : int or two of int, default 24
        Widths of the fully sampled centre.
    falloff : float, default 2.0
        How much the radius grows from the centre to the ends of the axes; 0 is an even density.
    crop_corners : bool, default True
        Whether places outside the inscribed ellipse are left out.
    axes : two of {"D", "H", "W"}, default ("H", "W")
        The plane.
    seed : int or str, default 0
        As in :func:`pattern`.

    Returns
    -------
    numpy.ndarray
        The mask.

    Raises
    ------
    voxgan.Error
        As :func:`pattern`.
    """
    settings = {
        "kind": "poisson",
        "acceleration": acceleration,
        "calibration": _pair(calibration),
        "falloff": falloff,
        "crop_corners": crop_corners,
        "axes": list(axes),
    }
    return pattern(shape, settings, seed)


def radial(
    shape: Sequence[int],
    acceleration: float = 4.0,
    *,
    spokes: int | None = None,
    angles: Literal["golden", "uniform"] = "golden",
    start_deg: float | None = None,
    axes: tuple[Axis, Axis] = _PLANE,
    seed: Seed = 0,
) -> Mask:
    """Spokes through DC, on the grid.

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    acceleration : float, default 4.0
        What the number of spokes comes nearest to, where that is not given.
    spokes : int, optional
        Their number.
    angles : {"golden", "uniform"}, default "golden"
        The angles between them.
    start_deg : float, optional
        Angle of the first; drawn by default.
    axes : two of {"D", "H", "W"}, default ("H", "W")
        The plane.
    seed : int or str, default 0
        As in :func:`pattern`.

    Returns
    -------
    numpy.ndarray
        The mask.

    Raises
    ------
    voxgan.Error
        As :func:`pattern`.
    """
    return pattern(shape, _radial(acceleration, spokes, angles, start_deg, axes), seed)


def spiral(
    shape: Sequence[int],
    acceleration: float = 4.0,
    *,
    turns: float | None = None,
    interleaves: int = 8,
    exponent: float = 1.5,
    start_deg: float | None = None,
    axes: tuple[Axis, Axis] = _PLANE,
    seed: Seed = 0,
) -> Mask:
    """Interleaved spirals, on the grid.

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    acceleration : float, default 4.0
        What the number of turns comes to, where that is not given.
    turns : float, optional
        Turns of each interleaf.
    interleaves : int, default 8
        Number of spirals.
    exponent : float, default 1.5
        How the radius grows with the angle: 1 for equal distances, more for a denser centre.
    start_deg : float, optional
        Angle of the first; drawn by default.
    axes : two of {"D", "H", "W"}, default ("H", "W")
        The plane.
    seed : int or str, default 0
        As in :func:`pattern`.

    Returns
    -------
    numpy.ndarray
        The mask.

    Raises
    ------
    voxgan.Error
        As :func:`pattern`.
    """
    return pattern(shape, _spiral(acceleration, turns, interleaves, exponent, start_deg, axes), seed)


def caipi(
    shape: Sequence[int],
    steps: Sequence[int] = (2, 2),
    *,
    shift: int = 1,
    calibration: Pair = 0,
    axes: tuple[Axis, Axis] = _PLANE,
) -> Mask:
    """A lattice whose rows are shifted (CAIPIRINHA).

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    steps : two of int, default (2, 2)
        Steps along both axes; the acceleration is their product.
    shift : int, default 1
        Shift along the second axis from one row to the next.
    calibration : int or two of int, default 0
        Widths of a fully sampled centre.
    axes : two of {"D", "H", "W"}, default ("H", "W")
        The two phase encodings.

    Returns
    -------
    numpy.ndarray
        The mask.

    Raises
    ------
    voxgan.Error
        As :func:`pattern`.
    """
    settings = {
        "kind": "caipi",
        "steps": list(steps),
        "shift": shift,
        "calibration": _pair(calibration),
        "axes": list(axes),
    }
    return pattern(shape, settings)


def partial_fourier(
    shape: Sequence[int], fraction: float = 0.75, *, end: Literal["low", "high"] = "high", axis: Axis = "W"
) -> Mask:
    """A part of an axis, more than half of it, from one end.

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    fraction : float, default 0.75
        The part that is measured.
    end : {"low", "high"}, default "high"
        Which end is measured.
    axis : {"D", "H", "W"}, default "W"
        The axis.

    Returns
    -------
    numpy.ndarray
        The mask.

    Raises
    ------
    voxgan.Error
        As :func:`pattern`.
    """
    return pattern(shape, {"kind": "partial-fourier", "fraction": fraction, "end": end, "axis": axis})


def trajectory(
    shape: Sequence[int],
    kind: Literal["radial", "spiral"],
    acceleration: float = 4.0,
    *,
    spokes: int | None = None,
    angles: Literal["golden", "uniform"] = "golden",
    turns: float | None = None,
    interleaves: int = 8,
    exponent: float = 1.5,
    start_deg: float | None = None,
    axes: tuple[Axis, Axis] = _PLANE,
    seed: Seed = 0,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The true samples of spokes or spirals, for :func:`voxgan.operators.nufft`.

    Parameters
    ----------
    shape : sequence of int
        ``[D, H, W]`` or ``[H, W]``.
    kind : {"radial", "spiral"}
        What is sampled along; the settings are those of :func:`radial` and :func:`spiral`.
    acceleration, spokes, angles, turns, interleaves, exponent, start_deg, axes, seed
        As there.

    Returns
    -------
    points : numpy.ndarray
        ``[samples, 3]`` of float32 in cycles per field of view along (D, H, W), −n/2 to n/2.
    density : numpy.ndarray
        ``[samples]`` of float32: the area of k-space of each.

    Raises
    ------
    voxgan.Error
        As :func:`pattern`.
    """
    settings = (
        _radial(acceleration, spokes, angles, start_deg, axes)
        if kind == "radial"
        else _spiral(acceleration, turns, interleaves, exponent, start_deg, axes)
    )
    return _voxgan.trajectory(settings, _whole(shape), seed)


def report(mask: npt.ArrayLike) -> dict[str, Any]:
    """What a mask really is.

    Parameters
    ----------
    mask : array_like
        ``[D, H, W]`` or ``[H, W]``, DC at n // 2.

    Returns
    -------
    dict
        ``acceleration``, ``sampled_share``, ``calibration`` (widths along D, H, W of the fully sampled centre), and
        ``point_spread_side_lobe`` (0 to 1).
    """
    sampled = np.asarray(mask) != 0
    found: dict[str, Any] = _voxgan.mask_report(sampled.reshape(_whole(sampled.shape)))
    del found["nominal"]
    return found


def _radial(
    acceleration: float, spokes: int | None, angles: str, start_deg: float | None, axes: Sequence[Axis]
) -> dict[str, Any]:
    number = {"acceleration": acceleration} if spokes is None else {"number": spokes}
    return {"kind": "radial", "spokes": number, "angles": angles, "start_deg": start_deg, "axes": list(axes)}


def _spiral(
    acceleration: float,
    turns: float | None,
    interleaves: int,
    exponent: float,
    start_deg: float | None,
    axes: Sequence[Axis],
) -> dict[str, Any]:
    return {
        "kind": "spiral",
        "turns": {"acceleration": acceleration} if turns is None else {"number": turns},
        "interleaves": interleaves,
        "exponent": exponent,
        "start_deg": start_deg,
        "axes": list(axes),
    }
