"""Linear operators of the scanner's physics, on arrays of complex64.

``A @ x`` applies, ``A @ B`` composes (B acts first), ``A + B`` sums, ``2 * A`` scales, ``A.H`` is the adjoint and ``A.N``
is ``A.H @ A`` by the shortest way. Images are ``[D, H, W]``, k-space is ``[coils, D, H, W]``, DC at ``n // 2``; the
Fourier transform is orthonormal. ``scipy.sparse.linalg`` takes each as it is: there x is flat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, overload

import numpy as np
import numpy.typing as npt

from . import _voxgan
from ._options import plain

__all__ = [
    "LinearOperator",
    "cartesian",
    "crop",
    "encoding",
    "fourier",
    "gradient",
    "motion",
    "nufft",
    "sampled",
    "sensitivities",
    "slices",
    "stack",
    "wavelet",
]

Complex = npt.NDArray[np.complex64]


class LinearOperator:
    """A linear map between complex arrays of two shapes; the functions of this module make them.

    Attributes
    ----------
    shape : tuple of int
        Numbers of places of output and input, as a matrix has them and scipy wants them.
    dtype : numpy.dtype
        complex64.
    """

    dtype = np.dtype(np.complex64)
    # So that ``array @ operator`` is an error and not a loop of numpy over objects.
    __array_ufunc__ = None

    def __init__(self, native: _voxgan.LinearOperator) -> None:
        self._native = native

    def __repr__(self) -> str:
        return f"<voxgan LinearOperator {list(self.input_shape)} -> {list(self.output_shape)}>"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of x in ``A @ x``."""
        return tuple(self._native.input_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of ``A @ x``."""
        return tuple(self._native.output_shape)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of places of output and input."""
        return int(np.prod(self.output_shape)), int(np.prod(self.input_shape))

    @property
    def H(self) -> LinearOperator:
        """The adjoint."""
        return LinearOperator(self._native.adjoint_operator())

    @property
    def N(self) -> LinearOperator:
        """``A.H @ A``, by a shorter way where there is one."""
        return _Normal(self._native)

    @overload
    def __matmul__(self, other: LinearOperator) -> LinearOperator: ...

    @overload
    def __matmul__(self, other: npt.ArrayLike) -> Complex: ...

    def __matmul__(self, other: Union[LinearOperator, npt.ArrayLike]) -> Union[LinearOperator, Complex]:
        if isinstance(other, LinearOperator):
            return LinearOperator(self._native.after(other._native))
        return self._native.forward(_complex(other))

    def __add__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        return LinearOperator(self._native.plus(other._native))

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return self + (-1) * other

    def __rmul__(self, scale: complex) -> LinearOperator:
        number = complex(scale)
        return LinearOperator(self._native.scaled(number.real, number.imag))

    def __mul__(self, scale: complex) -> LinearOperator:
        return self.__rmul__(scale)

    def __neg__(self) -> LinearOperator:
        return (-1) * self

    def matvec(self, x: npt.ArrayLike) -> Complex:
        """``A @ x`` of a flat x, ``[n]`` or ``[n, 1]``, as scipy calls it."""
        return self._native.forward(_complex(x).reshape(self.input_shape)).ravel()

    def rmatvec(self, y: npt.ArrayLike) -> Complex:
        """``A.H @ y`` of a flat y, as scipy calls it."""
        return self._native.adjoint(_complex(y).reshape(self.output_shape)).ravel()


class _Normal(LinearOperator):
    """``A.H @ A`` by the operator's own way."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.input_shape

    @property
    def H(self) -> LinearOperator:
        return self

    def _composed(self) -> LinearOperator:
        return LinearOperator(self._native.adjoint_operator().after(self._native))

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, LinearOperator):
            return self._composed() @ other
        return self._native.normal(_complex(other))

    def __add__(self, other: LinearOperator) -> LinearOperator:
        return self._composed() + other

    def __rmul__(self, scale: complex) -> LinearOperator:
        return scale * self._composed()

    def matvec(self, x: npt.ArrayLike) -> Complex:
        return self._native.normal(_complex(x).reshape(self.input_shape)).ravel()

    def rmatvec(self, y: npt.ArrayLike) -> Complex:
        return self.matvec(y)


def _complex(x: npt.ArrayLike) -> Complex:
    array = np.asarray(x)
    if not np.can_cast(array.dtype, np.complex64, "same_kind"):
        raise TypeError(f"expected an array of numbers, found {array.dtype}")
    return array.astype(np.complex64, copy=False)


def _shape(shape: Sequence[int]) -> list[int]:
    return [int(n) for n in shape]


def fourier(shape: Sequence[int], axes: Sequence[int]) -> LinearOperator:
    """The centred, orthonormal Fourier transform.

    Parameters
    ----------
    shape : sequence of int
        Shape of arrays of any rank.
    axes : sequence of int
        The axes that are transformed.

    Returns
    -------
    LinearOperator
        Image → spectrum.
    """
    return LinearOperator(_voxgan.LinearOperator.fourier(_shape(shape), [axis % len(shape) for axis in axes]))


def crop(input: Sequence[int], output: Sequence[int]) -> LinearOperator:
    """Cut to, or pad with zeros to, another shape about the centre.

    Parameters
    ----------
    input, output : sequence of int
        Two shapes of one rank.

    Returns
    -------
    LinearOperator
        Arrays of the first shape → the second.
    """
    return LinearOperator(_voxgan.LinearOperator.crop(_shape(input), _shape(output)))


def sensitivities(maps: npt.ArrayLike) -> LinearOperator:
    """Coil sensitivities: one image becomes one a coil.

    Parameters
    ----------
    maps : array_like
        ``[coils, D, H, W]``.

    Returns
    -------
    LinearOperator
        ``[D, H, W]`` → ``[coils, D, H, W]``.
    """
    return LinearOperator(_voxgan.LinearOperator.sensitivities(_complex(maps)))


def sampled(mask: npt.ArrayLike, coils: int = 1) -> LinearOperator:
    """What a mask leaves of k-space: zeros wherever it is false.

    Parameters
    ----------
    mask : array_like
        ``[D, H, W]``.
    coils : int, default 1
        Number of coils.

    Returns
    -------
    LinearOperator
        ``[coils, D, H, W]`` → the same.
    """
    return LinearOperator(_voxgan.LinearOperator.sampled(np.asarray(mask) != 0, coils))


def cartesian(maps: npt.ArrayLike, mask: npt.ArrayLike, axes: Sequence[int] = (0, 1, 2)) -> LinearOperator:
    """The Cartesian measurement of coils: sampling · Fourier · sensitivities, with a short way through ``N``.

    Parameters
    ----------
    maps : array_like
        Sensitivities ``[coils, D, H, W]``.
    mask : array_like
        Where k-space is measured, ``[D, H, W]``.
    axes : sequence of int, default (0, 1, 2)
        Which of D, H, W are in k-space.

    Returns
    -------
    LinearOperator
        ``[D, H, W]`` → ``[coils, D, H, W]``.
    """
    return LinearOperator(_voxgan.LinearOperator.cartesian(_complex(maps), np.asarray(mask) != 0, list(axes)))


def nufft(
    image: Sequence[int],
    points: npt.ArrayLike,
    *,
    volume: bool = False,
    width: int = 7,
    oversampling: float = 1.5,
) -> LinearOperator:
    """The non-uniform Fourier transform at any points.

    Parameters
    ----------
    image : four of int
        ``[coils, D, H, W]``.
    points : array_like
        ``[samples, 3]`` in cycles per field of view along (D, H, W), as :func:`voxgan.masks.trajectory` gives.
    volume : bool, default False
        Whether D is transformed too; else every slice along D is sampled at the same points.
    width : int, default 7
        Places that a point is interpolated from, 3 to 8.
    oversampling : float, default 1.5
        How much finer than the spectrum the grid is, 1.25 to 2.

    Returns
    -------
    LinearOperator
        ``[coils, D, H, W]`` → ``[coils, D, 1, samples]``, or ``[coils, 1, 1, samples]`` of a volume.

    Raises
    ------
    voxgan.Error
        For points that are not finite, and an accuracy out of range.
    """
    places = np.asarray(points, dtype=np.float32)
    native = _voxgan.LinearOperator.nufft(_shape(image), places, volume, width, oversampling)
    return LinearOperator(native)


def gradient(image: Sequence[int], weights: Sequence[float] = (1.0, 1.0, 1.0)) -> LinearOperator:
    """Forward differences along every axis of more than one voxel.

    Parameters
    ----------
    image : three of int
        ``[D, H, W]``.
    weights : three of float, default (1, 1, 1)
        Weights of the differences.

    Returns
    -------
    LinearOperator
        ``[D, H, W]`` → ``[axes, D, H, W]``.
    """
    return LinearOperator(_voxgan.LinearOperator.gradient(_shape(image), [float(one) for one in weights]))


def wavelet(
    image: Sequence[int],
    *,
    axes: Sequence[int] = (0, 1, 2),
    levels: int | None = None,
    family: Literal["db1", "db2", "db3", "db4"] = "db2",
) -> LinearOperator:
    """Daubechies' orthonormal wavelets, periodic.

    Parameters
    ----------
    image : three of int
        ``[D, H, W]``.
    axes : sequence of int, default (0, 1, 2)
        The axes that are transformed.
    levels : int, optional
        As many as leave 16 averages along each axis by default.
    family : {"db1", "db2", "db3", "db4"}, default "db2"
        By the number of vanishing moments.

    Returns
    -------
    LinearOperator
        ``[D, H, W]`` → coefficients, padded to a multiple of ``2**levels``.
    """
    return LinearOperator(_voxgan.LinearOperator.wavelet(_shape(image), list(axes), levels, family))


def motion(
    image: Sequence[int],
    *,
    rotation_deg: Sequence[float] = (0.0, 0.0, 0.0),
    translation_mm: Sequence[float] = (0.0, 0.0, 0.0),
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
) -> LinearOperator:
    """Rigid motion of an image about the centre of its grid.

    Parameters
    ----------
    image : three of int
        ``[D, H, W]``.
    rotation_deg : three of float, default (0, 0, 0)
        Angles about ``(i, j, k)`` in degrees.
    translation_mm : three of float, default (0, 0, 0)
        Shifts along ``(i, j, k)`` in millimetres.
    spacing_mm : three of float, default (1, 1, 1)
        Voxel size along ``(i, j, k)``.

    Returns
    -------
    LinearOperator
        ``[D, H, W]`` → the same.

    Raises
    ------
    voxgan.Error
        For turns of more than 60°, and motion out of the plane of a slice.
    """
    rigid = {"rotation_deg": plain(list(rotation_deg)), "translation_mm": plain(list(translation_mm))}
    spacing = [float(mm) for mm in spacing_mm]
    return LinearOperator(_voxgan.LinearOperator.motion(_shape(image), rigid, spacing))


def slices(
    image: Sequence[int],
    factor: int,
    *,
    axis: int = 0,
    width_voxels: float | None = None,
    shape: Literal["boxcar", "gaussian"] = "boxcar",
) -> LinearOperator:
    """Thick slices: the blur by a slice's profile, sampled at the slices' distance.

    Parameters
    ----------
    image : three of int
        ``[D, H, W]``.
    factor : int
        Distance of neighbouring slices in voxels.
    axis : int, default 0
        The axis across the slices, of D, H, W.
    width_voxels : float, optional
        Thickness of a slice (of a Gaussian its full width at half maximum); by default the distance.
    shape : {"boxcar", "gaussian"}, default "boxcar"
        The profile.

    Returns
    -------
    LinearOperator
        ``[D, H, W]`` → the slices.

    Raises
    ------
    voxgan.Error
        For settings out of range.
    """
    width = float(factor if width_voxels is None else width_voxels)
    profile = {"boxcar": {"width_voxels": width}} if shape == "boxcar" else {"gaussian": {"fwhm_voxels": width}}
    settings = {"axis": axis, "factor": factor, "profile": profile}
    return LinearOperator(_voxgan.LinearOperator.slices(_shape(image), settings))


def encoding(description: Mapping[str, Any]) -> LinearOperator:
    """The measurement that a description in plain data makes, with motion, slices, coils and sampling.

    Parameters
    ----------
    description : mapping
        ``shape``, ``spacing_mm``, ``transformed``, ``sampling`` and more, as the library's ``Encoding`` is stored.

    Returns
    -------
    LinearOperator
        ``[D, H, W]`` → what is measured.

    Raises
    ------
    voxgan.Error
        For parts that do not fit together.
    """
    return LinearOperator(_voxgan.LinearOperator.encoding(plain(description)))


def stack(parts: Sequence[LinearOperator]) -> LinearOperator:
    """The outputs of several operators along a new first axis.

    Parameters
    ----------
    parts : sequence of LinearOperator
        Operators that take one shape and give one shape.

    Returns
    -------
    LinearOperator
        x → ``[parts, ...]``.
    """
    return LinearOperator(_voxgan.LinearOperator.stack([part._native for part in parts]))
