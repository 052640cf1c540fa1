"""Time one pass of a model in every way that it can run in: runtime, precision, layout, threads.

    python benchmarks/runtimes.py [MODEL] [--busy] [--repeats N] [--json OUT]

Every figure is the median over processes of the median over passes; the ways take turns, so that a busy machine slows
all.
OpenVINO is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import torch
from _runs import busy_core, cpu_features

import napari_nninteractive as nni
from napari_nninteractive.engine.engine import Engine
from napari_nninteractive.engine.runtime.execution import Execution
from napari_nninteractive.engine.runtime.networks import has_openvino

_WARM, _TIMED, _SECONDS = 2, 15, 3.0


def ways(threads: list[int]) -> list[Execution]:
    """All ways of this machine."""
    torch_ways = product(["torch"], ["fp32", "bf16"], ["default", "channels_last"], threads)
    fast_ways = product(["openvino"], ["fp32", "bf16", "int8"], ["default"], threads)
    rows = [*torch_ways, *(fast_ways if has_openvino() else ())]
    return [Execution(*row) for row in rows]


def measure(model: str, way: Execution, views: int) -> dict[str, Any]:
    """Passes in this process: median seconds of a view, and seconds until the first answer."""
    loaded = nni.load_model(model, device="cpu")
    inputs = torch.empty((views, loaded.capabilities.n_inputs, *loaded.patch_size))
    inputs.normal_(generator=torch.Generator().manual_seed(0))
    began = time.perf_counter()
    # The network itself, which takes several views at once; the runner gives it one after the other.
    network = Engine.of(loaded, execution=way).runner.network
    network(inputs)
    first = time.perf_counter() - began
    seconds: list[float] = []
    while len(seconds) < 3 + _WARM or (len(seconds) < _TIMED and sum(seconds) < _SECONDS):
        start = time.perf_counter()
        network(inputs)
        seconds.append(time.perf_counter() - start)
    return {
        "seconds": statistics.median(seconds[_WARM:]) / views,
        "first_seconds": first,
        "passes": len(seconds),
        "load": os.getloadavg()[0],
    }


def in_a_process(model: str, way: Execution, views: int) -> dict[str, Any]:
    """The same in a new process."""
    command = [sys.executable, __file__, model, "--views", str(views), "--only"]
    done = subprocess.run(
        [*command, json.dumps(asdict(way))], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{way} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="builtin", help="name or folder")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--views", type=int, default=1, help="given to the network at once")
    parser.add_argument("--repeats", type=int, default=3, help="processes per way (default: 3)")
    parser.add_argument(
        "--busy", action="store_true", help="let a second process keep one core busy meanwhile"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all results here")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        way = Execution.from_json(json.loads(options.only))
        print(json.dumps(measure(options.model, way, options.views)))
        return

    results: dict[Execution, list[dict[str, Any]]] = {way: [] for way in ways(options.threads)}
    with busy_core(options.busy):
        for _ in range(options.repeats):
            for way, runs in results.items():
                runs.append(in_a_process(options.model, way, options.views))
    medians = {w: statistics.median(r["seconds"] for r in runs) for w, runs in results.items()}
    for way, seconds in medians.items():
        loads = [run["load"] for run in results[way]]
        print(f"{way!s:45} {seconds:.3f} s  (load {min(loads):.1f} to {max(loads):.1f})")
    if options.json:
        rows = [asdict(w) | {"seconds": medians[w], "runs": runs} for w, runs in results.items()]
        report = {"date": date.today().isoformat(), "cpu": cpu_features(), "busy": options.busy}
        options.json.write_text(json.dumps(report | {"ways": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
