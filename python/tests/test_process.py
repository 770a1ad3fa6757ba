"""How jobs live in a Python process: progress, interrupts, exceptions, forks, threads and the log."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import voxgan


def test_errors_are_in_parts() -> None:
    with pytest.raises(voxgan.Error) as raised:
        voxgan.read("nowhere.nii.gz")
    error = raised.value
    assert (error.kind, error.path) == ("io", "nowhere.nii.gz") and "nowhere.nii.gz" in str(error)
    with pytest.raises(voxgan.Error) as raised:
        voxgan.Generator.load("brain-4mm").sample(0, psi=float("nan"))
    error = raised.value
    assert (error.kind, error.field, error.found) == ("value", "psi", "NaN") and "usual" in str(error.advice)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.field, again.kind) == (str(error), error.field, error.kind)
    with pytest.raises(voxgan.Error) as raised:
        voxgan.Generator.load("brain-8mm")
    assert "brain-4mm" in str(raised.value.expected)


def test_options_that_are_not_there_are_told_of(phantom: Path) -> None:
    with pytest.raises(voxgan.Error, match="unknown field `lenght`") as raised:
        voxgan.simulate.cascade(phantom, [{"kind": "bias_field", "lenght": 3}])
    assert raised.value.kind == "value"
    with pytest.raises(voxgan.Error, match="keep_spacing"):
        voxgan.superres(phantom, 2)


def test_progress_is_heard(cache: Path) -> None:
    heard: list[voxgan.Event] = []
    voxgan.Generator.load().sample([0, 1, 2], progress=heard.append)
    assert [(event.kind, event.done, event.of) for event in heard] == [("done", n, 3) for n in (1, 2, 3)]
    again: list[voxgan.Event] = []
    voxgan.prepare(cache.parent / "scans", cache, shape=(8, 8, 8), spacing_mm=20, progress=again.append)
    assert sorted(event.done for event in again) == list(range(1, 7))


def test_a_bar_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    voxgan.Generator.load().sample([0, 1], progress=True)
    assert "2/2" in capsys.readouterr().err
    voxgan.Generator.load().sample([0, 1], progress=False)
    assert capsys.readouterr().err == ""


class Enough(Exception):
    """An exception of a caller."""


def test_an_exception_ends_the_job_and_passes_through(cache: Path, tmp_path: Path) -> None:
    def stop(event: voxgan.Event) -> None:
        if event.kind == "step":
            raise Enough

    with pytest.raises(Enough):
        voxgan.train("tiny", cache, tmp_path / "run", stop, total_kimg=40)
    (checkpoint,) = (tmp_path / "run" / "checkpoints").glob("step-*.safetensors")
    assert not list(tmp_path.rglob("*.voxgan.tmp"))
    assert voxgan.Generator.load(str(checkpoint)).shape == (8, 8, 8)


INTERRUPTED = """
import sys, voxgan
try:
    voxgan.train("tiny", sys.argv[1], sys.argv[2], lambda event: print(event.kind, flush=True), total_kimg=40)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_an_interrupt_saves_and_the_run_goes_on(cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    child = subprocess.Popen([sys.executable, "-c", INTERRUPTED, cache, run], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    # Once something is heard of it, it trains.
    assert child.stdout.readline()
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=120)
    assert child.returncode == 0 and said.splitlines()[-1] == "interrupted"
    assert not list(run.rglob("*.voxgan.tmp")) and list((run / "checkpoints").glob("step-*.safetensors"))

    def resumed(event: voxgan.Event) -> None:
        if event.kind == "done":
            assert event.done > 0
            raise Enough

    with pytest.raises(Enough):
        voxgan.train("tiny", cache, run, resumed, total_kimg=40)


def child_job(answers: multiprocessing.Queue[str]) -> None:
    """What a child process makes of a job."""
    try:
        answers.put(f"{voxgan.Generator.load().sample(0).shape}")
    except RuntimeError as error:
        answers.put(str(error))


@pytest.mark.parametrize(("method", "answer"), [("fork", "spawn"), ("spawn", "(1, 40, 48, 40)")])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_processes_are_told_and_spawned_ones_work(method: str, answer: str) -> None:
    voxgan.Generator.load()
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    child = context.Process(target=child_job, args=(answers,))
    child.start()
    assert answer in answers.get(timeout=120)
    child.join(timeout=60)
    assert child.exitcode == 0


def load(dataset: voxgan.Dataset, index: int) -> np.ndarray:
    return np.asarray(dataset[index])


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_workers_read_a_dataset(cache: Path, method: str) -> None:
    dataset = voxgan.Dataset(cache)
    assert len(dataset) == 6 and dataset.shape == (8, 8, 8) and len(dataset[1:3]) == 2
    with multiprocessing.get_context(method).Pool(2) as pool:
        read = pool.starmap(load, [(dataset, index) for index in range(6)])
    for index, volume in enumerate(read):
        np.testing.assert_array_equal(volume, dataset[index])
    np.testing.assert_array_equal(dataset[-1], dataset[5])
    with pytest.raises(IndexError):
        dataset[6]
    assert dataset.entry(0)["name"] == "sub-00" and dataset.labels(0) == {}


def test_a_dataloader_takes_a_dataset(cache: Path) -> None:
    data = pytest.importorskip("torch.utils.data")
    loader = data.DataLoader(voxgan.Dataset(cache), batch_size=3, num_workers=2, multiprocessing_context="spawn")
    assert [tuple(batch.shape) for batch in loader] == [(3, 8, 8, 8)] * 2


def test_other_threads_go_on_meanwhile(phantom: Path) -> None:
    beats = 0
    over = threading.Event()

    def beat() -> None:
        nonlocal beats
        while not over.wait(0.005):
            beats += 1

    thread = threading.Thread(target=beat)
    thread.start()
    started = time.perf_counter()
    voxgan.n4(voxgan.simulate.phantom((60, 72, 60), spacing_mm=3), shrink=1, iterations=(30, 30))
    took = time.perf_counter() - started
    over.set()
    thread.join()
    # Were they held up, there would be hardly one.
    assert beats > 0.2 * took / 0.005


def test_the_log_is_pythons(tmp_path: Path, phantom: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="voxgan"):
        voxgan.write(tmp_path / "a.nii.gz", phantom)
    (record,) = [record for record in caplog.records if "a.nii.gz" in record.getMessage()]
    assert record.levelno == logging.INFO and record.name.startswith("voxgan.io")
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="voxgan"):
        voxgan.write(tmp_path / "b.nii.gz", phantom)
    assert not caplog.records


def test_scans_that_fail_are_warned_of(tmp_path: Path) -> None:
    voxgan.write(tmp_path / "scans" / "a.nii.gz", voxgan.simulate.phantom((20, 24, 20), spacing_mm=8))
    (tmp_path / "scans" / "b.nii.gz").write_bytes(b"no scan")
    with pytest.warns(UserWarning, match="b.nii.gz"):
        dataset = voxgan.prepare(tmp_path / "scans", tmp_path / "cache", shape=(8, 8, 8), spacing_mm=20)
    assert len(dataset) == 1
    with pytest.raises(voxgan.Error) as raised:
        voxgan.convert(tmp_path / "scans", tmp_path / "converted", ending=".mgz")
    assert raised.value.kind == "incomplete" and (tmp_path / "converted" / "a.mgz").exists()


def test_the_program_comes_with_the_package(tmp_path: Path) -> None:
    command = os.path.join(os.path.dirname(sys.executable), "voxgan")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([command, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=300)

    assert run("--version").stdout.strip() == f"voxgan {voxgan.__version__}"
    assert run("nonsense").returncode == 2 and run("n4", "nowhere.nii", "out.nii").returncode == 1
    made = run("simulate", "phantom", "a.nii.gz", "--shape", "20,24,20", "--spacing-mm", "8,8,8")
    assert made.returncode == 0 and made.stdout.strip() == "a.nii.gz"
    as_module = subprocess.run([sys.executable, "-m", "voxgan", "--version"], capture_output=True, text=True, timeout=60)
    assert as_module.stdout == run("--version").stdout
