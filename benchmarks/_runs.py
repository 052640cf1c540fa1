"""What the drivers share: where things are, and a measurement in a subprocess."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

__all__ = [
    "Setup",
    "add_options",
    "add_shared",
    "busy_core",
    "cpu_features",
    "published_python",
    "skip",
]

_HERE = Path(__file__).resolve().parent


def skip(reason: str) -> NoReturn:
    """Say why nothing can be measured, and end without an error."""
    print(f"skipped: {reason}")
    sys.exit(0)


def published_python() -> str | None:
    """Interpreter that has the published engine, from ``NNI_PUBLISHED_PYTHON``."""
    return os.environ.get("NNI_PUBLISHED_PYTHON") or None


def cpu_features() -> list[str]:
    """Instruction sets of this CPU that matter for the network."""
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return []
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return [name for name in wanted if name in words]


@contextlib.contextmanager
def busy_core(wanted: bool) -> Iterator[None]:
    """Let a second process keep one core busy meanwhile, where that is wanted."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Option that says where reference cases and real data are."""
    parser.add_argument(
        "--shared",
        type=Path,
        default=os.environ.get("NNI_SHARED", _HERE.parents[1] / "shared"),
        help="folder with golden/ and data/ (default: NNI_SHARED, else shared beside the checkout)",
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of a driver that measures in subprocesses."""
    add_shared(parser)
    parser.add_argument("--threads", type=int, default=2, help="of either engine (default: 2)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all results here")
    parser.add_argument(
        "--busy", action="store_true", help="let a second process keep one core busy meanwhile"
    )
    parser.add_argument(
        "--prefix",
        type=shlex.split,
        default=[],
        metavar="WORDS",
        help="put before every command, for example 'taskset -c 0,1'",
    )


@dataclass(frozen=True, slots=True)
class Setup:
    """How measurements are run.

    Parameters
    ----------
    threads : int
        Of the CPU, for either engine.
    prefix : tuple of str
        Words before every command.
    """

    threads: int
    prefix: tuple[str, ...] = ()

    def run(self, engine: str, measure: str, *options: str) -> dict[str, Any]:
        """Measure once in a new process.

        Parameters
        ----------
        engine : {"ours", "published"}
            Which; the published one needs `published_python`.
        measure : str
            A measurement of ``_measure.py``.
        *options : str
            Its further options.

        Returns
        -------
        dict
            What it measured.

        Raises
        ------
        RuntimeError
            If it failed; with the end of what it printed.
        """
        python = sys.executable if engine == "ours" else published_python()
        if python is None:
            raise RuntimeError("NNI_PUBLISHED_PYTHON is not set")
        command = [*self.prefix, python, str(_HERE / "_measure.py"), engine, measure, *options]
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        environment = os.environ | limits
        if engine == "published":
            environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [*command, "--threads", str(self.threads)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{shlex.join(command)} failed:\n{done.stderr[-2000:]}")
        result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return result
