"""Cost against size: reads the report of `run` from its input and draws it to the SVG that its argument names."""
import json
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

SIDES = {
    "ours": ("voxgan", "tab:blue", "o-"),
    "eager": ("PyTorch, eager", "tab:orange", "s-"),
    "compiled": ("PyTorch, compiled", "tab:green", "D"),
}
AXES = (
    ("resolution", "voxels along each axis, batch 1", lambda found: found["batch"] == 1),
    ("batch", "batch, 32³", lambda found: found["resolution"] == 32),
)

report = json.load(sys.stdin)
# One file for one content: no date, no random names in it.
plt.rcParams.update({"svg.hashsalt": "versus", "svg.fonttype": "none", "font.size": 9})
figure, panels = plt.subplots(2, 2, figsize=(8, 6), constrained_layout=True)
for panel_row, (kind, title) in zip(panels, (("generate", "Generation"), ("step", "Training step"))):
    for panel, (key, label, chosen) in zip(panel_row, AXES):
        found = [f for f in report["sizes"] if chosen(f) and f["seconds"].get(kind)]
        for side, (name, colour, style) in SIDES.items():
            measured = [f for f in found if f["seconds"][kind].get(side)]
            points = [(f[key], statistics.median(f["seconds"][kind][side]) / f["batch"]) for f in measured]
            if points:
                panel.plot(*zip(*sorted(points)), style, color=colour, label=name, markersize=5)
        ticks = sorted({f[key] for f in found})
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.xaxis.minorticks_off()
        panel.set_xlabel(label)
        panel.set_ylabel("seconds a volume")
        panel.set_title(title)
        panel.grid(True, which="both", alpha=0.3)
panels[0][0].legend()
machine = report["machine"]
figure.suptitle(f"{machine['cpu']}, {report['threads']} threads, {machine['date'][:10]}", fontsize=10)
figure.savefig(sys.argv[1], metadata={"Date": None})
