"""Volumes: where voxels lie is kept where it is known, and lost where it is not."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest
import voxgan

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0.5, -126], [0, -0.5, 2, -72], [0, 0, 0, 1]])


def volume() -> voxgan.Volume:
    data = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    return voxgan.Volume(data, AFFINE, source="a.nii", steps=["read"], world="mni")


def test_the_affine_is_of_i_j_k() -> None:
    """Voxel (i, j, k) = (3, 2, 1) is ``volume[1, 2, 3]``, and nibabel's ``dataobj[3, 2, 1]``."""
    image = volume().to_nibabel()
    assert image.shape == (4, 3, 2) and image.dataobj[3, 2, 1] == volume()[1, 2, 3]
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (4, 4)
    assert np.shares_memory(image.dataobj, one := volume()) is False
    shared = one.to_nibabel()
    assert np.shares_memory(np.asarray(shared.dataobj), np.asarray(one))


def test_an_image_of_nibabel_comes_and_goes() -> None:
    image = nibabel.Nifti1Image(np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32), AFFINE)
    image.set_sform(AFFINE, 1)
    ours = voxgan.Volume.from_nibabel(image)
    assert ours.provenance["world"] == "scanner" and ours.flags.c_contiguous is False or ours.shape == (2, 3, 4)
    np.testing.assert_array_equal(np.asarray(ours.to_nibabel().dataobj), image.dataobj)
    assert voxgan.Volume.from_nibabel(nibabel.Nifti1Image(np.zeros((4, 3, 2, 5), np.float32), AFFINE)).shape == (5, 2, 3, 4)


def test_what_keeps_the_place_keeps_the_affine() -> None:
    one = volume()
    for other in [one + 1, -one, np.sqrt(one), one * one, one.copy(), one.astype(np.float64), copy.deepcopy(one)]:
        assert isinstance(other, voxgan.Volume)
        np.testing.assert_array_equal(other.affine, AFFINE)
    several = voxgan.Volume(np.stack([one, one]), AFFINE)
    np.testing.assert_array_equal(several[1].affine, AFFINE)
    again = pickle.loads(pickle.dumps(one))
    assert again.provenance == {"source": "a.nii", "steps": ["read"], "world": "mni"}
    np.testing.assert_array_equal(again, one)
    np.testing.assert_array_equal(again.affine, AFFINE)


def test_what_moves_voxels_loses_it() -> None:
    one = volume()
    for other in [one[::-1], one[0], one[:, 1:], np.flip(one, 1), one[np.newaxis]]:
        assert type(other) is np.ndarray
    for view in [one.T, one.reshape(4, 3, 2), one.transpose(1, 0, 2)]:
        with pytest.raises(voxgan.Error, match="no affine"):
            _ = view.affine
    assert one.sum() == 276 and isinstance(one[0, 0, 1], np.floating)


def test_other_arrays_are_told_of() -> None:
    with pytest.raises(TypeError, match=r"voxgan.Volume\(array, affine\)"):
        voxgan.n4(np.zeros((3, 3, 3)))
    with pytest.raises(TypeError, match="complex"):
        voxgan.n4(voxgan.Volume(np.zeros((3, 3, 3), complex), AFFINE))
    with pytest.raises(ValueError, match="D, H, W"):
        voxgan.Volume(np.zeros((3, 3)), AFFINE)
    with pytest.raises(voxgan.Error, match="singular"):
        voxgan.n4(voxgan.Volume(np.ones((3, 3, 3)), np.zeros((4, 4)) + np.diag([0, 0, 0, 1])))
    with pytest.raises(voxgan.Error, match="NaN") as raised:
        voxgan.n4(voxgan.Volume(np.full((3, 3, 3), np.nan), AFFINE))
    assert raised.value.field == "voxels" and "nan_to_num" in str(raised.value.advice)


class Exchanged:
    """What has nothing but ``__dlpack__``, as a tensor of any library."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self, **options: object) -> object:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


def test_memory_is_shared_by_dlpack(phantom: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    ours = voxgan.Volume(Exchanged(array), AFFINE)
    assert np.shares_memory(ours, array)
    # What the library returns is the memory that it computed in, which others take without a copy.
    scan = voxgan.read(phantom)
    other = np.from_dlpack(Exchanged(np.asarray(scan)))
    assert np.shares_memory(other, scan)


def test_torch_shares_memory(phantom: Path) -> None:
    torch = pytest.importorskip("torch")
    scan = voxgan.read(phantom)
    tensor = torch.from_dlpack(np.asarray(scan))
    tensor[0, 0, 0] = 7.0
    assert scan[0, 0, 0] == 7.0
    back = voxgan.Volume(tensor, scan.affine)
    assert np.shares_memory(back, scan)
