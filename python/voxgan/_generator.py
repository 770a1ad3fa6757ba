"""Trained generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from . import _voxgan
from ._options import given
from ._progress import Progress, listening
from ._types import Device
from ._volume import Volume, volume

Noise: TypeAlias = Literal["none", "const", "random"]
"""Noise inputs of a generator: none, its own, or drawn from the seed."""

Conditions: TypeAlias = Union[str, Mapping[str, Union[str, float, tuple[float, float]]]]
"""Values by label, or ranges to draw from: ``{"sex": "F", "age": (20, 70)}``, or the same as ``"sex=F,age=20-70"``."""


class Samples(Volume):
    """Samples of a generator: a volume ``[N, D, H, W]`` with the seed and the labels of each.

    Attributes
    ----------
    seeds : list of int
        Their seeds.
    labels : list of dict
        The conditions of each, by name; empty dictionaries of a generator without conditions.
    """

    seeds: list[int]
    labels: list[dict[str, str]]


class Generator:
    """A trained generator: latent → w's → volume.

    :meth:`load` opens one inside the package, a checkpoint or a run; :meth:`sample` is all that most need.
    """

    def __init__(self, native: _voxgan.Generator, weights: str, device: str) -> None:
        self._native = native
        self._weights = weights
        self._device = device

    def __repr__(self) -> str:
        return f"<voxgan.Generator {self._weights}, [D, H, W] = {self.shape}, sha256 {self.sha256[:12]}>"

    @classmethod
    def load(cls, weights: str = "brain-4mm", *, device: Device = "cpu") -> Generator:
        """Open a generator.

        Parameters
        ----------
        weights : str, default "brain-4mm"
            One inside the package by its name, a checkpoint or weights file (safetensors), or a run's folder.
        device : str, default "cpu"
            Where it computes.

        Returns
        -------
        Generator
            The generator.

        Raises
        ------
        Error
            For weights that cannot be read, and devices that are not there.
        """
        settings = given(weights=str(weights), device=device)
        return cls(_voxgan.Generator(settings), str(weights), device)

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, npt.NDArray[np.float32]],
        metadata: Mapping[str, str],
        *,
        device: Device = "cpu",
    ) -> Generator:
        """A generator of arrays by name, such as :meth:`arrays` gives and PyTorch may have trained further.

        Parameters
        ----------
        arrays : mapping
            Names of StyleGAN2's authors under ``G_ema.``, such as ``G_ema.synthesis.b8.conv0.weight``.
        metadata : mapping
            :attr:`metadata` of the generator that they belong to: recipe and space of its volumes.
        device : str, default "cpu"
            Where it computes.

        Returns
        -------
        Generator
            The generator.

        Raises
        ------
        Error
            For arrays that are missing or have another shape.
        """
        settings = given(weights="arrays", device=device)
        held = {name: np.asarray(array, dtype=np.float32) for name, array in arrays.items()}
        return cls(_voxgan.Generator.of_arrays(held, dict(metadata), settings), "arrays", device)

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights by name, as safetensors holds them: ``safetensors.numpy.save_file(g.arrays(), path, g.metadata)``.

        Returns
        -------
        dict
            Parameters and buffers of the averaged generator, by the names of StyleGAN2's authors.
        """
        return _voxgan.Generator.arrays(self._weights)[0]

    @property
    def metadata(self) -> dict[str, str]:
        """What a weights file says beside its arrays: recipe, space of the volumes, and more."""
        return _voxgan.Generator.arrays(self._weights)[1]

    def sample(
        self,
        seeds: int | Sequence[int],
        *,
        psi: float = 1.0,
        psi_cutoff: int | None = None,
        noise: Noise = "none",
        conditions: Conditions | None = None,
        extrapolate: bool = False,
        progress: Progress = None,
    ) -> Samples:
        """Synthetic volumes, in the space and intensities of the training set.

        Parameters
        ----------
        seeds : int or sequence of int
            One volume is made for each.
        psi : float, default 1.0
            Truncation: smaller values give volumes that are closer to the mean.
        psi_cutoff : int, optional
            Number of truncated layers, from the coarsest; all by default.
        noise : {"none", "const", "random"}, default "none"
            Noise inputs.
        conditions : mapping or str, optional
            Conditions of a conditional generator; what is missing is drawn as it is among the people of the training.
        extrapolate : bool, default False
            Whether values outside the ranges of the training are allowed.
        progress : bool, callable or None, optional
            See :data:`Progress`.

        Returns
        -------
        Samples
            ``[N, D, H, W]`` of float32 (``[N, C, D, H, W]`` of several channels), with ``affine``, ``seeds`` and
            ``labels``.

        Raises
        ------
        Error
            For conditions that the generator does not know, and a ψ that is not finite.
        """
        wanted = [int(seeds)] if isinstance(seeds, (int, np.integer)) else [int(seed) for seed in seeds]
        settings = self._sampling(psi, psi_cutoff, noise, conditions, extrapolate)
        made: Any = None
        labels: list[dict[str, str]] = []
        with listening(progress, "sample") as tell:
            for at, seed in enumerate(wanted):
                (data, affine, provenance), label = self._native.sample(seed, settings)
                image = data[0] if len(data) == 1 else data
                if made is None:
                    made = np.empty((len(wanted), *image.shape), dtype=np.float32)
                    place = (affine, provenance)
                made[at] = image
                labels.append(label)
                if tell is not None:
                    tell("done", "samples", at + 1, len(wanted), None, {})
        if made is None:
            raise ValueError("expected at least one seed")
        samples = Samples(made, place[0], **place[1])
        assert isinstance(samples, Samples)
        samples.seeds, samples.labels = wanted, labels
        return samples

    def latent(self, seed: int) -> npt.NDArray[np.float32]:
        """The latent of a seed, ``[z_dim]``."""
        return np.asarray(self._native.latent(seed), dtype=np.float32)

    def styles(
        self,
        latent: npt.ArrayLike,
        *,
        seed: int = 0,
        psi: float = 1.0,
        psi_cutoff: int | None = None,
        conditions: Conditions | None = None,
    ) -> npt.NDArray[np.float32]:
        """The truncated w's of a latent.

        Parameters
        ----------
        latent : array_like
            ``[z_dim]``, such as :meth:`latent` gives.
        seed : int, default 0
            The seed of conditions that are drawn.
        psi, psi_cutoff, conditions
            As in :meth:`sample`.

        Returns
        -------
        numpy.ndarray
            ``[num_ws, w_dim]``, two for each block.

        Raises
        ------
        Error
            For a latent of another length.
        """
        settings = self._sampling(psi, psi_cutoff, "none", conditions, False)
        return self._native.styles(np.asarray(latent, dtype=np.float32), seed, settings)

    def volume(self, styles: npt.ArrayLike, *, seed: int = 0, noise: Noise = "none") -> Volume:
        """The volume of w's, which may be mixed or interpolated.

        Parameters
        ----------
        styles : array_like
            ``[num_ws, w_dim]``, such as :meth:`styles` gives.
        seed : int, default 0
            The seed of random noise inputs.
        noise : {"none", "const", "random"}, default "none"
            Noise inputs.

        Returns
        -------
        Volume
            ``[D, H, W]`` of float32.

        Raises
        ------
        Error
            For w's of another shape.
        """
        settings = self._sampling(1.0, None, noise, None, False)
        return volume(self._native.volume(np.asarray(styles, dtype=np.float32), seed, settings))

    @property
    def conditions(self) -> list[str]:
        """Names of the conditions; empty of a generator without any."""
        return self._native.conditions

    @property
    def num_ws(self) -> int:
        """Number of w's, two for each block."""
        return self._native.num_ws

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of its volumes, ``[D, H, W]``."""
        d, h, w = self._native.shape
        return d, h, w

    @property
    def recipe(self) -> str:
        """The recipe of its training, as TOML."""
        return self._native.recipe

    @property
    def sha256(self) -> str:
        """SHA-256 of its weights."""
        return self._native.sha256

    def _sampling(
        self,
        psi: float,
        psi_cutoff: int | None,
        noise: Noise,
        conditions: Conditions | None,
        extrapolate: bool,
    ) -> dict[str, Any]:
        return given(
            weights=self._weights,
            psi=psi,
            psi_cutoff=psi_cutoff,
            noise=noise,
            conditions=_text(conditions),
            extrapolate=extrapolate,
            device=self._device,
        )


def _text(conditions: Conditions | None) -> str | None:
    """Conditions as the command line has them."""
    if conditions is None or isinstance(conditions, str):
        return conditions
    values = ((label, value) for label, value in conditions.items())
    return ",".join(
        f"{label}={value[0]}-{value[1]}" if isinstance(value, tuple) else f"{label}={value}" for label, value in values
    )
