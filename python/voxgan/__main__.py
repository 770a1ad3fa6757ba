"""The program ``voxgan``: ``voxgan`` and ``python -m voxgan`` run the library's own command line."""

from __future__ import annotations

import signal
import sys

from . import _voxgan


def main() -> None:
    """Run the program with the arguments of this process, and end with its exit code."""
    # As in any program: an interrupt ends it, unless the command listens to interrupts itself; and a closed pipe is heard of.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_voxgan.main(["voxgan", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
