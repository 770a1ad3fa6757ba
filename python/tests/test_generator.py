"""The generator's forward pass in numpy alone, from the weights by name, after the papers; and weights out and in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import voxgan
from safetensors.numpy import load_file, save_file
from voxgan._generator import Conditions, _text

Array = npt.NDArray[np.float64]
TAPS = np.array([1, 3, 3, 1]) / 8


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x) * np.sqrt(2)


def connected(x: Array, weights: dict[str, Array], name: str, multiplier: float = 1.0) -> Array:
    """A fully connected layer with equalised learning rate (Karras et al. 2018)."""
    weight = weights[f"{name}.weight"]
    return x @ weight.T * (multiplier / np.sqrt(weight.shape[1])) + weights[f"{name}.bias"] * multiplier


def convolved(x: Array, kernel: Array) -> Array:
    """``x`` ``[I, D, H, W]`` with a kernel ``[O, I, kd, kh, kw]``, same size, zeros outside."""
    sizes = kernel.shape[2:]
    padded = np.pad(x, [(0, 0), *((n // 2, n // 2) for n in sizes)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, sizes, axis=(1, 2, 3))
    return np.einsum("idhwabc,oiabc->odhw", windows, kernel, optimize=True)


def filtered(x: Array, axis: int, pad: tuple[int, int], gain: float) -> Array:
    """The filter [1, 3, 3, 1] along an axis."""
    padded = np.pad(x, [pad if at == axis else (0, 0) for at in range(4)])
    n = padded.shape[axis] - 3
    return gain * sum(tap * np.take(padded, range(at, at + n), axis) for at, tap in enumerate(TAPS))


def spread(x: Array, axis: int, last: bool) -> Array:
    """Zeros between samples, and behind the last one too."""
    shape = list(x.shape)
    shape[axis] = 2 * shape[axis] - (0 if last else 1)
    wide = np.zeros(shape)
    wide[tuple(slice(None, None, 2) if at == axis else slice(None) for at in range(4))] = x
    return wide


def transposed(x: Array, kernel: Array) -> Array:
    """The transposed convolution with stride two along all axes, without padding."""
    for axis in (1, 2, 3):
        x = spread(x, axis, last=False)
    # Each input adds its kernel: a full correlation with the mirrored one.
    padded = np.pad(x, [(0, 0), (2, 2), (2, 2), (2, 2)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), axis=(1, 2, 3))
    return np.einsum("idhwabc,oiabc->odhw", windows, kernel[:, :, ::-1, ::-1, ::-1], optimize=True)


def modulated(x: Array, w: Array, weights: dict[str, Array], name: str, up: bool) -> Array:
    """A modulated and demodulated layer (Karras et al. 2020, section 2.2), without noise."""
    kernel = weights[f"{name}.weight"] * connected(w, weights, f"{name}.affine")[None, :, None, None, None]
    kernel = kernel / np.sqrt((kernel**2).sum(axis=(1, 2, 3, 4), keepdims=True) + 1e-8)
    if up:
        x = transposed(x, kernel)
        for axis in (1, 2, 3):
            x = filtered(x, axis, (1, 1), 2.0)
    else:
        x = convolved(x, kernel)
    return leaky(x + weights[f"{name}.bias"][:, None, None, None])


def to_image(x: Array, w: Array, weights: dict[str, Array], name: str) -> Array:
    kernel = weights[f"{name}.weight"]
    style = connected(w, weights, f"{name}.affine") / np.sqrt(kernel.shape[1])
    return convolved(x, kernel * style[None, :, None, None, None]) + weights[f"{name}.bias"][:, None, None, None]


def mapped(latent: Array, weights: dict[str, Array]) -> Array:
    x = latent / np.sqrt((latent**2).mean() + 1e-8)
    layers = sum(name.startswith("mapping.fc") and name.endswith(".weight") for name in weights)
    for layer in range(layers):
        x = leaky(connected(x, weights, f"mapping.fc{layer}", 0.01))
    return x


def synthesised(w: Array, weights: dict[str, Array]) -> Array:
    """The synthesis network with skip connections, ``[C, D, H, W]`` of values from −1 to 1."""
    image: Array | None = None
    x = weights["synthesis.b4.const"]
    blocks = sorted({int(name.split(".")[1][1:]) for name in weights if name.startswith("synthesis.b")})
    for block in blocks:
        name = f"synthesis.b{block}"
        if block > 4:
            x = modulated(x, w, weights, f"{name}.conv0", up=True)
            assert image is not None
            for axis in (1, 2, 3):
                image = filtered(spread(image, axis, last=True), axis, (2, 1), 2.0)
        x = modulated(x, w, weights, f"{name}.conv1", up=False)
        detail = to_image(x, w, weights, f"{name}.torgb")
        image = detail if image is None else image + detail
    assert image is not None
    return image


def test_the_forward_pass_is_that_of_the_papers() -> None:
    generator = voxgan.Generator.load("brain-4mm")
    weights = {name.removeprefix("G_ema."): np.float64(array) for name, array in generator.arrays().items()}
    seed, psi = 11, 0.7
    w = mapped(np.float64(generator.latent(seed)), weights)
    truncated = weights["mapping.w_avg"] + psi * (w - weights["mapping.w_avg"])
    styles = generator.styles(generator.latent(seed), psi=psi)
    assert styles.shape == (generator.num_ws, w.size)
    np.testing.assert_allclose(styles, np.broadcast_to(truncated, styles.shape), atol=1e-4)
    image = np.maximum(synthesised(truncated, weights)[0], -1)
    sample = generator.sample(seed, psi=psi)[0]
    # The space of the training set: one line from the network's values to intensities.
    ours, theirs = image.ravel(), np.float64(sample).ravel()
    scale, offset = np.polyfit(ours, theirs, 1)
    assert np.abs(scale * ours + offset - theirs).max() < 1e-4 * np.ptp(theirs)
    np.testing.assert_array_equal(generator.volume(styles), sample)


def test_weights_go_out_and_come_in(tmp_path: Path) -> None:
    generator = voxgan.Generator.load("brain-4mm")
    arrays, metadata = generator.arrays(), generator.metadata
    assert all(array.dtype == np.float32 for array in arrays.values()) and "recipe" in metadata
    save_file(arrays, tmp_path / "brain.safetensors", metadata)
    again = voxgan.Generator.load(str(tmp_path / "brain.safetensors"))
    np.testing.assert_array_equal(again.sample(5), generator.sample(5))
    loaded = load_file(tmp_path / "brain.safetensors")
    loaded["G_ema.synthesis.b4.torgb.bias"] = loaded["G_ema.synthesis.b4.torgb.bias"] + 0.25
    changed = voxgan.Generator.from_arrays(loaded, metadata)
    assert changed.sample(5).mean() > generator.sample(5).mean()
    same = voxgan.Generator.from_arrays(arrays, metadata)
    np.testing.assert_array_equal(same.sample(5), generator.sample(5))
    del loaded["G_ema.mapping.fc0.weight"]
    with pytest.raises(voxgan.Error, match="fc0"):
        voxgan.Generator.from_arrays(loaded, metadata)


@pytest.mark.parametrize(
    ("given", "text"),
    [({"age": 70, "sex": "F"}, "age=70,sex=F"), ({"age": (20, 70)}, "age=20-70"), ("age=34", "age=34"), (None, None)],
)
def test_conditions_are_those_of_the_command_line(given: Conditions | None, text: str | None) -> None:
    assert _text(given) == text


def test_walks_between_samples() -> None:
    generator = voxgan.Generator.load()
    ends = [generator.styles(generator.latent(seed)) for seed in (0, 1)]
    middle = generator.volume(0.5 * ends[0] + 0.5 * ends[1])
    assert middle.shape == generator.shape and middle.spacing_mm == pytest.approx((4, 4, 4))
    with pytest.raises(voxgan.Error, match="styles"):
        generator.volume(ends[0][:2])
    with pytest.raises(voxgan.Error, match="latent"):
        generator.styles([0.0])
    with pytest.raises(voxgan.Error, match="age"):
        generator.sample(0, conditions={"age": 70})
