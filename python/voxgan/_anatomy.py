"""Structures of heads."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from functools import lru_cache
from io import StringIO
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, Union, overload

import numpy as np

from . import _voxgan
from ._files import Path, write
from ._options import Paths, given, listed
from ._progress import Progress, listening
from ._types import Device, Row
from ._volume import Image, Volume, scan, volume

if TYPE_CHECKING:
    import pandas as pd

_WORDS = ("subject", "flags")


class Segmenter:
    """The segmenter, or a reader of label maps, opened once for any number of images.

    Parameters
    ----------
    weights : str, default "anatomy"
        The one inside the package, a checkpoint or weights file, or a run's folder.
    refine : bool, default True
        Whether the scan itself moves the borders that the network draws, where it says enough.
    labels : bool, default False
        Whether images are label maps with FreeSurfer's numbers already, which are only read.
    device : str, default "cpu"
        Where it computes.

    Raises
    ------
    Error
        For weights that cannot be read, and devices that are not there.
    """

    def __init__(
        self, weights: str = "anatomy", *, refine: bool = True, labels: bool = False, device: Device = "cpu"
    ) -> None:
        self._native = _voxgan.Segmenter(str(weights), refine, labels, device)

    @property
    def name(self) -> str:
        """Its name with the SHA-256 of its weights."""
        return self._native.name

    def __repr__(self) -> str:
        return f"<voxgan.Segmenter {self.name}>"


@lru_cache(maxsize=1)
def _default() -> Segmenter:
    return Segmenter()


def _opened(segmenter: Segmenter | None) -> _voxgan.Segmenter:
    return (segmenter or _default())._native


def _subject(image: Image) -> str:
    """A scan's file name without its extension."""
    source = image if isinstance(image, (str, os.PathLike)) else getattr(image, "provenance", {}).get("source", "")
    return PurePath(source).name.removesuffix(".gz").removesuffix(".nii")


def _rows(table: str) -> list[Row]:
    """The rows of a table, with numbers as such and NaN for what is not known."""

    def value(name: str, text: str) -> float | str:
        if name in _WORDS:
            return text
        return float("nan") if text == "n/a" else float(text)

    return [{name: value(name, text) for name, text in row.items()} for row in csv.DictReader(StringIO(table))]


@overload
def segment(
    image: Image, *, segmenter: Segmenter | None = None, return_volumes: Literal[False] = False
) -> Volume: ...


@overload
def segment(
    image: Image, *, segmenter: Segmenter | None = None, return_volumes: Literal[True]
) -> tuple[Volume, Row]: ...


def segment(
    image: Image, *, segmenter: Segmenter | None = None, return_volumes: bool = False
) -> Volume | tuple[Volume, Row]:
    """The structures of a head.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        A T1-weighted scan of a head.
    segmenter : Segmenter, optional
        By default the one inside the package.
    return_volumes : bool, default False
        Whether the volumes of :func:`volumes` are returned too, for which the network would have to see the scan again.

    Returns
    -------
    labels : Volume
        FreeSurfer's numbers on the scan's grid, ``[D, H, W]`` of int16.
    volumes : dict
        With ``return_volumes``.

    Raises
    ------
    Error
        For files that cannot be read, and images of several channels or without contrast.
    """
    labels, table = _opened(segmenter).segment(scan(image), _subject(image))
    found = volume(labels).astype(np.int16)
    return (found, _rows(table)[0]) if return_volumes else found


@overload
def volumes(
    images: Image,
    *,
    out: None = None,
    as_frame: Literal[False] = False,
    segmenter: Segmenter | None = None,
    strict: bool = False,
    progress: Progress = None,
) -> Row: ...


@overload
def volumes(
    images: Sequence[Image],
    *,
    out: None = None,
    as_frame: Literal[False] = False,
    segmenter: Segmenter | None = None,
    strict: bool = False,
    progress: Progress = None,
) -> list[Row]: ...


@overload
def volumes(
    images: Paths,
    *,
    out: Path,
    as_frame: Literal[False] = False,
    segmenter: Segmenter | None = None,
    strict: bool = False,
    progress: Progress = None,
) -> list[Row]: ...


@overload
def volumes(
    images: Union[Image, Sequence[Image]],
    *,
    out: Path | None = None,
    as_frame: Literal[True],
    segmenter: Segmenter | None = None,
    strict: bool = False,
    progress: Progress = None,
) -> pd.DataFrame: ...


def volumes(
    images: Any,
    *,
    out: Path | None = None,
    as_frame: bool = False,
    segmenter: Segmenter | None = None,
    strict: bool = False,
    progress: Progress = None,
) -> Any:
    """Volumes of the structures of heads, with ratios, shape, quality and doubts.

    Parameters
    ----------
    images : path, Volume, image of nibabel, or a list of them
        T1-weighted scans. With ``out``, paths of scans, folders and BIDS trees.
    out : path, optional
        A folder for label maps, records and tables, which :func:`report` reads; scans that were measured there are kept.
    as_frame : bool, default False
        Whether the result is a table of pandas.
    segmenter : Segmenter, optional
        By default the one inside the package.
    strict : bool, default False
        With ``out``, whether the first scan that fails ends the job.
    progress : bool, callable or None, optional
        See :data:`Progress`.

    Returns
    -------
    dict, list of dict, or pandas.DataFrame
        Of one image a dictionary, else one for each: ``subject``, ``quality`` (0 to 1), ``flags``, ``brain_ml`` and the
        other columns of the program's volumes.csv; NaN where something is not known.

    Raises
    ------
    Error
        As :func:`segment`; ``incomplete`` where some of several scans could not be measured, which are not in ``out``.
    """
    one = out is None and not (isinstance(images, Sequence) and not isinstance(images, (str, Volume)))
    rows: list[Row]
    if out is not None:
        settings = given(inputs=listed(images), out=out, strict=strict)
        with listening(progress, "volumes") as tell:
            table, failures = _opened(segmenter).volumes(settings, tell)
        _complete("scans", len(failures) + len(_rows(table)), failures)
        rows = _rows(table)
    else:
        rows = []
        wanted = [images] if one else list(images)
        with listening(progress if len(wanted) > 1 else False, "volumes") as tell:
            for at, image in enumerate(wanted):
                rows.append(segment(image, segmenter=segmenter, return_volumes=True)[1])
                if tell is not None:
                    tell("done", _subject(image), at + 1, len(wanted), None, {})
    if as_frame:
        import pandas as pd

        return pd.DataFrame(rows)
    return rows[0] if one else rows


def strip(image: Image, *, csf: bool = False, segmenter: Segmenter | None = None) -> tuple[Volume, Volume]:
    """The brain alone: zero outside its mask.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        A T1-weighted scan of a head.
    csf : bool, default False
        Whether the fluid around the brain is kept.
    segmenter : Segmenter, optional
        By default the one inside the package.

    Returns
    -------
    brain : Volume
        ``[D, H, W]`` of float32, on the scan's grid.
    mask : Volume
        ``[D, H, W]`` of bool: one piece without holes.

    Raises
    ------
    Error
        As :func:`segment`, and for a scan without a brain.
    """
    return _masked(*_opened(segmenter).strip(scan(image), csf))


def deface(image: Image, *, segmenter: Segmenter | None = None) -> tuple[Volume, Volume]:
    """The head without face and ears, which become air.

    Parameters
    ----------
    image : path, Volume or image of nibabel
        A T1-weighted scan of a head.
    segmenter : Segmenter, optional
        By default the one inside the package.

    Returns
    -------
    head : Volume
        ``[D, H, W]`` of float32, on the scan's grid.
    mask : Volume
        ``[D, H, W]`` of bool: what was removed.

    Raises
    ------
    Error
        As :func:`segment`, and for a scan whose face is not found.
    """
    return _masked(*_opened(segmenter).deface(scan(image)))


def _masked(parts: Any, mask: Any) -> tuple[Volume, Volume]:
    image = volume(parts)
    return image, Volume(mask, image.affine, **{**image.provenance, "steps": []})


def check(
    before: Image,
    after: Image,
    *,
    limits: Path | None = None,
    out: Path | None = None,
    segmenter: Segmenter | None = None,
    strict: bool = False,
    force: bool = False,
    progress: Progress = None,
) -> dict[str, Any]:
    """Whether a change of scans preserves their anatomy: volumes, overlap, surfaces and sides of every structure.

    Parameters
    ----------
    before, after : path, Volume or image of nibabel
        A scan before and after the change; or two folders, whose scans of one name, or one subject and session, are
        pairs.
    limits : path, optional
        A TOML file of limits; by default those inside the package.
    out : path, optional
        Of paths, where the verdict goes: ``.json``, with pictures beside it, or ``.csv``.
    segmenter : Segmenter, optional
        By default the one inside the package.
    strict : bool, default False
        Of folders, whether the first pair that fails ends the job.
    force : bool, default False
        Whether files that are there are replaced.
    progress : bool, callable or None, optional
        See :data:`Progress`.

    Returns
    -------
    dict
        ``passed``, the verdict on each of ``pairs`` with its ``regions`` and their ``failures``, and the agreement over
        the ``cohort``.

    Raises
    ------
    Error
        As :func:`segment`, for scans that do not overlap and for limits that cannot be read; ``incomplete`` where some
        pairs could not be measured. A check that is not passed is no error.
    """
    paths = [os.fspath(image) for image in (before, after) if isinstance(image, (str, os.PathLike))]
    if len(paths) == 2 and (out is not None or all(map(os.path.isdir, paths))):
        settings = given(before=before, after=after, limits=limits, out=out, strict=strict)
        with listening(progress, "check") as tell:
            verdict, failures = _opened(segmenter).check_folders(settings, force, tell)
        _complete("pairs", len(failures) + len(verdict["pairs"]), failures)
        return dict(verdict)
    if out is not None:
        raise TypeError("out needs paths of scans: pictures are made of files")
    text = None
    if limits is not None:
        with open(limits, encoding="utf-8") as file:
            text = (file.read(), os.fspath(limits))
    return dict(_opened(segmenter).check(scan(before), scan(after), text))


def _folder(scans: Path | Sequence[Image], out: Path, cohort: str) -> Path:
    """The folder of a cohort: images are written into one of ``out``."""
    if isinstance(scans, (str, os.PathLike)):
        return scans
    folder = os.path.join(os.fspath(out), "scans", cohort)
    for number, image in enumerate(scans, 1):
        write(os.path.join(folder, f"sub-{number:04}_T1w.nii.gz"), image)
    return folder


def compare(
    real: Path | Sequence[Image],
    synthetic: Path | Sequence[Image],
    out: Path,
    *,
    quantities: Sequence[str] | None = None,
    covariates: Sequence[str] = (),
    participants: Sequence[Path] = (),
    head_size: Literal["intracranial", "brain"] | None = None,
    margin_sd: float = 0.5,
    alpha: float = 0.05,
    seed: int = 0,
    segmenter: Segmenter | None = None,
    strict: bool = False,
    progress: Progress = None,
) -> dict[str, Any]:
    """Compare the anatomy of synthetic heads with that of real ones.

    Parameters
    ----------
    real, synthetic : path, or sequence of paths, Volumes or images of nibabel
        Folders of scans, or BIDS trees. Images are written into ``out/scans`` as subjects 0001, 0002, …, none over a file that is
        there.
    out : path
        The folder for label maps, tables and the comparison, which :func:`report` reads.
    quantities : sequence of str, optional
        Regions and measures to compare, by their names in definitions.csv.
    covariates : sequence of str, optional
        Columns of the tables of participants to account for.
    participants : sequence of path, optional
        Tables of the subjects: one for both, or one each; by default the participants.tsv beside the scans or above.
    head_size : {"intracranial", "brain"}, optional
        What stands for head size; by default the brain where a scan lacks the fluid around it.
    margin_sd : float, default 0.5
        The difference of means that still counts as none, in standard deviations of the real cohort.
    alpha : float, default 0.05
        Significance level of the tests.
    seed : int, default 0
        Seed of bootstrap, permutations and splits.
    segmenter : Segmenter, optional
        By default the one inside the package.
    strict : bool, default False
        Whether the first scan that fails ends the job.
    progress : bool, callable or None, optional
        See :data:`Progress`.

    Returns
    -------
    dict
        The content of comparison.json in ``out``; ``nearest_distance_ratio`` is the median distance of synthetic scans to
        their nearest real one over that among real ones (None of label maps).

    Raises
    ------
    Error
        For folders, tables and cohorts that cannot be compared; ``incomplete`` where some scans could not be measured.
    """
    settings = given(
        real=_folder(real, out, "real"),
        synthetic=_folder(synthetic, out, "synthetic"),
        out=out,
        quantities=quantities,
        covariates=covariates,
        participants=participants,
        head_size=head_size,
        margin_sd=margin_sd,
        alpha=alpha,
        seed=seed,
        strict=strict,
    )
    with listening(progress, "compare") as tell:
        comparison, failures = _voxgan.compare(settings, _opened(segmenter), tell)
    _complete("scans", len(failures), failures)
    return dict(comparison)


def _complete(what: str, of: int, failures: Sequence[str]) -> None:
    """Raises what failed of ``of`` inputs."""
    if failures:
        from ._error import Error

        lines = "\n  ".join(failures)
        message = f"{len(failures)} of {of} {what} failed:\n  {lines}"
        raise Error(message, "incomplete", field=what, found="\n".join(failures))
