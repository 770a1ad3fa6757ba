"""Reading, writing and converting: what nibabel and pydicom read too, and what the program writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import voxgan

from conftest import VOLUMES


def test_a_scan_is_what_nibabel_reads(phantom: Path) -> None:
    ours, theirs = voxgan.read(phantom), nibabel.load(phantom)
    assert ours.shape == theirs.shape[::-1] and ours.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(ours).T, theirs.get_fdata(dtype=np.float32))
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    assert ours.spacing_mm == pytest.approx(theirs.header.get_zooms())


def test_dicom_is_the_scan_that_it_was_made_of(phantom: Path) -> None:
    folder = VOLUMES / "phantom-dicom"
    (series,) = voxgan.dicom_series(folder)
    assert series["size"] == (40, 48, 40) and series["verdict"] == "read"
    ours = voxgan.read(folder)
    truth = np.asarray(voxgan.read(phantom))
    step = float(pydicom.dcmread(folder / "0001.dcm").RescaleSlope)
    # The series may run along other axes of the voxels: both are brought to one by nibabel.
    brought = nibabel.as_closest_canonical(ours.to_nibabel()).get_fdata(dtype=np.float32).T
    assert np.abs(brought - truth).max() <= step


@pytest.mark.parametrize("ending", ["nii", "mgz", "nrrd", "mha", "nii.gz"])
def test_what_is_written_is_read_again(tmp_path: Path, phantom: Path, ending: str) -> None:
    scan = voxgan.read(phantom)
    path = tmp_path / f"scan.{ending}"
    voxgan.write(path, scan)
    again = voxgan.read(path)
    np.testing.assert_array_equal(again, scan)
    np.testing.assert_allclose(again.affine, scan.affine, rtol=1e-6)
    with pytest.raises(voxgan.Error, match="force") as raised:
        voxgan.write(path, scan)
    assert raised.value.kind == "file" and raised.value.path == str(path)
    voxgan.write(path, scan, force=True)


def test_frames_are_kept(tmp_path: Path, phantom: Path) -> None:
    scan = voxgan.read(phantom)
    series = voxgan.Volume(np.stack([scan, scan * 2]), scan.affine)
    voxgan.write(tmp_path / "series.nii.gz", series)
    again = voxgan.read_series(tmp_path / "series.nii.gz")
    assert again.shape == (2, *scan.shape)
    np.testing.assert_array_equal(again, series)
    np.testing.assert_array_equal(voxgan.read(tmp_path / "series.nii.gz", frame=1), scan * 2)
    with pytest.raises(voxgan.Error, match="frame"):
        voxgan.read(tmp_path / "series.nii.gz")
    assert nibabel.load(tmp_path / "series.nii.gz").shape == (*scan.shape[::-1], 2)


def test_conversion_is_the_programs(tmp_path: Path, program: Callable[..., str], phantom: Path) -> None:
    program("convert", phantom, tmp_path / "program.mgz")
    assert voxgan.convert(phantom, tmp_path / "package.mgz") == [str(tmp_path / "package.mgz")]
    assert (tmp_path / "package.mgz").read_bytes() == (tmp_path / "program.mgz").read_bytes()
    made = voxgan.convert(VOLUMES / "phantom-dicom", tmp_path / "nifti")
    program("convert", VOLUMES / "phantom-dicom", tmp_path / "theirs")
    for path in map(Path, made):
        assert path.read_bytes() == (tmp_path / "theirs" / path.name).read_bytes()
    assert len(made) == 1
    (folder,) = voxgan.to_dicom(phantom, tmp_path / "series", description="A phantom")
    images = sorted(Path(folder).iterdir())
    assert len(images) == 40 and pydicom.dcmread(images[0]).SeriesDescription == "A phantom"
