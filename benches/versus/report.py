"""What `run` makes of its samples: lines with ratios and targets, tables, and the records in benches/results."""
import json
import math
import pathlib
import statistics
import subprocess

from machine import say

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"

# What convolutions with channels in multiples of 16 are to reach.
SHARE_OF_PEAK = {"forward": 0.95, "input_grad": 0.85, "weight_grad": 0.85}
FORWARD_RATIO, FORWARD_RATIO_MEAN = 1.0, 1.3
# (resolution, batch): least ratios, and the most memory in parts of the peer's.
NETWORKS = {
    (64, 1): {"generate": 4.0, "step": 2.0, "memory": 0.7},
    (32, 4): {"generate": 2.5, "step": 2.0, "memory": 0.7},
}
KINDS = {
    "generate": "generation",
    "step": "training step",
    "step_r1": "training step with R1",
    "step_pl": "training step with path length",
}


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def target(what, value, least=None, most=None):
    met = value >= least if most is None else value <= most
    return {"what": what, "value": value, "least": least, "most": most, "met": met}


def row(case, unit, samples, targets=None, **more):
    """One line: ours against the faster of the peer's modes."""
    ours = summary(samples["ours"])
    peers = {name: summary(values) for name, values in samples.items() if name != "ours"}
    mode = min(peers, key=lambda name: peers[name]["median"])
    out = {"case": case, "unit": unit, "ours": ours, "peers": peers, "peer_mode": mode, **more}
    out["ratio"] = peers[mode]["median"] / ours["median"]
    out["targets"] = targets(out) if targets else []
    return out


def convolution_rows(cases):
    """A line a case in the faster form; a second one for the direct form where there are two."""
    out, forward = [], []
    for found in cases:
        case, gflop, samples = found["case"], found["gflop"], dict(found["seconds"])
        # Seconds of one GFLOP in the multiply-add loop, from the same rounds.
        peak_s, direct = statistics.median(samples.pop("peak")), samples.pop("direct", None)
        share = lambda seconds: gflop * peak_s / statistics.median(seconds)
        name = f"{case['what'].replace('_', ' ')} {case['in']}→{case['out']}, {case['grid'][0]}³"
        name += f", batch {case['batch']}" if case["batch"] > 1 else ""
        of_forward = case["what"] == "forward"
        ratio = lambda line: [target("ratio", line["ratio"], least=FORWARD_RATIO)] if of_forward else []
        line = row(name, "s", samples, ratio, share_of_peak=share(samples["ours"]))
        out.append(line)
        if of_forward:
            forward.append(line["ratio"])
        if direct:
            of_peak = lambda line: [target("of peak", line["share_of_peak"], least=SHARE_OF_PEAK[case["what"]])]
            out.append(row(f"{name}, direct", "s", {**samples, "ours": direct}, of_peak, share_of_peak=share(direct)))
    if forward:
        mean = math.exp(statistics.fmean(map(math.log, forward)))
        out.append({
            "case": "forward, geometric mean over all sizes", "ratio": mean,
            "targets": [target("ratio", mean, least=FORWARD_RATIO_MEAN)],
        })
    return out


def network_rows(networks):
    out = []
    for found in networks:
        size = (found["resolution"], found["batch"])
        where = f"{size[0]}³, batch {size[1]}"
        for kind, samples in found["seconds"].items():
            least = NETWORKS[size].get(kind)
            ratio = lambda line: [target("ratio", line["ratio"], least=least)]
            out.append(row(f"{KINDS[kind]}, {where}", "s", samples, ratio if least else None))
        # Those that ran everything: with double differentiation is where the peak is.
        peaks = {name: memory["peak_mb"] for name, memory in found["memory"].get("step_pl", {}).items()}
        if peaks and all(peaks.values()):
            part = lambda line: [target("of the peer's", 1 / line["ratio"], most=NETWORKS[size]["memory"])]
            out.append(row(f"peak memory, {where}", "MB", {name: [peak] for name, peak in peaks.items()}, part))
        for error in found["errors"]:
            out.append({"case": where, "error": error, "targets": []})
    return out


def quantity(value, unit):
    if unit == "MB":
        return f"{value:.0f} MB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.{1 if value >= 0.01 else 2}f} ms"


def spread(times, unit):
    """"5.1 to 5.6 ms"."""
    low, high = quantity(times["min"], unit), quantity(times["max"], unit)
    same_unit = low.split()[1] == high.split()[1]
    return "" if unit == "MB" else f"{low.split()[0] if same_unit else low} to {high}"


HEAD = ("case", "ours", "min to max", "peer", "min to max", "mode", "ratio", "of peak", "target", "met")


def cells(line):
    goal = lambda t: f"{t['what']} {'≤' if t['most'] else '≥'} {t['most'] or t['least']:g}"
    goals = "; ".join(map(goal, line["targets"]))
    met = "; ".join("yes" if t["met"] else f"no ({t['value']:.2f})" for t in line["targets"])
    if "error" in line:
        return [line["case"], line["error"], "", "", "", "", "", "", "", "no"]
    if "ours" not in line:
        return [line["case"], "", "", "", "", "", f"{line['ratio']:.2f}", "", goals, met]
    unit, measured = line["unit"], []
    for times in (line["ours"], line["peers"][line["peer_mode"]]):
        measured += [quantity(times["median"], unit), spread(times, unit)]
    share = f"{line['share_of_peak']:.0%}" if "share_of_peak" in line else ""
    return [line["case"], *measured, line["peer_mode"], f"{line['ratio']:.2f}", share, goals, met]


def size_cells(sizes):
    out = []
    for found in sizes:
        line = [f"{found['resolution']}³", str(found["batch"])]
        for kind in ("generate", "step"):
            samples = found["seconds"].get(kind, {})
            medians = [statistics.median(samples[n]) / found["batch"] for n in ("ours", "eager") if samples.get(n)]
            full = len(medians) == 2
            line += [quantity(m, "s") for m in medians] + [f"{medians[1] / medians[0]:.2f}"] if full else ["", "", ""]
        if found.get("left_out"):
            line[2] = "left out: the time was spent"
        out.append(line)
    return out


SIZE_HEAD = ("grid", "batch", "generation", "peer, eager", "ratio", "step", "peer, eager", "ratio")


def as_text(head, lines):
    widths = [max(map(len, column)) for column in zip(head, *lines)]
    pad = lambda line: "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
    return "\n".join([pad(head), pad(["-" * width for width in widths])] + [pad(line) for line in lines])


def as_markdown(head, lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head)] + lines)


def about(report):
    m, versions = report["machine"], report["versions"]
    peak = f"peak {report['peak_gflops']:.0f} GFLOP/s ({report['isa']})"
    load = ", ".join(f"{value:.2f}" for value in m["load_average_at_start"])
    return [
        f"{m['cpu']}, {m['cores']} cores, {report['threads']} threads, {peak}",
        f"{m['kernel']}, {m['date']}, load average at start {load}",
        f"voxgan {versions['voxgan']} ({versions['commit'] or 'no git'}), PyTorch {versions['torch']}",
    ]


def record(report, stem, plot):
    """`<date>-<cpu>.json` and `.md` in benches/results; those of the same name are replaced."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{stem}.json").write_text(json.dumps(report, ensure_ascii=False) + "\n")
    lines = [f"# {report['machine']['date'][:10]}, {report['machine']['cpu']}", ""]
    lines += [f"- {line}" for line in about(report)] + [f"- `{report['command']}`, {report['took_s']:.0f} s", ""]
    lines += ["Times are medians; the ratio is the peer's faster mode over ours."]
    lines += ["[What is measured, and how](../versus/README.md).", ""]
    if report["rows"]:
        lines += [as_markdown(HEAD, [cells(line) for line in report["rows"]]), ""]
    if report["sizes"]:
        lines += ["Seconds a volume against size:", "", as_markdown(SIZE_HEAD, size_cells(report["sizes"])), ""]
    if plot:
        lines += [f"![Cost against size]({plot.name})", ""]
    (RESULTS / f"{stem}.md").write_text("\n".join(lines))
    say(f"wrote {RESULTS / stem}.json and .md")


def draw(python, report, path):
    """The plot of cost against size; None if it could not be drawn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([python, str(HERE / "plot.py"), str(path)], input=json.dumps(report), text=True, stdout=2)
    if done.returncode != 0:
        say("no plot was drawn: the peer's Python lacks matplotlib?")
        return None
    say(f"wrote {path}")
    return path
