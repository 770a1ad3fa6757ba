"""PyTorch's training step on a card: float32, bfloat16 by autocast, and compiled, on the networks of benches/versus.

    peer.py [--tiny] [--device cuda]     prints a line a case; a case that fails says why
"""
import argparse
import contextlib
import pathlib
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "versus"))
import torch

import stylegan2_torch

p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
p.add_argument("--tiny", action="store_true", help="shapes for a machine without a card")
p.add_argument("--device", default="cuda", help="PyTorch's name of the device (cuda)")
a = p.parse_args()
if a.device.startswith("cuda") and not torch.cuda.is_available():
    sys.exit("PyTorch sees no card: its times are left out")
torch.set_default_device(a.device)
# As our float32: no rounding to fewer digits before matrix products.
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = True

SETUPS = [(8, 2)] if a.tiny else [(32, 8), (64, 1), (64, 4)]
WIDTHS = (64, 8, 16) if a.tiny else (1024, 128, 128)


def synchronised():
    if a.device.startswith("cuda"):
        torch.cuda.synchronize()


def step_s(resolution, batch, half, compiled):
    """The least seconds of a step, and those of the first."""
    bench = stylegan2_torch.Bench(resolution, batch, *WIDTHS, compiled)
    kind = a.device.split(":")[0]
    times = []
    for _ in range(2 if a.tiny else 6):
        started = time.perf_counter()
        with torch.autocast(kind, torch.bfloat16) if half else contextlib.nullcontext():
            bench.step()
        synchronised()
        times.append(time.perf_counter() - started)
    return min(times[1:]), times[0]


print(f"PyTorch {torch.__version__} on {a.device}: a training step (volumes/s)")
for resolution, batch in SETUPS:
    for half in (False, True):
        for compiled in (False, True):
            what = f"  {resolution}³ × {batch:<2} {'bfloat16' if half else 'float32':<8} {'compiled' if compiled else 'eager':<13}"
            try:
                least, first = step_s(resolution, batch, half, compiled)
                print(f"{what} {batch / least:.3f} volumes/s (first {first:.2f} s)", flush=True)
            except Exception as error:
                print(f"{what} cannot: {str(error).splitlines()[0][:80]}", flush=True)
