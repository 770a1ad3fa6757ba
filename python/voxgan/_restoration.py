"""Restoration of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy.typing as npt

from . import _voxgan
from ._generator import Conditions, _text
from ._options import plain
from ._progress import Progress, listening
from ._types import Device
from ._volume import Image, Volume, mask as truth, scan, volume


@dataclass(frozen=True)
class Restored:
    """A restored image with what it rests on.

    Attributes
    ----------
    image : Volume
        The image, ``[D, H, W]`` of float32, in the scan's intensities.
    baseline : Volume
        The classical baseline.
    null_space : Volume
        The part of the image that the measurement does not determine; without a measurement, the difference from the
        baseline.
    null_space_share : float
        Norm of that part over the norm of the image.
    residuals : tuple of float or None
        ‖A·x − y‖ / ‖y‖ of the baseline, of the output of network or generator, and of the image; None without a
        measurement.
    weights : str
        What made it, with the SHA-256 of its weights.
    """

    image: Volume
    baseline: Volume
    null_space: Volume
    null_space_share: float
    residuals: tuple[float, float, float] | None
    weights: str


@dataclass(frozen=True)
class Posterior(Restored):
    """The posterior of an image under a generator; the image is the mean of its samples.

    Attributes
    ----------
    deviation : Volume or None
        Standard deviation of the samples; None of one sample.
    samples : list of Volume
        The samples.
    """

    deviation: Volume | None
    samples: list[Volume]


def _common(found: dict[str, Any], weights: str) -> dict[str, Any]:
    residuals = found["residuals"]
    images = {name: volume(found[name]) for name in ("image", "baseline", "null_space")}
    share = found["null_space_share"]
    return {
        **images,
        "null_space_share": share,
        "residuals": None if residuals is None else tuple(residuals),
        "weights": weights,
    }


def _restored(
    image: Image,
    problem: Any,
    weights: str,
    *,
    missing: Image | None = None,
    backward: bool = False,
    keep_spacing: bool,
    like: Image | None,
    consistency: float,
    device: Device,
) -> Restored:
    restorer = _voxgan.Restorer(str(weights), backward, keep_spacing, device)
    others = [None if other is None else scan(other) for other in (missing, like)]
    found = restorer.restore(scan(image), plain(problem), others[0], consistency, others[1])
    return Restored(**_common(found, restorer.name))


def superres(
    image: Image,
    factor: Union[int, Sequence[int]],
    *,
    weights: str = "superres",
    keep_spacing: bool = False,
    like: Image | None = None,
    consistency: float = 1.0,
    device: Device = "cpu",
) -> Restored:
    """Finer voxels: super-resolution that agrees with the measured ones.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    factor : int or three of int
        How many times finer the grid is along the scan's axes ``(i, j, k)``: ``(1, 1, 4)`` for thick slices.
    weights : str, default "superres"
        The network inside the package, a checkpoint or weights file, or a run's folder.
    keep_spacing : bool, default False
        Whether the network is applied at the scan's voxel size, whatever it learned on.
    like : path, Volume or image of nibabel, optional
        The image whose grid the result is resampled to.
    consistency : float, default 1.0
        Weight of data consistency, from 0 to 1: v / (1 + v) counts the measurement v times and the network once.
    device : str, default "cpu"
        Where it computes.

    Returns
    -------
    Restored
        Image, baseline and null-space component.

    Raises
    ------
    Error
        For scans and weights that cannot be read, a factor that the network does not know, and more than the free memory.
    """
    factors = [factor] * 3 if isinstance(factor, int) else list(factor)
    return _restored(
        image,
        {"superres": factors},
        weights,
        keep_spacing=keep_spacing,
        like=like,
        consistency=consistency,
        device=device,
    )


def inpaint(
    image: Image,
    missing: Image,
    *,
    weights: str = "inpaint",
    keep_spacing: bool = False,
    like: Image | None = None,
    consistency: float = 1.0,
    device: Device = "cpu",
) -> Restored:
    """Fill missing voxels, such as lesions; the others stay to the bit.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    missing : path, Volume or image of nibabel
        A mask on the scan's grid: voxels to fill are not zero.
    weights, keep_spacing, like, consistency, device
        As in :func:`superres`; the network inside the package is ``inpaint``.

    Returns
    -------
    Restored
        Image, baseline and null-space component.

    Raises
    ------
    Error
        As :func:`superres`, and for a mask on another grid.
    """
    return _restored(
        image,
        {"inpaint": None},
        weights,
        missing=missing,
        keep_spacing=keep_spacing,
        like=like,
        consistency=consistency,
        device=device,
    )


def motion(
    image: Image,
    *,
    weights: str = "motion",
    keep_spacing: bool = False,
    like: Image | None = None,
    consistency: float = 1.0,
    device: Device = "cpu",
) -> Restored:
    """Correct the head's motion during the measurement.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    weights, keep_spacing, like, consistency, device
        As in :func:`superres`; the network inside the package is ``motion``.

    Returns
    -------
    Restored
        Image, baseline and null-space component.

    Raises
    ------
    Error
        As :func:`superres`.
    """
    return _restored(
        image,
        "motion",
        weights,
        keep_spacing=keep_spacing,
        like=like,
        consistency=consistency,
        device=device,
    )


def translate(
    image: Image,
    *,
    backward: bool = False,
    weights: str = "translate",
    keep_spacing: bool = False,
    like: Image | None = None,
    consistency: float = 1.0,
    device: Device = "cpu",
) -> Restored:
    """Another contrast of a scan, which nobody measured.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    backward : bool, default False
        Whether the second network of a run without pairs is used, which translates back.
    weights, keep_spacing, like, consistency, device
        As in :func:`superres`; the network inside the package is ``translate``.

    Returns
    -------
    Restored
        Image, baseline and difference.

    Raises
    ------
    Error
        As :func:`superres`.
    """
    return _restored(
        image,
        {"translate": {"backward": backward}},
        weights,
        backward=backward,
        keep_spacing=keep_spacing,
        like=like,
        consistency=consistency,
        device=device,
    )


def progress(
    image: Image,
    years: float,
    *,
    group: str | None = None,
    weights: str = "progress",
    keep_spacing: bool = False,
    like: Image | None = None,
    consistency: float = 1.0,
    device: Device = "cpu",
) -> Restored:
    """The same brain some years later, as it ages in a group of people; nobody measured it.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    years : float
        Years after the scan.
    group : str, optional
        The group of people, of those that the network was trained for; the first by default.
    weights, keep_spacing, like, consistency, device
        As in :func:`superres`; the network inside the package is ``progress``.

    Returns
    -------
    Restored
        Image, baseline and difference.

    Raises
    ------
    Error
        As :func:`superres`, and for a group that the network does not know.
    """
    return _restored(
        image,
        {"progress": {"years": years, "group": group}},
        weights,
        keep_spacing=keep_spacing,
        like=like,
        consistency=consistency,
        device=device,
    )


def restore(
    image: Image,
    *,
    factor: Union[int, Sequence[int], None] = None,
    missing: Image | None = None,
    sampled: npt.ArrayLike | None = None,
    prior: str = "brain-4mm",
    conditions: Conditions | None = None,
    centre: Literal["foreground", "grid"] = "foreground",
    steps: int = 500,
    samples: int = 16,
    sigma: float = 0.2,
    kappa: float = 10.0,
    learning_rate: float = 0.05,
    noise: bool = False,
    seed: int = 0,
    consistency: float = 1.0,
    device: Device = "cpu",
    progress: Progress = None,
) -> Posterior:
    """Restore a scan with a generator as prior: no network is trained for the task.

    Exactly one of ``factor``, ``missing`` and ``sampled`` says what was measured.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    factor : int or three of int, optional
        How many of the generator's voxels a measured one covers along the scan's axes ``(i, j, k)``.
    missing : path, Volume or image of nibabel, optional
        Voxels to fill: those that are not zero, on the scan's grid.
    sampled : array_like, optional
        Places of k-space to keep, ``[D, H, W]`` on the generator's grid; the samples are simulated.
    prior : str, default "brain-4mm"
        The generator.
    conditions : mapping or str, optional
        Conditions of a conditional generator.
    centre : {"foreground", "grid"}, default "foreground"
        What lies in the middle of the generator's grid.
    steps : int, default 500
        Steps to the most probable image; and as many again to the posterior about it.
    samples : int, default 16
        Samples of the posterior; 1 for the most probable image.
    sigma : float, default 0.2
        Standard deviation of what is measured about what the generator would give, the brightest tissue being 1.
    kappa : float, default 10.0
        How much the w's of the generator's layers are held to one direction.
    learning_rate : float, default 0.05
        Step size, in standard deviations of w.
    noise : bool, default False
        Whether the generator's noise inputs are fitted too.
    seed : int, default 0
        Seed of the samples.
    consistency, device
        As in :func:`superres`.
    progress : bool, callable or None, optional
        See :data:`Progress`.

    Returns
    -------
    Posterior
        The mean of the samples, on the generator's grid, with their deviation.

    Raises
    ------
    Error
        As :func:`superres`, and for settings out of range.
    """
    if sum(one is not None for one in (factor, missing, sampled)) != 1:
        raise TypeError("expected exactly one of factor, missing and sampled")
    opened = _voxgan.Prior(str(prior), _text(conditions), device)
    fit = {
        "steps": steps,
        "learning_rate": learning_rate,
        "sigma": sigma,
        "kappa": kappa,
        "noise": noise,
        "samples": samples,
        "seed": seed,
    }
    factors = [factor] * 3 if isinstance(factor, int) else factor
    with listening(progress, "restore") as tell:
        found = opened.restore(
            scan(image),
            None if factors is None else list(factors),
            None if missing is None else scan(missing),
            truth(sampled),
            centre,
            fit,
            consistency,
            tell,
        )
    deviation = found["deviation"]
    return Posterior(
        **_common(found, opened.name),
        deviation=None if deviation is None else volume(deviation),
        samples=[volume(sample) for sample in found["samples"]],
    )


def n4(
    image: Image,
    mask: npt.ArrayLike | None = None,
    *,
    shrink: int = 4,
    iterations: Sequence[int] = (50, 50, 50, 50),
    tolerance: float = 1e-7,
    spline_mm: float = 200.0,
    fwhm: float = 0.15,
    bins: int = 200,
    wiener: float = 0.01,
) -> tuple[Volume, Volume]:
    """Remove a bias field, by N4 (Tustison et al. 2010).

    Parameters
    ----------
    image : path, Volume or image of nibabel
        The scan.
    mask : array_like, optional
        The tissue that the field is fitted to, ``[D, H, W]``; by default voxels above zero where air is zero, or else those
        brighter than Otsu's threshold.
    shrink : int, default 4
        The fit takes every n-th voxel along each axis.
    iterations : sequence of int, default (50, 50, 50, 50)
        The most iterations of each level.
    tolerance : float, default 1e-7
        A level ends when the field changes by less.
    spline_mm : float, default 200.0
        Length of the first level's spans in millimetres.
    fwhm : float, default 0.15
        Full width at half maximum of the field's histogram, in natural logarithms.
    bins : int, default 200
        Bins of the histogram.
    wiener : float, default 0.01
        Noise term of the filter that sharpens it.

    Returns
    -------
    corrected : Volume
        The image without the field, ``[D, H, W]`` of float32.
    field : Volume
        The field that it was divided by.

    Raises
    ------
    Error
        For settings out of range, and scans without contrast.
    """
    fit = {
        "shrink": shrink,
        "iterations": list(iterations),
        "tolerance": tolerance,
        "spline_mm": spline_mm,
        "fwhm": fwhm,
        "bins": bins,
        "wiener": wiener,
    }
    corrected, field = _voxgan.n4_correct(scan(image), truth(mask), fit)
    return volume(corrected), volume(field)
