"""What sigpy takes for one case: `peer.py CASE FOLDER REPEATS` prints one JSON line, seconds of each repeat.

The arrays are those that `main.rs` wrote into FOLDER, so that every side computes on the same numbers. Progress bars are
off; a first call, which compiles what sigpy compiles (numba), is not counted.
"""
import json
import pathlib
import sys
import time

import numpy as np
import sigpy
import sigpy.mri as mri


def case(name, folder):
    load = lambda name: np.load(folder / f"{name}.npy")
    if name.startswith("fft"):
        x = load("fft3d" if name == "fft3d" else "full")
        axes = (0, 1, 2) if name == "fft3d" else (1, 2)
        return lambda: sigpy.fft(x, axes=axes)
    if name == "poisson":
        return lambda: mri.poisson((256, 256), 8, calib=(24, 24), seed=1)
    if name == "espirit":
        kspace = load("full")
        return lambda: mri.app.EspiritCalib(kspace, calib_width=24, show_pbar=False).run()
    kspace, maps = load("sampled"), load("maps")
    if name == "sense":
        return lambda: mri.app.SenseRecon(kspace, maps, lamda=1e-3, max_iter=30, tol=0, show_pbar=False).run()
    if name == "wavelet":
        return lambda: mri.app.L1WaveletRecon(kspace, maps, lamda=1e-3, max_iter=100, tol=0, show_pbar=False).run()
    sys.exit(f"{name}: no such case")


def main():
    name, folder, repeats = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    run = case(name, folder)
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


main()
