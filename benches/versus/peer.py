"""PyTorch's side of `run`: a worker that times what it is asked to, one JSON object a line.

Reads requests from its input and answers each with one line; README.md tells the requests, which `main.rs` answers too.
"""
import json
import os
import sys
import time

# Answers alone go where answers are read: what torch and its compilers print goes to the error stream.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import torch

import stylegan2_torch

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


def seconds(repeats, run):
    out = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        out.append(time.perf_counter() - started)
    return out


def status_mb(key):
    """A line of Linux's account of this process ("VmHWM:", its peak memory), in MiB; none on other systems."""
    try:
        with open("/proc/self/status") as lines:
            return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key)), None)
    except OSError:
        return None


def convolution(what, batch, inputs, outputs, grid, kernel):
    """The case's tensors, drawn from N(0, 1), and a call that computes it once, as autograd would."""
    x = torch.randn(batch, inputs, *grid)
    w = torch.randn(outputs, inputs, kernel, kernel, kernel)
    g = torch.randn(batch, outputs, *grid)
    ones, padding = [1] * 3, [kernel // 2] * 3

    def gradient(mask):
        return torch.ops.aten.convolution_backward(g, x, w, None, ones, padding, ones, False, [0] * 3, 1, mask)

    return {
        "forward": lambda: torch.nn.functional.conv3d(x, w, padding=padding),
        "input_grad": lambda: gradient([True, False, False]),
        "weight_grad": lambda: gradient([False, True, False]),
    }[what]


class Worker:
    def __init__(self):
        self.bench, self.warm, self.idle_mb = None, set(), None

    def answer(self, request):
        do = request.pop("do")
        if do == "hello":
            return {"name": "pytorch", "version": torch.__version__, "threads": torch.get_num_threads()}
        if do == "conv":
            repeats = request.pop("repeats")
            with torch.no_grad():
                run = convolution(inputs=request.pop("in"), outputs=request.pop("out"), **request)
                run()
                return {"seconds": seconds(repeats, run)}
        if do == "setup":
            self.idle_mb = status_mb("VmRSS:")
            self.warm.clear()
            self.bench = stylegan2_torch.Bench(compiled=request.pop("mode") == "compile", **request)
            return self.bench.parameters()
        if do == "memory":
            return {"peak_mb": status_mb("VmHWM:"), "idle_mb": self.idle_mb}
        bench = self.bench
        if bench is None:
            return {"error": "nothing is set up yet"}
        run = {
            "generate": bench.generate,
            "step": bench.step,
            "step_r1": lambda: bench.step(r1=True),
            "step_pl": lambda: bench.step(pl=True),
        }[do]
        if do not in self.warm:
            self.warm.add(do)
            run()
        return {"seconds": seconds(request["repeats"], run)}


worker = Worker()
for line in sys.stdin:
    try:
        answer = worker.answer(json.loads(line))
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer) + "\n")
