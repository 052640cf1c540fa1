"""Time the whole `evaluate` of some volumes in several runtimes and precisions, and compare the Dice that they reach.

    python benchmarks/evaluate_runtimes.py --data FOLDER --volume NAME [NAME ...] [--objects N] [--prompts N]

Each way is one command for all volumes; brackets hold its share of the first one, which is torch in fp32 as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_TIMES = ("seconds", "prompts")
_WAYS = {
    "torch fp32": ("plain", "fp32"),
    "torch bf16": ("plain", "bf16"),
    "OpenVINO fp32": ("openvino", "fp32"),
    "OpenVINO bf16": ("openvino", "bf16"),
    "OpenVINO int8": ("openvino", "int8"),
    "auto": ("auto", "auto"),
}


def evaluate(options: argparse.Namespace, way: str, out: Path) -> dict[str, Any]:
    """Wall seconds of one command, seconds of its prompts, and mean Dice after each prompt by volume."""
    runtime, precision = _WAYS[way]
    command = [sys.executable, "-c", "from napari_nninteractive.cli.entry import main; main()"]
    command += ["evaluate", "--data", str(options.data), "--device", "cpu"]
    for volume in options.volume:
        command += ["--volume", volume]
    command += ["--objects", str(options.objects), "--prompts", str(options.prompts)]
    command += ["--precision", precision, "--json", str(out), "--force"]
    environment = os.environ | {"NAPARI_NNINTERACTIVE_RUNTIME": runtime}
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{way} failed:\n{done.stderr[-2000:]}")
    report = json.loads(out.read_text(encoding="utf-8"))
    return {
        "seconds": seconds,
        "prompts": sum(sum(entry["seconds"]) for entry in report["objects"]),
        "dice": {row["volume"]: row["dice"] for row in report["summary"]},
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--volume", nargs="+", required=True)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=5)
    parser.add_argument("--ways", nargs="+", default=list(_WAYS), choices=list(_WAYS))
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all results here")
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        # Measuring and calibrating for the first time are part of what is timed.
        os.environ["NAPARI_NNINTERACTIVE_CACHE"] = folder
        for way in options.ways:
            results[way] = run = evaluate(options, way, Path(folder) / "results.json")
            reference = results[options.ways[0]]
            shares = [f"{run[key]:.1f} s ({run[key] / reference[key]:.2f})" for key in _TIMES]
            means = [sum(dice[i] for dice in run["dice"].values()) for i in (0, -1)]
            first, last = (mean / len(run["dice"]) for mean in means)
            print(
                f"{way}: whole command {shares[0]}, prompts {shares[1]}, mean Dice {first:.3f} {last:.3f}, "
                f"load {run['load']:.1f}",
                flush=True,
            )
            for volume, dice in run["dice"].items():
                print(f"  {volume}: {dice[0]:.3f} {dice[-1]:.3f}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
