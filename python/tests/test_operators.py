"""Linear operators: against numpy, by the adjoint identity, and in scipy's solvers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse.linalg
import voxgan
from voxgan import operators as ops

RNG = np.random.default_rng(0)


def noise(*shape: int) -> npt.NDArray[np.complex64]:
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(np.complex64)


MAPS = voxgan.birdcage((6, 8, 10), 4)
MASK = voxgan.masks.poisson((6, 8, 10), 2, calibration=2)
POINTS, _ = voxgan.masks.trajectory((8, 10), "radial", spokes=7)

OPERATORS: dict[str, Callable[[], ops.LinearOperator]] = {
    "fourier": lambda: ops.fourier((5, 6, 7), (0, 2)),
    "crop": lambda: ops.crop((5, 6), (8, 3)),
    "sensitivities": lambda: ops.sensitivities(MAPS),
    "sampled": lambda: ops.sampled(MASK, 4),
    "cartesian": lambda: ops.cartesian(MAPS, MASK),
    "nufft": lambda: ops.nufft((2, 6, 8, 10), POINTS),
    "gradient": lambda: ops.gradient((6, 8, 1), (1, 0.5, 1)),
    "wavelet": lambda: ops.wavelet((6, 8, 10), levels=2, family="db3"),
    "motion": lambda: ops.motion((6, 8, 10), rotation_deg=(3, -4, 5), translation_mm=(1, 0, -1)),
    "slices": lambda: ops.slices((6, 8, 10), 3, shape="gaussian"),
    "encoding": lambda: ops.encoding(
        {"shape": [1, 8, 10], "spacing_mm": [1, 1, 1], "transformed": [False, True, True], "sampling": "full"}
    ),
    "composed": lambda: ops.fourier((4, 6, 8, 10), (1, 2)) @ ops.sensitivities(MAPS),
    "sum": lambda: 2j * ops.fourier((5, 6), (0,)) - ops.fourier((5, 6), (1,)),
    "stack": lambda: ops.stack([ops.fourier((5, 6), (0,)), ops.fourier((5, 6), (1,))]),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_adjoint_is_one(name: str) -> None:
    a = OPERATORS[name]()
    x, y = noise(*a.input_shape), noise(*a.output_shape)
    left, right = np.vdot(y, a @ x), np.vdot(a.H @ y, x)
    assert abs(left - right) < 1e-4 * np.linalg.norm(x) * np.linalg.norm(y)
    np.testing.assert_allclose(a.N @ x, a.H @ (a @ x), atol=1e-4 * np.abs(a.N @ x).max())
    assert a.shape == (y.size, x.size) and a.H.shape == (x.size, y.size)


def test_the_transform_is_numpys() -> None:
    x = noise(6, 7, 8)
    expected = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(x, (1, 2)), axes=(1, 2), norm="ortho"), (1, 2))
    np.testing.assert_allclose(ops.fourier(x.shape, (1, 2)) @ x, expected, atol=1e-5)


def test_cartesian_is_its_parts() -> None:
    x = noise(6, 8, 10)
    parts = ops.sampled(MASK, 4) @ ops.fourier(MAPS.shape, (1, 2, 3)) @ ops.sensitivities(MAPS)
    np.testing.assert_allclose(ops.cartesian(MAPS, MASK) @ x, parts @ x, atol=1e-5)


def test_scipy_solves_with_it() -> None:
    """Least squares of a measurement that determines the image, by scipy's own iterations."""
    a, truth = ops.cartesian(MAPS, np.ones((6, 8, 10), bool)), noise(6, 8, 10)
    y = a @ truth
    as_scipy = scipy.sparse.linalg.aslinearoperator(a)
    assert as_scipy.shape == a.shape and as_scipy.dtype == np.complex64
    solved = scipy.sparse.linalg.lsqr(as_scipy, y.ravel(), atol=1e-7, btol=1e-7)[0]
    np.testing.assert_allclose(solved.reshape(truth.shape), truth, atol=1e-3)
    found, code = scipy.sparse.linalg.cg(a.N, (a.H @ y).ravel(), rtol=1e-6)
    assert code == 0
    np.testing.assert_allclose(found.reshape(truth.shape), truth, atol=1e-3)


def test_what_does_not_fit_is_refused() -> None:
    a = ops.fourier((5, 6), (0,))
    with pytest.raises(ValueError, match=r"\[5, 6\]"):
        a @ noise(6, 5)
    with pytest.raises(ValueError, match="do not fit"):
        a @ ops.fourier((6, 5), (0,))
    with pytest.raises(ValueError, match="same shapes"):
        a + ops.fourier((6, 5), (0,))
    with pytest.raises(TypeError, match="numbers"):
        a @ np.full((5, 6), "x")
    with pytest.raises(ValueError, match="axes"):
        ops.wavelet((6, 8, 10), axes=(0, 0))
    with pytest.raises(voxgan.Error, match="60"):
        ops.motion((6, 8, 10), rotation_deg=(0, 0, 80))
