"""Each function against the program on the same input: the same bits, for a path, an image of nibabel and an array."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import voxgan

from conftest import VOLUMES, as_json, same

Program = Callable[..., str]


@pytest.mark.parametrize("given", ["path", "nibabel", "array"])
def test_n4(tmp_path: Path, program: Program, phantom: Path, given: str) -> None:
    program("n4", phantom, tmp_path / "flat.nii.gz", "--field", tmp_path / "field.nii.gz", "--iterations", "5,5")
    image: Any = phantom
    if given == "nibabel":
        image = nibabel.load(phantom)
    if given == "array":
        loaded = nibabel.load(phantom)
        image = voxgan.Volume(np.ascontiguousarray(loaded.get_fdata().T), loaded.affine)
    corrected, field = voxgan.n4(image, iterations=(5, 5))
    same(corrected, tmp_path / "flat.nii.gz")
    same(field, tmp_path / "field.nii.gz")


def test_n4_takes_a_mask(tmp_path: Path, program: Program, phantom: Path, labels: Path) -> None:
    program("n4", phantom, tmp_path / "flat.nii.gz", "--mask", labels, "--iterations", "3")
    same(voxgan.n4(phantom, voxgan.read(labels), iterations=[3])[0], tmp_path / "flat.nii.gz")
    with pytest.raises(voxgan.Error, match="mask"):
        voxgan.n4(phantom, np.ones((2, 2, 2)))


def test_samples(tmp_path: Path, program: Program) -> None:
    program("generate", "--seeds", "0,3", "--psi", "0.7", "--noise", "random", "--out", tmp_path)
    samples = voxgan.Generator.load("brain-4mm").sample([0, 3], psi=0.7, noise="random")
    assert samples.shape == (2, 40, 48, 40) and samples.seeds == [0, 3] and samples.labels == [{}, {}]
    for sample, seed in zip(samples, samples.seeds, strict=True):
        same(voxgan.Volume(sample, samples.affine), tmp_path / f"seed-{seed:04}.nii.gz")
    assert samples.to_nibabel().shape == (40, 48, 40, 2)


def test_structures_and_their_volumes(tmp_path: Path, program: Program, small: Path) -> None:
    program("anatomy", "volumes", small, "--out", tmp_path)
    found, row = voxgan.segment(small, return_volumes=True)
    (path,) = tmp_path.glob("*dseg.nii.gz")
    theirs = nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(found).T, np.asarray(theirs.dataobj))
    np.testing.assert_array_equal(found.affine, theirs.affine)
    with open(tmp_path / "volumes.csv", encoding="utf-8") as file:
        (expected,) = csv.DictReader(file)
    assert list(row) == list(expected)
    for name, text in expected.items():
        value = row[name]
        told = value if isinstance(value, str) else "n/a" if np.isnan(value) else value
        assert told == (text if isinstance(told, str) else float(text)), name


def test_the_brain_alone(tmp_path: Path, program: Program, small: Path) -> None:
    program("anatomy", "strip", small, tmp_path / "brain.nii.gz", "--mask", tmp_path / "mask.nii.gz")
    brain, mask = voxgan.strip(nibabel.load(small))
    same(brain, tmp_path / "brain.nii.gz")
    same(mask.astype(np.uint8), tmp_path / "mask.nii.gz")


def test_volumes_of_label_maps(tmp_path: Path, program: Program, labels: Path) -> None:
    reader = voxgan.Segmenter(labels=True)
    rows = voxgan.volumes([labels, VOLUMES / "phantom-2mm_labels.nii.gz"], segmenter=reader)
    program("anatomy", "volumes", labels, VOLUMES / "phantom-2mm_labels.nii.gz", "--labels", "--out", tmp_path / "them")
    table = voxgan.volumes(
        [labels, VOLUMES / "phantom-2mm_labels.nii.gz"], out=tmp_path / "us", segmenter=reader, as_frame=True
    )
    assert (tmp_path / "us" / "volumes.csv").read_bytes() == (tmp_path / "them" / "volumes.csv").read_bytes()
    assert table["brain_ml"].tolist() == [row["brain_ml"] for row in rows]
    one = voxgan.volumes(voxgan.read(labels), segmenter=reader)
    assert one["brain_ml"] == rows[0]["brain_ml"] and one["subject"] == "phantom-4mm_labels"


def test_a_check(tmp_path: Path, program: Program, labels: Path) -> None:
    verdict = voxgan.check(labels, voxgan.read(labels), segmenter=voxgan.Segmenter(labels=True))
    program("anatomy", "check", labels, labels, "--labels", "--out", tmp_path / "check.json")
    expected = json.loads((tmp_path / "check.json").read_text())
    del expected["pictures"]
    assert as_json(verdict) == expected and verdict["passed"]
    shrunk = voxgan.read(labels)
    shrunk[:20] = 0
    assert not voxgan.check(labels, shrunk, segmenter=voxgan.Segmenter(labels=True))["passed"]
    voxgan.check(labels, labels, out=tmp_path / "ours.json", segmenter=voxgan.Segmenter(labels=True))
    # Pictures lie in folders of the files' names.
    ours, theirs = ((tmp_path / name).read_text() for name in ("ours.json", "check.json"))
    assert ours.replace("ours_pairs", "check_pairs") == theirs


def test_a_comparison_and_its_report(tmp_path: Path, program: Program) -> None:
    for cohort, seeds in (("real", range(4)), ("synthetic", range(4, 8))):
        for seed in seeds:
            scan = voxgan.simulate.phantom((20, 24, 20), spacing_mm=8, of="labels", seed=seed, head_scale=1 + seed / 50)
            voxgan.write(tmp_path / cohort / f"sub-{seed}.nii.gz", scan, data_type="int16")
    folders = (tmp_path / "real", tmp_path / "synthetic")
    found = voxgan.compare(*folders, tmp_path / "us", segmenter=voxgan.Segmenter(labels=True))
    program("anatomy", "compare", *folders, "--labels", "--out", tmp_path / "them")
    assert (tmp_path / "us" / "comparison.csv").read_text() == (tmp_path / "them" / "comparison.csv").read_text()
    stored = json.loads((tmp_path / "us" / "comparison.json").read_text())
    assert found.pop("nearest_distance_ratio") is None
    np.testing.assert_equal(as_json(found), stored)
    voxgan.report(tmp_path / "us", tmp_path / "us.html")
    program("report", tmp_path / "us", "-o", tmp_path / "them.html")
    assert (tmp_path / "us.html").read_bytes() == (tmp_path / "them.html").read_bytes()
    images = [[voxgan.read(path) for path in sorted(folder.glob("*.nii.gz"))] for folder in folders]
    voxgan.compare(*images, tmp_path / "images", segmenter=voxgan.Segmenter(labels=True))
    assert (tmp_path / "images" / "comparison.csv").read_text() == (tmp_path / "us" / "comparison.csv").read_text()
    with pytest.raises(voxgan.Error, match="sub-0001"):
        voxgan.compare(*images, tmp_path / "images", segmenter=voxgan.Segmenter(labels=True))


HEADS: list[tuple[str, list[str], Callable[..., voxgan.Restored], dict[str, Any]]] = [
    ("superres", ["--factor", "1,1,2"], voxgan.superres, {"factor": (1, 1, 2)}),
    ("motion", [], voxgan.motion, {}),
    ("translate", [], voxgan.translate, {}),
    ("progress", ["--years", "8"], voxgan.progress, {"years": 8}),
]


@pytest.mark.parametrize(("name", "options", "function", "settings"), HEADS, ids=[head[0] for head in HEADS])
def test_heads(
    tmp_path: Path,
    program: Program,
    phantom: Path,
    name: str,
    options: list[str],
    function: Callable[..., voxgan.Restored],
    settings: dict[str, Any],
) -> None:
    program(name, phantom, tmp_path / "a.nii.gz", *options, "--keep-spacing", "--no-anatomy")
    restored = function(phantom, keep_spacing=True, **settings)
    same(restored.image, tmp_path / "a.nii.gz")
    same(restored.baseline, tmp_path / "a_baseline.nii.gz")
    same(restored.null_space, tmp_path / "a_nullspace.nii.gz")
    record = json.loads((tmp_path / "a.json").read_text())
    assert restored.null_space_share == record["NullSpaceShare"] and restored.weights == record["Weights"]
    if restored.residuals is not None:
        told = record["DataResidual"]
        assert restored.residuals == (told["Baseline"], told["Network"], told["Result"])


def test_inpainting(tmp_path: Path, program: Program, phantom: Path) -> None:
    scan = voxgan.read(phantom)
    hole = voxgan.Volume(np.zeros(scan.shape, np.float32), scan.affine)
    hole[18:22, 20:26, 10:16] = 1
    voxgan.write(tmp_path / "hole.nii.gz", hole)
    program("inpaint", phantom, tmp_path / "hole.nii.gz", tmp_path / "a.nii.gz", "--keep-spacing", "--no-anatomy")
    restored = voxgan.inpaint(phantom, hole, keep_spacing=True)
    same(restored.image, tmp_path / "a.nii.gz")
    known = np.asarray(hole) == 0
    np.testing.assert_array_equal(restored.image[known], scan[known])


def test_a_generator_as_prior(tmp_path: Path, program: Program, phantom: Path) -> None:
    mask = voxgan.masks.poisson((40, 48, 40), 3, calibration=10)
    np.save(tmp_path / "mask.npy", mask)
    few = ["--steps", "2", "--samples", "2", "--write-samples", "--no-anatomy"]
    program("restore", phantom, tmp_path / "a.nii.gz", "--operator", "kspace", "--mask", tmp_path / "mask.npy", *few)
    heard: list[voxgan.Event] = []
    restored = voxgan.restore(phantom, sampled=mask, steps=2, samples=2, progress=heard.append)
    same(restored.image, tmp_path / "a.nii.gz")
    assert restored.deviation is not None
    same(restored.deviation, tmp_path / "a_std.nii.gz")
    same(restored.samples[1], tmp_path / "a_sample-2.nii.gz")
    assert [event.done for event in heard] == [1, 2, 3, 4] and "misfit" in heard[0].numbers
    with pytest.raises(TypeError, match="exactly one"):
        voxgan.restore(phantom)


METHODS = ["zero_filled", "sense", "grappa", "tv", "wavelet", "homodyne", "pocs", "network"]


@pytest.mark.parametrize("method", METHODS)
def test_reconstruction(
    tmp_path: Path, program: Program, kspace: npt.NDArray[np.complex64], method: Any
) -> None:
    partial = method in ("homodyne", "pocs")
    kind = "partial-fourier" if partial else "random"
    program("mask", kind, "--shape", "80,96", "-o", tmp_path / "mask.npy")
    mask = np.load(tmp_path / "mask.npy")
    few = ["--iterations", "5"] if method in ("sense", "tv", "wavelet", "pocs") else []
    options = ["--mask", tmp_path / "mask.npy", "--axes", "hw", "--spacing-mm", "2,2,2", *few]
    options += ["--no-anatomy"] if method == "network" else []
    program(
        "recon", VOLUMES / "kspace-4coils.npy", tmp_path / "a.nii.gz", "--method", method.replace("_", "-"), *options
    )
    found = voxgan.recon(
        kspace,
        mask=mask,
        method=method,
        iterations=5 if few else None,
        transformed=(False, True, True),
        spacing_mm=(2, 2, 2),
    )
    same(found.image, tmp_path / "a.nii.gz")
    record = json.loads((tmp_path / "a.json").read_text())
    if method == "network":
        assert found.baseline is not None and found.null_space is not None
        same(found.baseline, tmp_path / "a_baseline.nii.gz")
        assert found.data_residual == record["DataResidual"]["Result"] and found.weights == record["Weights"]
    else:
        assert found.data_residual == record["DataResidual"]
    # A path is the same.
    again = voxgan.recon(
        VOLUMES / "kspace-4coils.npy",
        mask=mask,
        method=method,
        iterations=5 if few else None,
        transformed=(False, True, True),
        spacing_mm=(2, 2, 2),
    )
    np.testing.assert_array_equal(again.image, found.image)


def test_maps_are_taken_and_refused(kspace: npt.NDArray[np.complex64]) -> None:
    maps = voxgan.espirit(kspace)
    np.testing.assert_allclose(np.unique(np.round(np.linalg.norm(maps, axis=0), 5)), [0, 1], atol=1e-5)
    by_itself = voxgan.recon(kspace, method="sense", iterations=3)
    np.testing.assert_array_equal(voxgan.recon(kspace, maps, method="sense", iterations=3).image, by_itself.image)
    with pytest.raises(voxgan.Error, match="coils"):
        voxgan.recon(kspace, maps[:2], method="sense")
    with pytest.raises(TypeError, match="iterations"):
        voxgan.recon(kspace, method="grappa", iterations=3)
    with pytest.raises(voxgan.Error, match="mask"):
        voxgan.recon(kspace, mask=np.ones((3, 3)))


def test_known_motion_is_undone(tmp_path: Path, program: Program, phantom: Path) -> None:
    program("simulate", "motion", phantom, tmp_path / "moved.nii.gz", "--kspace", tmp_path / "k.npy", "--seed", "3")
    moved, records = voxgan.simulate.motion(phantom, seed=3)
    same(moved, tmp_path / "moved.nii.gz")
    options = ["--method", "sense", "--iterations", "3", "--spacing-mm", "4,4,4"]
    program("recon", tmp_path / "k.npy", tmp_path / "a.nii.gz", "--shots", tmp_path / "moved.json", *options)
    still = voxgan.recon(
        tmp_path / "k.npy", method="sense", iterations=3, spacing_mm=(4, 4, 4), motion=records[0]["applied"]
    )
    same(still.image, tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("name", "function", "settings", "options"),
    [
        ("ghosting", voxgan.simulate.ghosting, {"ghosts": 4}, ["--ghosts", "4"]),
        ("spikes", voxgan.simulate.spikes, {"count": (2, 3)}, ["--count", "2,3"]),
        ("bias-field", voxgan.simulate.bias_field, {"order": 2}, ["--order", "2"]),
        ("noise", voxgan.simulate.noise, {"snr": 20}, ["--snr", "20"]),
        ("thick-slices", voxgan.simulate.thick_slices, {"thickness_mm": 8}, ["--thickness-mm", "8"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_degradations(
    tmp_path: Path,
    program: Program,
    phantom: Path,
    name: str,
    function: Callable[..., Any],
    settings: dict[str, Any],
    options: list[str],
) -> None:
    program("simulate", name, phantom, tmp_path / "a.nii.gz", "--seed", "5", *options)
    degraded, records = function(phantom, seed=5, **settings)
    same(degraded, tmp_path / "a.nii.gz")
    assert as_json(records) == json.loads((tmp_path / "a.json").read_text())["Records"]
    np.testing.assert_array_equal(voxgan.simulate.replay(phantom, records), degraded)


def test_undersampling(tmp_path: Path, program: Program, phantom: Path) -> None:
    mask = voxgan.masks.poisson((48, 40), 3)
    np.save(tmp_path / "mask.npy", mask)
    program("simulate", "undersample", phantom, tmp_path / "a.nii.gz", "--mask", tmp_path / "mask.npy")
    same(voxgan.simulate.undersampling(phantom, mask)[0], tmp_path / "a.nii.gz")
    pattern = {"kind": "poisson", "acceleration": 3.0, "calibration": [8, 8]}
    _, (record,) = voxgan.simulate.undersampling(phantom, pattern)
    assert record["applied"]["sampling"]["pattern"]["kind"] == "poisson"


@pytest.mark.parametrize("of", ["brain", "labels", "shepp_logan"])
def test_phantoms(tmp_path: Path, program: Program, of: Any) -> None:
    shape = ["--shape", "20,24,10", "--spacing-mm", "8,8,16"]
    program("simulate", "phantom", tmp_path / "a.nii.gz", "--of", of.replace("_", "-"), *shape)
    made = voxgan.simulate.phantom((20, 24, 10), spacing_mm=(8, 8, 16), of=of)
    same(made.astype(np.int16) if of == "labels" else made, tmp_path / "a.nii.gz")


PATTERNS: list[tuple[str, list[str], Callable[[], npt.NDArray[np.bool_]]]] = [
    ("random", [], lambda: voxgan.masks.fastmri((1, 64, 48), seed=7)),
    ("magic", ["--offset", "1"], lambda: voxgan.masks.fastmri((1, 64, 48), columns="magic", offset=1, seed=7)),
    ("gaussian-columns", ["--calibration", "4"], lambda: voxgan.masks.gaussian((1, 64, 48), calibration=4, seed=7)),
    ("poisson", ["--calibration", "8"], lambda: voxgan.masks.poisson((1, 64, 48), calibration=8, seed=7)),
    ("radial", ["--spokes", "9"], lambda: voxgan.masks.radial((1, 64, 48), spokes=9, seed=7)),
    ("spiral", ["--interleaves", "4"], lambda: voxgan.masks.spiral((1, 64, 48), interleaves=4, seed=7)),
    ("caipi", [], lambda: voxgan.masks.caipi((1, 64, 48))),
    ("partial-fourier", ["--end", "low"], lambda: voxgan.masks.partial_fourier((1, 64, 48), end="low")),
]


@pytest.mark.parametrize(("name", "options", "made"), PATTERNS, ids=[pattern[0] for pattern in PATTERNS])
def test_masks(
    tmp_path: Path, program: Program, name: str, options: list[str], made: Callable[[], npt.NDArray[np.bool_]]
) -> None:
    program("mask", name, "--shape", "48,64", "--seed", "7", "-o", tmp_path / "a.npy", *options)
    mask = made()
    np.testing.assert_array_equal(mask, np.load(tmp_path / "a.npy"))
    expected = json.loads((tmp_path / "a.json").read_text())["Report"]
    del expected["nominal"]
    assert as_json(voxgan.masks.report(mask)) == expected


def test_a_plane_is_a_mask_of_two_axes() -> None:
    plane = voxgan.masks.poisson((64, 48), seed=1)
    np.testing.assert_array_equal(plane, voxgan.masks.poisson((1, 64, 48), seed=1)[0])
    points, density = voxgan.masks.trajectory((64, 48), "radial", spokes=5)
    assert points.shape == (density.size, 3) and (points[:, 0] == 0).all()


@pytest.mark.parametrize("profile", ["fastmri", "monai", "calgary"])
def test_scores(tmp_path: Path, program: Program, phantom: Path, profile: Any) -> None:
    noisy, _ = voxgan.simulate.noise(phantom, seed=1)
    voxgan.write(tmp_path / "noisy.nii.gz", noisy)
    options = ["--profile", profile, "--all", "--json", tmp_path / "scores.json"]
    program("score", phantom, tmp_path / "noisy.nii.gz", *options)
    (expected,) = json.loads((tmp_path / "scores.json").read_text())["pairs"]
    found = voxgan.metrics.score(phantom, noisy, profile=profile, all=True)
    assert found == {one["name"]: one["value"] for one in expected["scores"]}


def test_similarity_and_overlap(phantom: Path, labels: Path) -> None:
    scan = voxgan.read(phantom)
    assert voxgan.metrics.ssim(scan, scan, 1000) == pytest.approx(1)
    assert voxgan.metrics.ms_ssim(scan, scan * 0.5, 1000, mask=scan > 0) < 1
    found = voxgan.metrics.overlap(labels, labels)
    assert found["brain"]["dice"] == 1 and found["brain"]["hausdorff95_mm"] == 0
    moved = voxgan.read(labels)
    moved.affine[0, 3] += 8
    apart = voxgan.metrics.overlap(labels, moved)["brain"]
    assert apart["dice"] is not None and apart["dice"] < 0.95 and apart["hausdorff95_mm"] == pytest.approx(8, abs=2)


def test_a_dataset_is_the_programs(tmp_path: Path, program: Program, cache: Path) -> None:
    program("prepare", cache.parent / "scans", tmp_path / "them", "--shape", "8,8,8", "--spacing-mm", "20")
    for theirs in (tmp_path / "them" / "volumes").iterdir():
        assert (cache / "volumes" / theirs.name).read_bytes() == theirs.read_bytes()


def test_a_run_is_the_programs(tmp_path: Path, program: Program, cache: Path) -> None:
    program("train", "tiny", "--data", cache, "--out", tmp_path / "them", "--total-kimg", "0.008")
    heard: list[voxgan.Event] = []
    ended = voxgan.train("tiny", cache, tmp_path / "us", heard.append, total_kimg=0.008)
    assert ended.complete and ended.checkpoint is not None
    ours = Path(ended.checkpoint)
    arrays = [voxgan.Generator.load(str(path)) for path in (ours, tmp_path / "them" / ours.relative_to(tmp_path / "us"))]
    np.testing.assert_array_equal(arrays[0].sample(0), arrays[1].sample(0))
    for name, array in arrays[0].arrays().items():
        np.testing.assert_array_equal(array, arrays[1].arrays()[name], err_msg=name)
    assert any(event.kind == "wrote" for event in heard)
    exported = voxgan.export(tmp_path / "us", tmp_path / "brain.safetensors")
    np.testing.assert_array_equal(voxgan.Generator.load(exported).sample(0), arrays[0].sample(0))
    assert "[network]" in voxgan.recipe("tiny")
