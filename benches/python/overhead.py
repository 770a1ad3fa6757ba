"""What the Python package costs beside the program: time and memory of the same jobs, taking turns.

    python benches/python/overhead.py PROGRAM [ROUNDS]

Each job runs as a process of its own, the program's and Python's in turn, and gives medians of wall-clock and processor seconds and
of the peak of resident memory; for Python also the wall-clock seconds of the call alone. With sigpy installed, its ESPIRiT and
L1-wavelet reconstruction of the same data are timed too; with MONAI, its basic U-Net with the segmenter's widths, block by block, over as
many voxels as the segmenter sees, beside the segmenter without refinement.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
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

# As the segmenter looks: at the whole head, then block by block and mirrored. Voxels of 1 mm, eight of them folded into channels.
MONAI = """
import os, time
import torch
from monai.inferers import sliding_window_inference
from monai.networks.nets import BasicUNet
torch.set_num_threads(os.cpu_count())
network = BasicUNet(3, 8, 8 * 37, features=(32, 48, 64, 64, 64, 32)).eval()
likely = lambda logits: logits.unflatten(1, (37, 8)).softmax(1)
blocks = lambda scan: sliding_window_inference(scan, (48, 48, 48), 1, lambda x: likely(network(x)).flatten(1, 2), overlap=0.2)
scan = torch.randn(1, 8, 80, 96, 80)
with torch.inference_mode():
    started = time.perf_counter()
    network(scan).unflatten(1, (37, 8)).argmax(1)
    (blocks(scan) + blocks(scan.flip(-1)).flip(-1)).unflatten(1, (37, 8)).argmax(1)
    took = time.perf_counter() - started
print(took)
"""

NETWORK = f"""
import time
import voxgan
scan, network = voxgan.read({str(SCAN)!r}), voxgan.Segmenter(refine=False)
started = time.perf_counter()
voxgan.segment(scan, segmenter=network)
print(time.perf_counter() - started)
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
        # In a process of its own: a process begins with the memory of the one that starts it.
        subprocess.run([sys.executable, __file__, "kspace", f"{data}/kspace.npy"], check=True)
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
        of_slice, of_network = "ESPIRiT, L1-wavelet of a slice", "a network's labels"
        for who, package, what, script in (
            ("voxgan", "voxgan", of_slice, OURS),
            ("sigpy", "sigpy", of_slice, SIGPY),
            ("voxgan, network", "voxgan", of_network, NETWORK),
            ("MONAI, network", "monai", of_network, MONAI),
        ):
            if importlib.util.find_spec(package) is None:
                print(f"{who}: not installed, left out")
                continue
            times = [measured([sys.executable, "-c", script, data])[1].split() for _ in range(rounds)]
            columns = zip(*times, strict=True)
            told[who] = [round(statistics.median(map(float, column)), 4) for column in columns]
            print(f"{who}: {what}: {told[who]}", flush=True)
        print(json.dumps(told))


if __name__ == "__main__" and sys.argv[1] == "kspace":
    kspace(Path(sys.argv[2]))
elif __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
