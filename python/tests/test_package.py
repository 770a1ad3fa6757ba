"""The package itself: its types, its documentation, the guide's page and the notebook."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import voxgan
from nbclient import NotebookClient
from numpydoc.validate import validate

from conftest import ROOT, VOLUMES

PAGE = ROOT / "docs" / "src" / "python.md"


CONFIGURATION = str(ROOT / "python" / "pyproject.toml")


def run(folder: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_strict() -> None:
    run(ROOT / "python", "mypy", "--config-file", CONFIGURATION)


def test_stubs_say_what_the_native_module_has(tmp_path: Path) -> None:
    # From elsewhere, so that the native module is the one that is installed.
    run(tmp_path, "mypy.stubtest", "voxgan._voxgan", "--mypy-config-file", CONFIGURATION)


def documented() -> list[str]:
    names = [f"voxgan.{name}" for name in voxgan.__all__ if inspect.isroutine(getattr(voxgan, name))]
    for module in (voxgan.masks, voxgan.metrics, voxgan.operators, voxgan.simulate):
        names += [f"{module.__name__}.{name}" for name in module.__all__ if inspect.isroutine(getattr(module, name))]
    methods = ("load", "from_arrays", "sample", "styles", "volume")
    return names + [f"voxgan.Generator.{name}" for name in methods]


@pytest.mark.parametrize("name", documented())
def test_documentation_is_numpydocs(name: str) -> None:
    """Every parameter, result and exception has its words; the style of single sentences is left to people."""
    wanted = ("PR01", "PR02", "PR03", "PR06", "PR07", "PR10", "RT01", "RT03", "GL03", "GL07", "GL08", "SS03")
    found = [(code, text) for code, text in validate(name)["errors"] if code in wanted]
    assert not found, found


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_the_page_has_its_snippets() -> None:
    assert len(snippets()) >= 10


def test_the_page_runs(tmp_path: Path) -> None:
    """All snippets in one process, in the order of the page, beside the volumes that ship with the program."""
    (tmp_path / "volumes").symlink_to(VOLUMES)
    script = "\n".join(f"# snippet {number}\n{text}" for number, text in enumerate(snippets(), 1))
    (tmp_path / "page.py").write_text(f"if __name__ == '__main__':\n{_indented(script)}", encoding="utf-8")
    done = subprocess.run([sys.executable, "page.py"], capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr


def _indented(text: str) -> str:
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


def test_the_notebook_runs(tmp_path: Path) -> None:
    (tmp_path / "volumes").symlink_to(VOLUMES)
    path = ROOT / "python" / "notebooks" / "from-dicom-to-report.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "the notebook is kept without outputs"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "report.html").stat().st_size > 10_000
