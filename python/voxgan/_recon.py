"""Reconstruction of raw data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from . import _voxgan
from ._options import given, plain
from ._progress import Progress, listening
from ._types import Device, NativeRaw
from ._volume import Volume, mask as truth, volume

Method: TypeAlias = Literal["zero_filled", "sense", "grappa", "tv", "wavelet", "homodyne", "pocs", "network"]
"""A method of reconstruction."""

Raw: TypeAlias = Union[str, "os.PathLike[str]", npt.ArrayLike]
"""Raw data: a path (fastMRI, ISMRMRD, BART, NumPy), or an array ``[H, W]``, ``[coils, H, W]`` or ``[coils, D, H, W]``."""


@dataclass(frozen=True)
class Reconstruction:
    """An image of raw data with what it rests on.

    Attributes
    ----------
    image : Volume
        The image on its own grid, ``[D, H, W]`` of float32; its provenance has the steps.
    data_residual : float or None
        ‖A·x − y‖ / ‖y‖ over the samples; None without maps, and for methods that fit a part of the samples.
    baseline : Volume or None
        Of a network, its initial estimate.
    baseline_residual : float or None
        Of a network, the residual of the initial estimate.
    null_space : Volume or None
        Of a network, the part of the image that the samples do not determine.
    weights : str or None
        Of a network, its name with the SHA-256 of its weights.
    """

    image: Volume
    data_residual: float | None
    baseline: Volume | None = None
    baseline_residual: float | None = None
    null_space: Volume | None = None
    weights: str | None = None


def _native(raw: Raw, what: str) -> NativeRaw:
    """Raw data as the native module takes it."""
    if isinstance(raw, (str, os.PathLike)):
        return os.fspath(raw)
    array = np.asarray(raw)
    if not np.can_cast(array.dtype, np.complex64, "same_kind"):
        raise TypeError(f"expected {what} of numbers, found {array.dtype}")
    return array.astype(np.complex64, copy=False)


def _method(
    method: Method, iterations: int | None, regularisation: float | None, network: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The method with its settings, as the library has it."""
    weighted = given(**{"lambda": regularisation})
    limited = given(iterations=iterations)
    unused = {
        "zero_filled": (iterations, regularisation),
        "homodyne": (iterations, regularisation),
        "network": (iterations, regularisation),
        "pocs": (regularisation,),
        "grappa": (iterations,),
    }
    if any(setting is not None for setting in unused.get(method, ())):
        raise TypeError(f"{method} has no such setting: leave iterations or regularisation out")
    settings: dict[str, Any] = {
        "sense": {"sense": weighted | limited},
        "grappa": {"grappa": weighted},
        "tv": {"total_variation": weighted | limited},
        "wavelet": {"wavelet": weighted | ({"steps": limited} if limited else {})},
        "pocs": {"pocs": limited},
    }
    if method == "network":
        return {"network": network}
    return {"classical": settings.get(method, method)}


def recon(
    kspace: Raw,
    maps: Union[Raw, Literal["espirit", "none"], None] = None,
    mask: npt.ArrayLike | None = None,
    *,
    method: Method = "zero_filled",
    iterations: int | None = None,
    regularisation: float | None = None,
    part: Literal["magnitude", "phase", "real", "imaginary"] = "magnitude",
    calibration: int = 24,
    compress: Union[int, float, None] = None,
    whiten: bool = True,
    spacing_mm: Sequence[float] | None = None,
    transformed: Sequence[bool] | None = None,
    dc: Literal["centre", "corner"] = "centre",
    readout_oversampling: float | None = None,
    slice: int | None = None,
    repetition: int | None = None,
    contrast: int | None = None,
    motion: Mapping[str, Any] | None = None,
    weights: str = "recon",
    consistency: float = 1.0,
    device: Device = "cpu",
    progress: Progress = None,
) -> Reconstruction:
    """Reconstruct raw data by a classical method, or by a network.

    Parameters
    ----------
    kspace : path or array_like
        Raw data in a file (fastMRI, ISMRMRD, BART, NumPy), or complex samples ``[H, W]``, ``[coils, H, W]`` or
        ``[coils, D, H, W]``, zero where nothing was measured.
    maps : array_like, path, "espirit" or "none", optional
        Coil sensitivities ``[coils, D, H, W]``, a file of them, or where they come from; by default none for
        ``zero_filled`` and ``grappa``, whose coil images are combined by their root sum of squares, and ESPIRiT for the
        others.
    mask : array_like, optional
        Outside of it samples are left out: ``[D, H, W]``, or a plane or a row of it.
    method : str, default "zero_filled"
        ``zero_filled``, ``sense``, ``grappa``, ``tv``, ``wavelet``, ``homodyne``, ``pocs`` or ``network``.
    iterations : int, optional
        The most iterations, by default those of the method.
    regularisation : float, optional
        Weight of the regularisation relative to the data, by default that of the method.
    part : {"magnitude", "phase", "real", "imaginary"}, default "magnitude"
        What of the complex image is taken.
    calibration : int, default 24
        Widest calibration region for ESPIRiT.
    compress : int or float, optional
        Virtual coils to compress to, or a share of the energy such as 0.95.
    whiten : bool, default True
        Whether coils are prewhitened, where the file has a noise scan.
    spacing_mm : three of float, optional
        Voxel size along ``(i, j, k)``, for data that do not tell it; 1 mm by default.
    transformed : three of bool, optional
        Of arrays, which of the axes D, H, W are in k-space; by default those longer than one.
    dc : {"centre", "corner"}, default "centre"
        Of arrays, where DC is.
    readout_oversampling : float, optional
        Of arrays, oversampling of W, which is cut off.
    slice, repetition, contrast : int, optional
        The one to take of several.
    motion : mapping, optional
        How the head moved: the ``applied`` motion of :func:`voxgan.simulate.motion`, for ``zero_filled``, ``sense``, ``tv``
        and ``network``.
    weights : str, default "recon"
        Of ``network``: one inside the package, a checkpoint or weights file, or a run's folder.
    consistency : float, default 1.0
        Of ``network``: weight of data consistency, from 0 to 1.
    device : str, default "cpu"
        Of ``network``: where it computes.
    progress : bool, callable or None, optional
        See :data:`Progress`.

    Returns
    -------
    Reconstruction
        The image, and what it rests on.

    Raises
    ------
    Error
        For files and arrays that are no raw data, and data that the method cannot reconstruct.
    """
    espirit = {"calibration": [calibration] * 3, "kernel": 6, "threshold": 0.02, "crop": 0.95, "maps": 1}
    source: Any = {"auto": espirit}
    known = None
    if isinstance(maps, str) and maps in ("espirit", "none"):
        source = {"espirit": espirit} if maps == "espirit" else "none"
    elif maps is not None:
        known = _native(maps, "maps")
    keep = None
    if compress is not None:
        keep = {"Coils": compress} if isinstance(compress, int) else {"Energy": compress}
    settings = given(
        input=os.fspath(kspace) if isinstance(kspace, (str, os.PathLike)) else None,
        raw=given(
            spacing_mm=spacing_mm,
            slice=slice,
            repetition=repetition,
            contrast=contrast,
            transformed=transformed,
            dc=dc,
            readout_oversampling=readout_oversampling,
        ),
        maps=source,
        whiten=whiten,
        compress=keep,
        method=_method(
            method, iterations, regularisation, given(weights=weights, consistency=consistency, device=device)
        ),
        part=part,
    )
    if motion is not None and motion.get("kind") == "motion":
        motion = {name: value for name, value in motion.items() if name != "kind"}
    with listening(progress, "recon") as tell:
        found = _voxgan.recon(
            _native(kspace, "k-space"),
            known,
            truth(mask),
            None if motion is None else plain(motion),
            settings,
            tell,
        )
    images = {name: volume(found[name]) for name in ("baseline", "null_space") if name in found}
    return Reconstruction(
        image=volume(found["image"]),
        data_residual=found["data_residual"],
        baseline_residual=found.get("baseline_residual"),
        weights=found["network"],
        **images,
    )


def espirit(
    kspace: npt.ArrayLike,
    *,
    transformed: Sequence[bool] | None = None,
    calibration: Union[int, Sequence[int]] = 24,
    kernel: int = 6,
    threshold: float = 0.02,
    crop: float = 0.95,
    maps: int = 1,
    return_eigenvalues: bool = False,
) -> Any:
    """Coil sensitivities from the calibration region, by ESPIRiT (Uecker et al. 2014).

    Parameters
    ----------
    kspace : array_like
        Complex samples ``[coils, H, W]`` or ``[coils, D, H, W]``, DC at n // 2.
    transformed : three of bool, optional
        Which of the axes D, H, W are in k-space; by default those longer than one.
    calibration : int or three of int, default 24
        Width of the fully measured region about DC along D, H and W.
    kernel : int, default 6
        Width of the kernels.
    threshold : float, default 0.02
        Singular values above this share of the largest count as signal.
    crop : float, default 0.95
        Maps are zero where their eigenvalue is below.
    maps : int, default 1
        Sets of maps; two where the object is larger than the field of view.
    return_eigenvalues : bool, default False
        Whether eigenvalues are returned too.

    Returns
    -------
    maps : numpy.ndarray
        ``[coils, D, H, W]`` of complex64, or ``[sets, coils, D, H, W]`` of several sets.
    eigenvalues : numpy.ndarray
        With ``return_eigenvalues``: ``[D, H, W]`` of float32, or ``[sets, D, H, W]``.

    Raises
    ------
    Error
        For a calibration region that is not fully measured, and settings out of range.
    """
    array = _native(kspace, "k-space")
    assert not isinstance(array, str)
    if array.ndim == 3:
        array = array[:, np.newaxis]
    axes = [n > 1 for n in array.shape[1:]] if transformed is None else [bool(axis) for axis in transformed]
    widths = [calibration] * 3 if isinstance(calibration, int) else list(calibration)
    settings = {"calibration": widths, "kernel": kernel, "threshold": threshold, "crop": crop, "maps": maps}
    found, eigenvalues, _ = _voxgan.espirit(array, axes, settings)
    if maps == 1:
        return (found[0], eigenvalues[0]) if return_eigenvalues else found[0]
    return (np.stack(found), np.stack(eigenvalues)) if return_eigenvalues else np.stack(found)


def birdcage(
    shape: Sequence[int], coils: int = 8, *, radius: float = 1.5, ring_coils: int = 8, normalised: bool = True
) -> npt.NDArray[np.complex64]:
    """Simulated sensitivities of a birdcage of coils.

    Parameters
    ----------
    shape : three of int
        ``[D, H, W]``.
    coils : int, default 8
        Number of coils.
    radius : float, default 1.5
        Distance of the loops from the centre, in half fields of view.
    ring_coils : int, default 8
        Coils of a ring, where there is more than one slice.
    normalised : bool, default True
        Whether the root sum of squares is made 1.

    Returns
    -------
    numpy.ndarray
        ``[coils, D, H, W]`` of complex64.

    Raises
    ------
    Error
        For settings out of range.
    """
    settings = {"coils": coils, "radius": radius, "ring_coils": ring_coils, "normalised": normalised}
    return _voxgan.birdcage(settings, [int(n) for n in shape])
