"""Measures of restored images and of label maps."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from . import _voxgan
from ._types import Axis
from ._volume import Image, mask as truth, scan

__all__ = ["ms_ssim", "overlap", "score", "ssim"]

Profile: TypeAlias = Literal["fastmri", "monai", "calgary", "dagan", "sanchez"]
"""The project whose definitions are used."""


def score(
    target: Image,
    prediction: Image,
    mask: Image | None = None,
    *,
    profile: Profile = "fastmri",
    axis: Axis = "D",
    data_range: float | None = None,
    all: bool = False,
    ignore_geometry: bool = False,
) -> dict[str, float]:
    """The scores of a prediction, each as a named project defines it.

    Parameters
    ----------
    target, prediction : path, Volume or image of nibabel
        Images of one channel on one grid.
    mask : path, Volume or image of nibabel, optional
        Errors are over the voxels where it is not zero.
    profile : {"fastmri", "monai", "calgary", "dagan", "sanchez"}, default "fastmri"
        The project whose definitions of the measures are used.
    axis : {"D", "H", "W"}, default "D"
        The axis across the slices of two-dimensional measures.
    data_range : float, optional
        Of ``monai``, the data range; by default the target's maximum − minimum.
    all : bool, default False
        Whether measures beyond those of the profile are computed too: MAE, RMSE, NRMSE, MS-SSIM, HaarPSI, VIF.
    ignore_geometry : bool, default False
        Whether images are compared voxel by voxel even if their affines differ.

    Returns
    -------
    dict
        Values by name: ``PSNR`` in dB, ``SSIM`` and so on.

    Raises
    ------
    voxgan.Error
        For images that cannot be read, grids that differ, and targets without contrast.
    """
    plan = {"profile": profile, "axis": axis, "data_range": data_range, "all": all}
    inside = None if mask is None else scan(mask)
    found = _voxgan.score(scan(target), scan(prediction), inside, plan, ignore_geometry)
    return {one["name"]: one["value"] for one in found["scores"]}


def ssim(a: npt.ArrayLike, b: npt.ArrayLike, data_range: float) -> float:
    """Structural similarity under a Gaussian of 11 taps (Wang et al. 2004).

    Parameters
    ----------
    a, b : array_like
        Images ``[D, H, W]`` or ``[H, W]``.
    data_range : float
        Difference of the largest and the smallest value that an image can have.

    Returns
    -------
    float
        1 for equal images, about 0 for unrelated ones.

    Raises
    ------
    voxgan.Error
        For shapes that differ, and values that are not finite.
    """
    return _voxgan.ssim(_image(a), _image(b), data_range)


def ms_ssim(a: npt.ArrayLike, b: npt.ArrayLike, data_range: float, mask: npt.ArrayLike | None = None) -> float:
    """Structural similarity over several scales.

    Parameters
    ----------
    a, b : array_like
        Images ``[D, H, W]`` or ``[H, W]``.
    data_range : float
        Difference of the largest and the smallest value that an image can have.
    mask : array_like, optional
        The positions that count.

    Returns
    -------
    float
        1 for equal images, about 0 for unrelated ones.

    Raises
    ------
    voxgan.Error
        As :func:`ssim`.
    """
    return _voxgan.ms_ssim(_image(a), _image(b), data_range, truth(mask))


def overlap(before: Image, after: Image) -> dict[str, dict[str, Union[float, None]]]:
    """The agreement of two label maps, which may be on different grids.

    Parameters
    ----------
    before, after : path, Volume or image of nibabel
        Label maps with FreeSurfer's numbers, such as :func:`voxgan.segment` gives.

    Returns
    -------
    dict
        ``dice``, ``hausdorff95_mm`` and ``surface_distance_mm`` of each region by its name; None where it is missing.

    Raises
    ------
    voxgan.Error
        For maps with numbers of no structure.
    """
    names = ("dice", "hausdorff95_mm", "surface_distance_mm")
    found = _voxgan.overlap(scan(before), scan(after))
    return {region: dict(zip(names, agreement, strict=True)) for region, agreement in found.items()}


def _image(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    array: Any = np.asarray(values)
    if not np.can_cast(array.dtype, np.float32, "same_kind"):
        raise TypeError(f"expected an array of real numbers, found {array.dtype}")
    array = array.astype(np.float32, copy=False)
    return np.asarray(array if array.ndim >= 3 else array[(np.newaxis,) * (3 - array.ndim)])
