"""Prepared datasets, training on them, and reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

from . import _voxgan
from ._files import Path
from ._options import Paths, given, listed
from ._progress import Progress, listening
from ._types import Device
from ._volume import Volume, volume


class Dataset(Sequence[Volume]):
    """A prepared dataset: a sequence of volumes, read one by one, which ``torch.utils.data.DataLoader`` takes as it is.

    It can be pickled, so that the workers of a DataLoader open it for themselves, spawned or forked.

    Parameters
    ----------
    folder : path
        What :func:`prepare` made.

    Raises
    ------
    Error
        For a folder that is no dataset.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = os.fspath(folder)
        self._native = _voxgan.Dataset(self.folder)

    def __len__(self) -> int:
        return len(self._native)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return volume(self._native.volume(self._at(index)))

    def labels(self, index: int) -> dict[str, str]:
        """The labels of a volume, such as age and sex, where they were kept."""
        return dict(self.entry(index)["labels"])

    def entry(self, index: int) -> dict[str, Any]:
        """What the manifest says of a volume: name, source, hashes, steps, labels and more."""
        return dict(self._native.entry(self._at(index)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of every volume, ``[D, H, W]``."""
        _, d, h, w = self._native.shape
        return d, h, w

    def __repr__(self) -> str:
        return f"<voxgan.Dataset {self.folder}, {len(self)} volumes, [D, H, W] = {self.shape}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.folder,))

    def _at(self, index: int) -> int:
        at = int(index) + (len(self) if index < 0 else 0)
        if not 0 <= at < len(self):
            raise IndexError(f"volume {index} of {len(self)}")
        return at


def prepare(
    inputs: Paths,
    out: Path,
    *,
    shape: Sequence[int],
    spacing_mm: Union[float, Sequence[float], None] = None,
    interpolation: Literal["nearest", "linear", "cubic"] = "linear",
    normalise: Literal["percentile", "zscore"] = "percentile",
    percentiles: Sequence[float] = (0.0, 99.9),
    centre: Literal["foreground", "grid"] = "foreground",
    participants: Sequence[Path] = (),
    labels: Sequence[str] = (),
    bias_correct: bool = False,
    deface: bool = False,
    strip: bool = False,
    frame: int | None = None,
    nan_to_zero: bool = False,
    series: str | None = None,
    strict: bool = False,
    progress: Progress = None,
) -> Dataset:
    """Prepare scans for training: one orientation, grid and scale, stored in a folder. The same call goes on where it stopped.

    Parameters
    ----------
    inputs : path or sequence of path
        Scans, folders of them, BIDS trees, or lists (``.txt``).
    out : path
        The folder for the dataset.
    shape : three of int
        Voxels from left to right, back to front and bottom to top; ``(w, h, 1)`` for slices.
    spacing_mm : float or three of float, optional
        The voxel size to resample to; without it scans keep their own.
    interpolation : {"nearest", "linear", "cubic"}, default "linear"
        Between voxels.
    normalise : {"percentile", "zscore"}, default "percentile"
        Percentiles to −1 and 1, or the foreground's mean to 0 and its deviation to 1.
    percentiles : two of float, default (0, 99.9)
        Lower percentile of all voxels, and upper one of the foreground.
    centre : {"foreground", "grid"}, default "foreground"
        What lies in the middle.
    participants : sequence of path, optional
        Tables with labels; by default the participants.tsv of a BIDS tree.
    labels : sequence of str, optional
        Columns to keep.
    bias_correct, deface, strip : bool, default False
        Whether bias fields, faces, and what is no brain are removed first.
    frame, nan_to_zero, series
        As in :func:`read`.
    strict : bool, default False
        Whether the first scan that fails ends the job; else those that fail are told of by :mod:`warnings`.
    progress : bool, callable or None, optional
        See :data:`Progress`.

    Returns
    -------
    Dataset
        The dataset.

    Raises
    ------
    Error
        For settings that cannot be carried out, inputs without scans, and if no scan could be prepared.
    """
    import warnings

    from ._error import Error

    spacing = [float(spacing_mm)] * 3 if isinstance(spacing_mm, (int, float)) else spacing_mm
    normalisation: Any = "z_score"
    if normalise == "percentile":
        low, high = percentiles
        normalisation = {"percentile": {"low": low, "high": high}}
    plan = given(
        inputs=listed(inputs),
        shape=shape,
        spacing_mm=spacing,
        interpolation=interpolation,
        normalisation=normalisation,
        centre=centre,
        participants=participants,
        labels=labels,
        read=given(frame=frame, nan_to_zero=nan_to_zero, series=series),
        strict=strict,
    )
    settings = {"plan": plan, "bias_correct": bias_correct, "deface": deface, "strip": strip}
    with listening(progress, "prepare") as tell:
        report = _voxgan.prepare(settings, os.fspath(out), tell)
    reasons = [failure["reason"] for failure in report["failures"]]
    if report["prepared"] + report["kept"] == 0:
        message = "no scan could be prepared:\n  " + "\n  ".join(reasons)
        raise Error(message, "incomplete", field="scans", found="\n".join(reasons))
    for reason in reasons:
        warnings.warn(f"not prepared: {reason}", stacklevel=2)
    for label, names in report["missing_labels"].items():
        warnings.warn(f"no {label} for {len(names)} of the volumes", stacklevel=2)
    return Dataset(out)


@dataclass(frozen=True)
class Trained:
    """The end of a run.

    Attributes
    ----------
    complete : bool
        Whether all steps are done.
    checkpoint : str or None
        The latest checkpoint, which :meth:`Generator.load` and the ``weights`` of other functions take.
    """

    complete: bool
    checkpoint: str | None


def train(
    recipe: Union[str, Path],
    data: Union[Path, Dataset],
    out: Path,
    progress: Progress = None,
    *,
    other: Path | None = None,
    scans: Path | None = None,
    scan_labels: Path | None = None,
    start: Path | None = None,
    validation: Union[Path, Dataset, None] = None,
    total_kimg: float | None = None,
    seed: int | None = None,
    device: Device = "cpu",
) -> Trained:
    """Train a generator, a segmenter or a restoration head; a run that is there is resumed, bit for bit.

    Ctrl-C finishes the step, saves, and raises KeyboardInterrupt; so does an exception of ``progress``.

    Parameters
    ----------
    recipe : str or path
        A ``.toml`` file, or one inside the package by its name, such as ``brain-4mm`` or ``tiny``.
    data : path or Dataset
        A prepared dataset; for a segmenter, translation and progression a folder of whole-head label maps.
    out : path
        The run's folder.
    progress : bool, callable or None, optional
        See :data:`Progress`; of each step that is logged ``numbers`` has the losses.
    other : path, optional
        The dataset of the other contrast, for translation without pairs.
    scans, scan_labels : path, optional
        For a segmenter, also real scans and their label maps.
    start : path, optional
        The weights to start from.
    validation : path or Dataset, optional
        For a generator, a dataset of other people, to validate on.
    total_kimg : float, optional
        Thousands of volumes to train a generator for, instead of the recipe's.
    seed : int, optional
        The run's seed, instead of the recipe's.
    device : str, default "cpu"
        Where it computes.

    Returns
    -------
    Trained
        Whether all is done, and the latest checkpoint.

    Raises
    ------
    Error
        For recipes and data that cannot be read or do not fit, and a loss that is not finite; the last checkpoint is
        intact in every case.
    """
    if (scans is None) != (scan_labels is None):
        raise TypeError("expected scans with scan_labels")
    settings = given(
        recipe=recipe,
        data=data.folder if isinstance(data, Dataset) else data,
        out=out,
        other=other,
        scans=None if scans is None else {"images": scans, "labels": scan_labels},
        validation=validation.folder if isinstance(validation, Dataset) else validation,
        total_kimg=total_kimg,
        seed=seed,
        device=device,
        **{"from": start},
    )
    with listening(progress, "train") as tell:
        complete, checkpoint = _voxgan.train(settings, tell)
    return Trained(complete, None if checkpoint is None else str(checkpoint))


def recipe(name: str) -> str:
    """The text of a recipe inside the package.

    Parameters
    ----------
    name : str
        Its name, such as ``brain-4mm``.

    Returns
    -------
    str
        TOML, with its comments.

    Raises
    ------
    Error
        For a name of none.
    """
    return _voxgan.recipe(name)


def report(
    input: Path, out: Path = "report.html", *, scans: int = 4, force: bool = False, progress: Progress = None
) -> str:
    """Make one offline HTML file of what another job left.

    Parameters
    ----------
    input : path
        The folder of :func:`volumes`, :func:`compare` or :func:`train`, or the ``.json`` of :func:`check`.
    out : path, default "report.html"
        The file.
    scans : int, default 4
        Scans in the viewer; of a check, pairs that are drawn.
    force : bool, default False
        Whether a file that is there is replaced.
    progress : bool, callable or None, optional
        See :data:`Progress`.

    Returns
    -------
    str
        The file.

    Raises
    ------
    Error
        For input that no report is made of, and a file that is there.
    """
    with listening(progress, "report") as tell:
        _voxgan.report(given(input=input, out=out, scans=scans), force, tell)
    return os.fspath(out)


def export(
    run: Path, output: Path, *, kept: Literal["average", "half_average", "for_training"] = "average", force: bool = False
) -> str:
    """Write the averaged network of a run alone, which is all that others need.

    Parameters
    ----------
    run : path
        A run's folder, or a checkpoint.
    output : path
        The safetensors file.
    kept : {"average", "half_average", "for_training"}, default "average"
        The averaged network in float32 or float16, or generator, average and discriminator in float16.
    force : bool, default False
        Whether a file that is there is replaced.

    Returns
    -------
    str
        The file.

    Raises
    ------
    Error
        For a run without checkpoints, and files that cannot be written.
    """
    _voxgan.export(given(input=run, output=output, kept=kept), force)
    return os.fspath(output)

