"""What the Python package costs beside the program: time and memory of the same jobs, taking turns.

    python benches/python/overhead.py PROGRAM [ROUNDS]

Each job runs as a process of its own, the program's and Python's in turn, and gives medians of wall-clock and processor seconds and
of the peak of resident memory; for Python also the wall-clock seconds of the call alone. With sigpy installed, its ESPIRiT and
L1-wavelet reconstruction of the same data are timed too.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCAN = ROOT / "volumes" / "phantom-2mm.nii.gz"

# Name, the program's arguments, and the same in Python: `out` is a folder.
JOBS = {
    "sample, 16 seeds of brain-4mm": (
        ["generate", "--seeds", "0-15", "--out", "{out}/samples"],
        "samples = voxgan.Generator.load('brain-4mm').sample(range(16), progress=False)\n"
        "for n, sample in enumerate(samples): voxgan.write(f'{out}/{n}.nii.gz', sample)",
    ),
    "recon, wavelet, 8 coils of 24×192×160": (
        ["recon", "{data}/kspace.npy", "{out}/image.nii.gz", "--method", "wavelet", "--axes", "hw", "--iterations", "30"],
        "found = voxgan.recon(np.load(f'{data}/kspace.npy'), method='wavelet', iterations=30, transformed=(0, 1, 1))\n"
        "voxgan.write(f'{out}/image.nii.gz', found.image)",
    ),
    "segment, phantom of 2 mm": (
        ["anatomy", "volumes", str(SCAN), "--out", "{out}/volumes"],
        f"labels, row = voxgan.segment({str(SCAN)!r}, return_volumes=True)\n"
        "voxgan.write(f'{out}/labels.nii.gz', labels, data_type='int16')",
    ),
}

CHILD = """
import sys, time
import numpy as np
import voxgan
data, out = sys.argv[1:]
started = time.perf_counter()
{body}
print(time.perf_counter() - started)
"""

SIGPY = """
import sys, time
import numpy as np
import sigpy.mri
kspace = np.load(sys.argv[1] + '/kspace.npy')[:, 12]
started = time.perf_counter()
maps = sigpy.mri.app.EspiritCalib(kspace, calib_width=24, show_pbar=False).run()
between = time.perf_counter()
sigpy.mri.app.L1WaveletRecon(kspace, maps, 1e-3, max_iter=30, show_pbar=False).run()
print(between - started, time.perf_counter() - between)
"""

OURS = """
import sys, time
import numpy as np
import voxgan
kspace = np.load(sys.argv[1] + '/kspace.npy')[:, 12]
started = time.perf_counter()
maps = voxgan.espirit(kspace, calibration=24)
between = time.perf_counter()
voxgan.recon(kspace, maps, method='wavelet', iterations=30)
print(between - started, time.perf_counter() - between)
"""


def measured(command: list[str]) -> tuple[list[float], str]:
    """Wall-clock seconds, processor seconds and MiB of a process, and what it prints."""
    reading, writing = os.pipe()
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.execvp(command[0], command)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        printed = pipe.read()
    _, status, usage = os.wait4(child, 0)
    assert status == 0, command
    return [time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024], printed


def kspace(path: Path) -> None:
    """Eight coils of 24 slices of a phantom, of which a Poisson disc of a quarter is measured."""
    import numpy as np
    import voxgan

    scan = voxgan.simulate.phantom((160, 192, 24), spacing_mm=(1, 1, 6))
    maps = voxgan.birdcage(scan.shape, 8)
    mask = voxgan.masks.poisson(scan.shape, 4, calibration=24)
    np.save(path, voxgan.operators.cartesian(maps, mask, (1, 2)) @ np.asarray(scan))


def main(program: str, rounds: int = 5) -> None:
    with tempfile.TemporaryDirectory() as data:
        kspace(Path(data) / "kspace.npy")
        told = {"load": os.getloadavg(), "cores": os.cpu_count(), "rounds": rounds, "jobs": {}}
        for name, (arguments, body) in JOBS.items():
            figures: dict[str, list[list[float]]] = {"program": [], "python": []}
            for _ in range(rounds):
                with tempfile.TemporaryDirectory() as out:
                    theirs = [argument.format(data=data, out=out) for argument in arguments]
                    figures["program"].append(measured([program, *theirs])[0])
                with tempfile.TemporaryDirectory() as out:
                    child = [sys.executable, "-c", CHILD.format(body=body), data, out]
                    of_process, printed = measured(child)
                    figures["python"].append([*of_process, float(printed)])
            told["jobs"][name] = {
                who: [round(statistics.median(column), 3) for column in zip(*rows, strict=True)]
                for who, rows in figures.items()
            }
            print(name, told["jobs"][name], flush=True)
        for who, script in (("voxgan", OURS), ("sigpy", SIGPY)):
            times = [measured([sys.executable, "-c", script, data])[1].split() for _ in range(rounds)]
            columns = zip(*times, strict=True)
            told[who] = [round(statistics.median(map(float, column)), 4) for column in columns]
            print(who, "ESPIRiT, L1-wavelet of a slice:", told[who], flush=True)
        print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
