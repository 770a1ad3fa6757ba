"""What scanners do to images, and phantoms: seeded, recorded and replayable.

Each function returns the degraded volume and the records of what was drawn, which :func:`replay` repeats bit for bit.
Ranges are one number, or two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

import numpy.typing as npt

from . import _voxgan
from ._options import given, plain, ranged
from ._types import Axis
from ._volume import Image, Volume, mask as truth, scan, volume

__all__ = [
    "bias_field",
    "cascade",
    "ghosting",
    "motion",
    "noise",
    "phantom",
    "replay",
    "spikes",
    "thick_slices",
    "undersampling",
]

Record = dict[str, Any]
Range = Union[float, Sequence[float]]
Component = Literal["magnitude", "real"]
Degraded = tuple[Volume, list[Record]]

# In the order of the program, which draws one by its place.
_AXES: tuple[Axis, Axis, Axis] = ("W", "H", "D")


def cascade(image: Image, degradations: Sequence[Mapping[str, Any]], *, seed: int = 0) -> Degraded:
    """Several degradations, one after the other, in plain data as recipes have them.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    degradations : sequence of mapping
        The ``kind`` of each and its ranges: ``[{"kind": "motion"}, {"kind": "noise"}]``.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    volume : Volume
        The degraded scan, ``[D, H, W]`` of float32.
    records : list of dict
        What was ``applied``, one record each.

    Raises
    ------
    voxgan.Error
        For scans that cannot be read, and ranges that are invalid or do not fit the scan.
    """
    degraded, records = _voxgan.simulate(scan(image), plain(degradations), seed)
    return volume(degraded), records


def replay(image: Image, records: Sequence[Record]) -> Volume:
    """Do to a scan what records say.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    records : sequence of dict
        Records of this module's functions, or those in the JSON beside a degraded volume.

    Returns
    -------
    Volume
        The degraded scan, ``[D, H, W]`` of float32.

    Raises
    ------
    voxgan.Error
        For records that are invalid or do not fit the scan.
    """
    return volume(_voxgan.replay(scan(image), plain(records)))


def motion(
    image: Image,
    *,
    moves: int = 2,
    rotation_deg: Range = (-10.0, 10.0),
    translation_mm: Range = (-10.0, 10.0),
    jitter: float = 0.3,
    axes: Sequence[Axis] = _AXES,
    shots: int | None = None,
    component: Component = "magnitude",
    seed: int = 0,
) -> Degraded:
    """Rigid motion between the shots of an acquisition.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    moves : int, default 2
        How often the head moves.
    rotation_deg, translation_mm : float or two of float
        Ranges of angles about, and shifts along, ``(i, j, k)``.
    jitter : float, default 0.3
        By what part of a step each move is earlier or later, 0 to 0.5.
    axes : sequence of {"D", "H", "W"}, default ("W", "H", "D")
        Phase-encoding axes to choose from.
    shots : int, optional
        Interleaved shots; by default planes are measured from one end of k-space to the other.
    component : {"magnitude", "real"}, default "magnitude"
        What of the complex image is taken.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    volume : Volume
        The degraded scan.
    records : list of dict
        One record; its ``applied`` is what :func:`voxgan.recon` takes as ``motion``.

    Raises
    ------
    voxgan.Error
        As :func:`cascade`.
    """
    settings = given(
        kind="motion",
        moves=moves,
        rotation_deg=ranged(rotation_deg),
        translation_mm=ranged(translation_mm),
        jitter=jitter,
        axes=axes,
        order="sequential" if shots is None else {"interleaved": {"shots": shots}},
        component=component,
    )
    return cascade(image, [settings], seed=seed)


def ghosting(
    image: Image,
    *,
    ghosts: Union[int, Sequence[int]] = (4, 10),
    strength: Range = (0.5, 1.0),
    restored: Range = 0.02,
    axes: Sequence[Axis] = _AXES,
    component: Component = "magnitude",
    seed: int = 0,
) -> Degraded:
    """Ghosts along an axis, from periodic motion.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    ghosts : int or two of int, default (4, 10)
        Range of their number.
    strength : float or two of float, default (0.5, 1)
        Range of the strength, 0 to 1.
    restored : float or two of float, default 0.02
        Range of the part of the axis about DC that is unchanged.
    axes : sequence of {"D", "H", "W"}, default ("W", "H", "D")
        Axes to choose from.
    component : {"magnitude", "real"}, default "magnitude"
        What of the complex image is taken.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    volume : Volume
        The degraded scan.
    records : list of dict
        One record.

    Raises
    ------
    voxgan.Error
        As :func:`cascade`.
    """
    settings = given(
        kind="ghosting",
        ghosts=ranged(ghosts),
        strength=ranged(strength),
        restored=ranged(restored),
        axes=axes,
        component=component,
    )
    return cascade(image, [settings], seed=seed)


def spikes(
    image: Image,
    *,
    count: Union[int, Sequence[int]] = 1,
    strength: Range = (1.0, 3.0),
    component: Component = "magnitude",
    seed: int = 0,
) -> Degraded:
    """Spikes in k-space: stripes over the whole image.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    count : int or two of int, default 1
        Range of their number.
    strength : float or two of float, default (1, 3)
        Range of their height, relative to the greatest modulus of k-space.
    component : {"magnitude", "real"}, default "magnitude"
        What of the complex image is taken.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    volume : Volume
        The degraded scan.
    records : list of dict
        One record.

    Raises
    ------
    voxgan.Error
        As :func:`cascade`.
    """
    settings = given(kind="spikes", count=ranged(count), strength=ranged(strength), component=component)
    return cascade(image, [settings], seed=seed)


def bias_field(image: Image, *, order: int = 3, coefficient: Range = (-0.5, 0.5), seed: int = 0) -> Degraded:
    """A smooth multiplicative field: the exponential of a polynomial.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    order : int, default 3
        Order of the polynomial.
    coefficient : float or two of float, default (-0.5, 0.5)
        Range of every coefficient.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    volume : Volume
        The degraded scan.
    records : list of dict
        One record.

    Raises
    ------
    voxgan.Error
        As :func:`cascade`.
    """
    settings = given(kind="bias_field", order=order, coefficient=ranged(coefficient))
    return cascade(image, [settings], seed=seed)


def noise(
    image: Image,
    *,
    snr: Range | None = None,
    relative: Range | None = None,
    sigma: Range | None = None,
    distribution: Literal["rician", "gaussian"] = "rician",
    seed: int = 0,
) -> Degraded:
    """Noise of the receiver; its strength is one of three measures, by default a signal-to-noise ratio of 10 to 40.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    snr : float or two of float, optional
        Range of the mean of the foreground over the noise's standard deviation.
    relative : float or two of float, optional
        Range of the inverse of that.
    sigma : float or two of float, optional
        Range of the standard deviation in the scan's units.
    distribution : {"rician", "gaussian"}, default "rician"
        Of the magnitude, or of a real image.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    volume : Volume
        The degraded scan.
    records : list of dict
        One record.

    Raises
    ------
    voxgan.Error
        As :func:`cascade`.
    """
    measures = {"snr": snr, "relative": relative, "sigma": sigma}
    levels = {name: ranged(level) for name, level in measures.items() if level is not None}
    if len(levels) > 1:
        raise TypeError("expected one of snr, relative and sigma")
    settings = given(kind="noise", distribution=distribution, level=levels or None)
    return cascade(image, [settings], seed=seed)


def thick_slices(
    image: Image,
    *,
    thickness_mm: Range = (3.0, 6.0),
    gap_mm: Range = 0.0,
    shape: Literal["boxcar", "gaussian"] = "boxcar",
    axes: Sequence[Axis] = ("D",),
    back: Literal["nearest", "linear", "cubic"] | None = None,
    seed: int = 0,
) -> Degraded:
    """Thick slices, with or without gaps.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    thickness_mm : float or two of float, default (3, 6)
        Range of their thickness in millimetres.
    gap_mm : float or two of float, default 0
        Range of the gaps.
    shape : {"boxcar", "gaussian"}, default "boxcar"
        The profile.
    axes : sequence of {"D", "H", "W"}, default ("D",)
        Axes across the slices to choose from.
    back : {"nearest", "linear", "cubic"}, optional
        The interpolation back to the scan's grid; by default the slices stay.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    volume : Volume
        The degraded scan.
    records : list of dict
        One record.

    Raises
    ------
    voxgan.Error
        As :func:`cascade`.
    """
    settings = given(
        kind="thick_slices",
        thickness_mm=ranged(thickness_mm),
        gap_mm=ranged(gap_mm),
        shape=shape,
        axes=axes,
        back=back,
    )
    return cascade(image, [settings], seed=seed)


def undersampling(
    image: Image,
    sampling: Union[Mapping[str, Any], npt.ArrayLike],
    *,
    component: Component = "magnitude",
    seed: int = 0,
) -> Degraded:
    """The zero-filled image of undersampled k-space.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    sampling : mapping or array_like
        A pattern as in :func:`voxgan.masks.pattern`, or a mask ``[D, H, W]``, of which axes of length one are repeated.
    component : {"magnitude", "real"}, default "magnitude"
        What of the complex image is taken.
    seed : int, default 0
        Seed of the pattern's draws.

    Returns
    -------
    volume : Volume
        The degraded scan.
    records : list of dict
        One record.

    Raises
    ------
    voxgan.Error
        As :func:`cascade`.
    """
    if isinstance(sampling, Mapping):
        measured: dict[str, Any] = {"pattern": plain(sampling)}
    else:
        places = truth(sampling)
        assert places is not None
        measured = {"mask": _voxgan.mask_runs(places)}
    settings = {"kind": "undersampling", "sampling": measured, "component": component}
    return cascade(image, [settings], seed=seed)


def phantom(
    shape: Sequence[int] = (160, 192, 160),
    *,
    spacing_mm: Union[float, Sequence[float]] = 1.0,
    of: Literal["brain", "labels", "shepp_logan"] = "brain",
    contrast: Literal["t1", "t2", "pd"] = "t1",
    head_scale: float = 1.0,
    ventricle_scale: float = 1.0,
    seed: int = 0,
) -> Volume:
    """A digital phantom of known volumes.

    Parameters
    ----------
    shape : three of int, default (160, 192, 160)
        Voxels along ``(i, j, k)``; one along k for a slice.
    spacing_mm : float or three of float, default 1.0
        Voxel size along ``(i, j, k)``.
    of : {"brain", "labels", "shepp_logan"}, default "brain"
        A head with folded cortex, its FreeSurfer labels, or ellipsoids.
    contrast : {"t1", "t2", "pd"}, default "t1"
        Contrast of the head's tissues.
    head_scale : float, default 1.0
        Scale of all lengths, 0.5 to 1.5.
    ventricle_scale : float, default 1.0
        Scale of the width of the ventricles, 0.3 to 3.
    seed : int, default 0
        Seed of the cortical folds.

    Returns
    -------
    Volume
        ``[D, H, W]`` of float32.

    Raises
    ------
    voxgan.Error
        For settings out of range.
    """
    sizes = [float(spacing_mm)] * 3 if isinstance(spacing_mm, (int, float)) else [float(mm) for mm in spacing_mm]
    settings = {
        "of": of,
        "shape": [int(n) for n in shape],
        "spacing_mm": sizes,
        "contrast": contrast,
        "brain": {"head_scale": head_scale, "ventricle_scale": ventricle_scale, "seed": seed},
    }
    return volume(_voxgan.phantom(settings))
