"""Where the installed program starts: an interrupt is quiet from here on, also while the rest is loaded."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Load the program and run it; see `napari_nninteractive.cli.main.main`.

    Returns
    -------
    int
        The exit code.
    """
    try:
        from napari_nninteractive.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
