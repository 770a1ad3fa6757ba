"""What the benchmark programs share: the machine they run on, our build, and the peers' Python packages."""
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "target"


def say(text):
    print(text, file=sys.stderr, flush=True)


def lacks(python, requirements):
    """The packages pinned in a file that an interpreter has not, as `name==version`; None if it does not run."""
    lines = requirements.read_text().splitlines()
    pins = [line.strip() for line in lines if "==" in line and not line.startswith("#")]
    program = (
        "import sys\nfrom importlib.metadata import version, PackageNotFoundError\n"
        "for pin in sys.argv[1:]:\n"
        "    try: same = version(pin.split('==')[0]) == pin.split('==')[1]\n"
        "    except PackageNotFoundError: same = False\n"
        "    if not same: print(pin)\n"
    )
    try:
        done = subprocess.run([python, "-c", program, *pins], stdout=subprocess.PIPE, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.split()


def interpreter(name, here, what):
    """An interpreter with the packages of `here`/requirements.txt: the one that NAME_PYTHON names, or a virtual
    environment under target/ that is made once."""
    requirements, variable = here / "requirements.txt", f"{name.upper()}_PYTHON"
    given = os.environ.get(variable)
    if given:
        missing = lacks(given, requirements)
        if missing is None:
            sys.exit(f"{variable}: `{given}` does not run; name a Python interpreter or unset it")
        if missing:
            say(f"{variable} lacks {', '.join(missing)}; going on with what it has")
        return given
    folder = TARGET / f"{name}-venv"
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    if lacks(python, requirements) == []:
        return python
    newer = sys.executable if sys.version_info >= (3, 11) else None
    for candidate in ("python3.14", "python3.13", "python3.12", "python3.11"):
        newer = newer or shutil.which(candidate)
    if newer is None:
        sys.exit(f"the peers need Python 3.11 or later: install one, or name it by {variable}")
    say(f"installing the peers' packages under {folder} (once: {what})")
    subprocess.run([newer, "-m", "venv", str(folder)], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", str(requirements)], check=True, stdout=2)
    return python


def build(name):
    """Builds the bench `name` and returns its path, which cargo tells."""
    say("building voxgan")
    command = ["cargo", "bench", "--bench", name, "--no-run", "--locked", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("cargo could not build it; its messages are above")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == name:
            if message.get("executable"):
                return message["executable"]
    sys.exit(f"cargo built no `{name}`: is the [[bench]] section in Cargo.toml?")


def about():
    """Processor, cores, load and versions."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""

    def field(name):
        found = re.search(rf"^{name}\s*:\s*(.*)$", text, re.MULTILINE)
        return found.group(1) if found else ""

    flags = (field("flags") or field("Features")).split()
    wanted = re.compile(r"avx|fma$|amx|asimd|sve|neon")
    return {
        "cpu": field("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instruction_sets": [flag for flag in flags if wanted.match(flag)],
        "load_average_at_start": list(os.getloadavg()),
        "kernel": f"{platform.system()} {platform.release()}",
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "python": platform.python_version(),
    }


def commit():
    """The commit of the checkout, `-dirty` where it has changes; None outside of git."""
    def git(*arguments):
        try:
            done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    return head and head + ("-dirty" if git("status", "--porcelain") else "")


def slug(cpu):
    """The processor's name as a part of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-")
