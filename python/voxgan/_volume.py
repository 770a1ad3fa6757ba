"""Volumes: arrays that know where their voxels lie."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from ._error import Error
from ._types import NativeImage, NativeScan

World: TypeAlias = Literal["scanner", "aligned", "talairach", "mni", "template"]
"""What the world of a volume is that of, as NIfTI's form codes 1 to 5 tell it."""

_WORLDS: tuple[World, ...] = ("scanner", "aligned", "talairach", "mni", "template")


class Volume(np.ndarray[tuple[int, ...], np.dtype[Any]]):
    """An array ``[D, H, W]``, or several of one grid ``[N, D, H, W]``, with the affine from voxels to the world.

    (Samples of a generator of C > 1 channels are ``[N, C, D, H, W]``.)

    The last axis runs fastest, as in a NIfTI file: ``volume[k, j, i]`` is the voxel ``(i, j, k)`` that the affine speaks
    of, and nibabel's ``image.dataobj[i, j, k]``. Arithmetic, copies and the choice of one of N volumes keep the affine;
    whatever else makes a view (slices, transposes) gives a plain array, whose voxels may lie elsewhere.

    Parameters
    ----------
    data : array_like
        Voxels ``[D, H, W]`` or ``[N, D, H, W]``: any array, or what has ``__dlpack__`` such as a tensor of PyTorch,
        which is not copied.
    affine : array_like
        ``[4, 4]``, from voxel ``(i, j, k, 1)`` to the world in millimetres (x to the right, y to the front, z up).
    source : str, optional
        The file that it was made of.
    steps : sequence of str, optional
        What was done to it, oldest first.
    world : {"aligned", "scanner", "talairach", "mni", "template"}, optional
        What its world is that of.

    Attributes
    ----------
    affine : numpy.ndarray
        ``[4, 4]`` of float64.
    provenance : dict
        ``source``, ``steps`` and ``world``.
    """

    _affine: npt.NDArray[np.float64] | None
    _provenance: dict[str, Any]

    def __new__(
        cls,
        data: Any,
        affine: npt.ArrayLike,
        *,
        source: str = "",
        steps: Sequence[str] = (),
        world: World = "aligned",
    ) -> Volume:
        dlpack = hasattr(data, "__dlpack__") and not isinstance(data, np.ndarray)
        array = np.from_dlpack(data) if dlpack else np.asarray(data)
        if array.ndim not in (3, 4, 5):
            raise ValueError(f"expected an array [D, H, W] or [N, D, H, W], found the shape {array.shape}")
        matrix = np.array(affine, dtype=np.float64)
        if matrix.shape != (4, 4):
            raise ValueError(f"expected an affine of shape (4, 4), found {matrix.shape}")
        volume = array.view(cls)
        volume._affine = matrix
        volume._provenance = {"source": source, "steps": list(steps), "world": world}
        return volume

    def __array_finalize__(self, obj: object) -> None:
        self._affine = None
        self._provenance = {"source": "", "steps": [], "world": "aligned"}

    def _like(self, array: npt.NDArray[Any]) -> Volume:
        """The array with the place of this one."""
        volume = np.asarray(array).view(type(self))
        volume._affine = self._affine
        volume._provenance = self._provenance
        return volume

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if return_scalar:
            return array[()]
        return self._like(array) if array.shape == self.shape else np.asarray(array)

    def __getitem__(self, index: Any) -> Any:
        found = np.asarray(self)[index]
        one_of_several = self.ndim > 3 and isinstance(index, (int, np.integer))
        return self._like(found) if one_of_several else found

    def copy(self, order: Any = "C") -> Volume:
        """A copy with the same affine."""
        return self._like(np.asarray(self).copy(order))

    def astype(self, dtype: npt.DTypeLike, *args: Any, **kwargs: Any) -> Volume:  # type: ignore[override]
        """The same voxels as another type, with the same affine."""
        return self._like(np.asarray(self).astype(dtype, *args, **kwargs))

    def __reduce__(self) -> Any:
        return (_restored, (np.asarray(self), self._affine, self._provenance, type(self)))

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return self.__reduce__()

    def __deepcopy__(self, memo: Any) -> Volume:
        return self.copy()

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """From voxel ``(i, j, k, 1)`` to the world in millimetres, ``[4, 4]``."""
        if self._affine is None:
            raise Error("this view of a volume has no affine: make one, Volume(array, affine)", "value")
        return self._affine

    @property
    def provenance(self) -> dict[str, Any]:
        """``source``, ``steps`` and ``world``."""
        return self._provenance

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Size of a voxel along ``(i, j, k)`` in millimetres."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    def to_nibabel(self) -> Any:
        """The volume, or the frames of a series, as ``nibabel.Nifti1Image``, without a copy of the voxels.

        Returns
        -------
        nibabel.Nifti1Image
            Its data are indexed ``[i, j, k]`` or ``[i, j, k, n]``.
        """
        # Without types of its own in part.
        nibabel: Any = importlib.import_module("nibabel")
        data = np.asarray(self)
        if data.ndim > 4:
            raise ValueError("expected [D, H, W] or [N, D, H, W]: take one of several samples")
        if data.dtype == np.bool_:
            data = data.view(np.uint8)
        image = nibabel.Nifti1Image(data.T, self.affine)
        code = _WORLDS.index(self._provenance["world"]) + 1
        image.set_sform(self.affine, code)
        image.set_qform(self.affine, code)
        return image

    @classmethod
    def from_nibabel(cls, image: Any) -> Volume:
        """The volume of an image of nibabel, in float32 and without a copy where nibabel has it so.

        Parameters
        ----------
        image : nibabel.spatialimages.SpatialImage
            Of three axes ``[i, j, k]``, or four ``[i, j, k, n]``.

        Returns
        -------
        Volume
            ``[D, H, W]``, or ``[N, D, H, W]`` of several frames.
        """
        data = image.get_fdata(dtype=np.float32, caching="unchanged").T
        if data.ndim == 4 and data.shape[0] == 1:
            data = data[0]
        header = image.header
        coded = hasattr(header, "get_sform")
        code = (int(header["sform_code"]) or int(header["qform_code"])) if coded else 1
        world = _WORLDS[code - 1] if 1 <= code <= len(_WORLDS) else "aligned"
        return cls(data, image.affine, source=image.get_filename() or "", world=world)


def _restored(data: Any, affine: Any, provenance: dict[str, Any], kind: type[Volume]) -> Volume:
    volume = np.asarray(data).view(kind)
    volume._affine = affine
    volume._provenance = provenance
    return volume


Image: TypeAlias = Union[str, "os.PathLike[str]", Volume, Any]
"""A scan: a path of any format, a :class:`Volume`, or an image of nibabel."""


def _volume_of(image: Image) -> Volume | str:
    """The image as a volume, or its path."""
    if isinstance(image, (str, os.PathLike)):
        return os.fspath(image)
    if isinstance(image, Volume):
        return image
    if hasattr(image, "dataobj") and hasattr(image, "affine"):
        return Volume.from_nibabel(image)
    raise TypeError(
        f"expected a path, a voxgan.Volume or an image of nibabel, found {type(image).__name__}; "
        "an array needs its affine: voxgan.Volume(array, affine)"
    )


def scan(image: Image) -> NativeScan:
    """The image as the native module takes it."""
    volume = _volume_of(image)
    if isinstance(volume, str):
        return volume
    if not np.can_cast(volume.dtype, np.float32, "same_kind"):
        raise TypeError(f"expected voxels of a real type, found {volume.dtype}")
    data = np.asarray(volume, dtype=np.float32)
    if data.ndim > 4:
        raise ValueError(f"expected an image [D, H, W], found the shape {data.shape}")
    return data if data.ndim == 4 else data[np.newaxis], volume.affine.tolist(), volume.provenance


def volume(parts: NativeImage) -> Volume:
    """What the native module returns as a volume; one channel is none."""
    data, affine, provenance = parts
    return Volume(data[0] if len(data) == 1 else data, affine, **provenance)


def mask(places: npt.ArrayLike | None) -> npt.NDArray[np.bool_] | None:
    """A mask ``[D, H, W]`` of an array of truth values or numbers, inside where they are not zero."""
    if places is None:
        return None
    array: npt.NDArray[np.bool_] = np.asarray(places) != 0
    return array if array.ndim >= 3 else array[(np.newaxis,) * (3 - array.ndim)]
