"""What tests share: the program, which is what the package is held against, and small volumes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import voxgan

ROOT = Path(__file__).resolve().parents[2]
VOLUMES = ROOT / "volumes"


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """Runs the program of the same checkout, and returns what it prints."""
    path = os.environ.get("VOXGAN_PROGRAM")
    assert path, "VOXGAN_PROGRAM names the program of this checkout: python/test sets it"

    def run(*arguments: object) -> str:
        command = [path, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def phantom() -> Path:
    """A head of 40×48×40 voxels of 4 mm."""
    return VOLUMES / "phantom-4mm.nii.gz"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head so small that its structures are found in seconds, if not where they are."""
    path = tmp_path_factory.mktemp("small") / "small.nii.gz"
    voxgan.write(path, voxgan.simulate.phantom((24, 28, 24), spacing_mm=4, head_scale=0.55))
    return path


@pytest.fixture(scope="session")
def labels() -> Path:
    """The structures of that head."""
    return VOLUMES / "phantom-4mm_labels.nii.gz"


@pytest.fixture(scope="session")
def kspace() -> npt.NDArray[np.complex64]:
    """K-space of a slice ``[4, 96, 80]``."""
    return np.load(VOLUMES / "kspace-4coils.npy")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of six phantoms, 8×8×8 voxels."""
    folder = tmp_path_factory.mktemp("cache")
    for seed in range(6):
        scan = voxgan.simulate.phantom((20, 24, 20), spacing_mm=8, seed=seed, ventricle_scale=1 + seed / 6)
        voxgan.write(folder / "scans" / f"sub-0{seed}.nii.gz", scan)
    voxgan.prepare(folder / "scans", folder / "cache", shape=(8, 8, 8), spacing_mm=20)
    return folder / "cache"


def same(ours: Any, path: Path) -> None:
    """Whether a volume has the bits and the place of a file that the program wrote, as nibabel reads it."""
    theirs: Any = nibabel.load(path)
    assert isinstance(ours, voxgan.Volume)
    stored = np.asarray(theirs.dataobj.get_unscaled()).T
    voxels = np.ascontiguousarray(ours)
    assert voxels.dtype == stored.dtype.newbyteorder("=")
    # Zeros have signs, which count.
    np.testing.assert_array_equal(voxels.tobytes(), np.ascontiguousarray(stored).tobytes())
    # A NIfTI file holds the affine in float32.
    np.testing.assert_array_equal(ours.affine.astype(np.float32), theirs.affine.astype(np.float32))


def as_json(found: Any) -> Any:
    """What is found as JSON has it: tuples are lists there."""
    return json.loads(json.dumps(found))
