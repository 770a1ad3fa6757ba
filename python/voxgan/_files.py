"""Scans in files."""

from __future__ import annotations

import os
from typing import Any, Literal, TypeAlias, Union

import numpy as np

from . import _voxgan
from ._options import given
from ._progress import Progress, listening
from ._volume import Image, Volume, scan, volume

Path: TypeAlias = Union[str, "os.PathLike[str]"]

DataType: TypeAlias = Literal[
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"
]
"""A type of numbers in a file."""


def _stored(data_type: str) -> str:
    """The library's name of a type of numpy: ``i16`` of ``int16``."""
    name = np.dtype(data_type).name
    return name.replace("uint", "u").replace("int", "i").replace("float", "f")


def read(path: Path, *, frame: int | None = None, series: str | None = None, nan_to_zero: bool = False) -> Volume:
    """Read a scan: NIfTI, MGH, NRRD, MetaImage, or DICOM (a file, a folder, a disc, an archive).

    Parameters
    ----------
    path : path
        The scan.
    frame : int, optional
        The frame of a time series, from 0.
    series : str, optional
        The series of DICOM input: its number, description, protocol, or the last figures of its UID.
    nan_to_zero : bool, default False
        Whether voxels that are NaN or infinite are read as zero, instead of being an error.

    Returns
    -------
    Volume
        ``[D, H, W]`` of float32, or ``[C, D, H, W]`` of colours.

    Raises
    ------
    Error
        For files that cannot be read, several frames or series of which none is chosen, and content that is wrong.
    """
    return volume(_voxgan.read(os.fspath(path), given(frame=frame, series=series, nan_to_zero=nan_to_zero)))


def read_series(path: Path, *, series: str | None = None) -> Volume:
    """Read all frames of a scan, also of ``.npy``; voxels that are not finite stay.

    Parameters
    ----------
    path : path
        The scan.
    series : str, optional
        The series of DICOM input.

    Returns
    -------
    Volume
        ``[N, D, H, W]`` of float32; of several channels, these one after the other.

    Raises
    ------
    Error
        As :func:`read`.
    """
    frames, _ = _voxgan.read_series(os.fspath(path), given(series=series))
    (_, affine, provenance) = frames[0]
    return Volume(np.concatenate([data for data, _, _ in frames]), affine, **provenance)


def write(path: Path, image: Image, *, data_type: DataType = "float32", force: bool = False) -> None:
    """Write a volume, or several frames, in the format that the file's name tells.

    Parameters
    ----------
    path : path
        ``.nii``, ``.nii.gz``, ``.mgh``, ``.mgz``, ``.nrrd``, ``.nhdr``, ``.mha``, ``.mhd`` or ``.npy``.
    image : path, Volume or image of nibabel
        What is written; of several axes ``[N, D, H, W]`` as frames.
    data_type : str, default "float32"
        The type of the numbers. NIfTI scales what an integer type does not hold.
    force : bool, default False
        Whether a file that is there is replaced.

    Raises
    ------
    Error
        For a name of no format, values that the type does not hold, and files that cannot be written.
    """
    parts = scan(image)
    if isinstance(parts, str):
        frames: list[Any] = [parts]
    else:
        data, affine, provenance = parts
        frames = [(frame[np.newaxis], affine, provenance) for frame in data]
    _voxgan.write(os.fspath(path), frames, _stored(data_type), force)


def convert(
    input: Path,
    output: Path,
    *,
    ending: str = ".nii.gz",
    data_type: DataType | None = None,
    uncompressed: bool = False,
    nifti_2: bool = False,
    frame: int | None = None,
    series: str | None = None,
    nan_to_zero: bool = False,
    force: bool = False,
    strict: bool = False,
    progress: Progress = None,
) -> list[str]:
    """Convert a scan, a folder of scans, or the series of DICOM input, with the same voxels in the same place.

    Parameters
    ----------
    input : path
        A scan, or a folder.
    output : path
        A file whose name tells the format; of a folder, and of DICOM with several series, another folder.
    ending : str, default ".nii.gz"
        How names end in a folder.
    data_type : str, optional
        The type of the numbers; that of the input where the format has it.
    uncompressed : bool, default False
        Whether NRRD and MetaImage stay uncompressed.
    nifti_2 : bool, default False
        Whether NIfTI-2 is written also where NIfTI-1 would do.
    frame, series, nan_to_zero
        As in :func:`read`.
    force : bool, default False
        Whether files that are there are replaced.
    strict : bool, default False
        Whether the first scan that fails ends the job.
    progress : bool, callable or None, optional
        See :data:`Progress`.

    Returns
    -------
    list of str
        The files that were made.

    Raises
    ------
    Error
        As :func:`read` and :func:`write`; ``incomplete`` where some of several scans failed.
    """
    settings = given(
        input=input,
        output=output,
        ending=ending,
        data_type=None if data_type is None else _stored(data_type),
        uncompressed=uncompressed,
        nifti_2=nifti_2,
        read=given(frame=frame, series=series, nan_to_zero=nan_to_zero),
    )
    with listening(progress, "convert") as tell:
        return [str(path) for path in _voxgan.convert(settings, force, strict, tell)]


def to_dicom(
    input: Path,
    output: Path,
    *,
    source: Path | None = None,
    keep_patient: bool = False,
    description: str | None = None,
    force: bool = False,
    strict: bool = False,
    progress: Progress = None,
) -> list[str]:
    """Write a scan as a series of classic MR images of DICOM, one a slice.

    Parameters
    ----------
    input : path
        A scan, or a folder of scans. A record beside it that says that it is synthetic or restored is followed.
    output : path
        The folder of the series, which is new.
    source : path, optional
        The series that the scan was made of, whose images are referenced.
    keep_patient : bool, default False
        Whether patient and study are those of ``source``.
    description : str, optional
        Series description.
    force, strict, progress
        As in :func:`convert`.

    Returns
    -------
    list of str
        The folders that were made.

    Raises
    ------
    Error
        As :func:`convert`.
    """
    settings = given(
        input=input, output=output, source=source, keep_patient=keep_patient, description=description
    )
    with listening(progress, "to_dicom") as tell:
        return [str(path) for path in _voxgan.to_dicom(settings, force, strict, tell)]


def dicom_series(path: Path) -> list[dict[str, Any]]:
    """The series of DICOM input, without anything that tells who was scanned.

    Parameters
    ----------
    path : path
        A file, a folder, a disc or an archive.

    Returns
    -------
    list of dict
        ``name``, ``number``, ``description``, ``size``, ``spacing_mm``, ``frames``, ``verdict`` and more of each.

    Raises
    ------
    Error
        For input without DICOM.
    """
    found: list[dict[str, Any]] = _voxgan.dicom_series(os.fspath(path))
    return found
