"""One measurement of one engine in a process of its own; the last line on standard output is its result as JSON.

`compare_published.py` and `published_loads_ours.py` run it, with the interpreter of either engine.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _scenes import Ball, dice

_WARM = 2  # passes before the clock starts
_TIMED = 5


class Rule(torch.nn.Module):
    """Stands for the network: a voxel belongs to the object where the normalised image is above 0.5."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (1, 2, z, y, x) of inputs (1, 8, z, y, x)."""
        score = inputs[:, :1] - 0.5
        return torch.cat((-score, score), dim=1)


class Passes:
    """Counts and times the calls of a network.

    Parameters
    ----------
    network : torch.nn.Module or object
        What to watch; takes the hooks of a module of torch.
    """

    def __init__(self, network: Any) -> None:
        self.count, self.seconds, self._start = 0, 0.0, 0.0
        network.register_forward_pre_hook(self._before)
        network.register_forward_hook(self._after)

    def clear(self) -> None:
        """Start from zero."""
        self.count, self.seconds = 0, 0.0

    def _before(self, *_: object) -> None:
        self._start = time.perf_counter()

    def _after(self, *_: object) -> None:
        self.count += 1
        self.seconds += time.perf_counter() - self._start


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def measure_point(engine: Any, passes: Passes, options: argparse.Namespace) -> dict[str, Any]:
    """One positive point that needs one pass: median of warm calls."""
    ball = Ball(options.side, options.radius)
    engine.open(ball.image())
    seconds, network = [], []
    for _ in range(_WARM + _TIMED):
        engine.reset()
        passes.clear()
        seconds.append(timed(lambda: engine.click(ball.centre))[0])
        network.append(passes.seconds)
    return {
        "seconds": statistics.median(seconds[_WARM:]),
        "network_seconds": statistics.median(network[_WARM:]),
        "first_seconds": seconds[0],
        "passes": passes.count,
        "dice": dice(engine.mask(), ball.truth()),
    }


def measure_sphere(engine: Any, passes: Passes, options: argparse.Namespace) -> dict[str, Any]:
    """One positive point in a ball larger than the patch: AutoZoom and refinement, after a warm pass elsewhere."""
    small = Ball(64, 13)
    engine.open(small.image())
    engine.click(small.centre)
    ball = Ball(options.side, options.radius)
    engine.open(ball.image())
    passes.clear()
    seconds, _ = timed(lambda: engine.click(ball.centre))
    return {
        "seconds": seconds,
        "network_seconds": passes.seconds,
        "passes": passes.count,
        "dice": dice(engine.mask(), ball.truth()),
    }


def memory() -> tuple[int, int]:
    """Peak and present resident memory of this process in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
    peak, now = (int(fields[name].split()[0]) * 1024 for name in ("VmHWM", "VmRSS"))
    return peak, now


def measure_memory(engine: Any, passes: Passes, options: argparse.Namespace) -> dict[str, Any]:
    """Peak memory of opening a large image and clicking once, above the array and a pass on a small image."""
    ball = Ball(options.side, options.radius, options.dtype)
    image = ball.image()
    small = Ball(64, 13, options.dtype)
    engine.open(small.image())
    engine.click(small.centre)
    engine.reset()
    gc.collect()
    peak_before, rest = memory()
    passes.clear()
    seconds, _ = timed(lambda: (engine.open(image), engine.click(ball.centre)))
    peak, _ = memory()
    middle = engine.mask()[ball.side // 2]
    return {
        "bytes_per_voxel": (peak - peak_before) / image.size,
        "bytes_per_voxel_above_rest": (peak - rest) / image.size,
        "seconds": seconds,
        "passes": passes.count,
        "dice": dice(middle, ball.inside(ball.side // 2)),
    }


def measure_plan(module: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Planning the refinement of a solid cube."""
    change = np.zeros((options.side + 20,) * 3, bool)
    change[10:-10, 10:-10, 10:-10] = True
    calls = module.plan(change, options.patch)
    seconds, boxes = timed(calls["plan"])
    if seconds < 1:  # a fast plan is timed when warm, like everything else
        seconds = statistics.median(timed(calls["plan"])[0] for _ in range(_TIMED))
    result = {"seconds": seconds, "boxes": len(boxes)}
    if "opening" in calls:
        result["opening_seconds"] = timed(calls["opening"])[0]
    return result


def click_masks(engine: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Masks of single points in an image from a file, written to a file."""
    with np.load(options.images) as images:
        found = {}
        for name in images.files:
            if not name.startswith("image"):
                continue
            engine.open(images[name])
            number = name.removeprefix("image")
            for index, point in enumerate(images[f"points{number}"]):
                engine.reset()
                engine.click(tuple(int(c) for c in point))
                found[f"mask{number}_{index}"] = engine.mask()
    np.savez_compressed(options.out, **found)
    return {"masks": len(found)}


_MEASURES: dict[str, Callable[[Any, Passes, argparse.Namespace], dict[str, Any]]] = {
    "point": measure_point,
    "sphere": measure_sphere,
    "memory": measure_memory,
    "masks": lambda engine, _, options: click_masks(engine, options),
}


def main() -> None:
    """Run the measurement named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["ours", "published"])
    parser.add_argument("measure", choices=["plan", *_MEASURES])
    parser.add_argument("--model")
    parser.add_argument("--precision", default="auto")
    parser.add_argument(
        "--runtime", default="plain", help="of this engine: plain, torch, openvino or auto"
    )
    parser.add_argument("--rule", action="store_true", help="a threshold instead of the network")
    parser.add_argument("--no-autozoom", action="store_true")
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--radius", type=float, default=13)
    parser.add_argument("--patch", type=int, default=192)
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=Path, help="archive with image<n> and points<n>")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    os.environ["NAPARI_NNINTERACTIVE_RUNTIME"] = options.runtime
    module = importlib.import_module(f"_{options.engine}")
    if options.measure == "plan":
        engine, result = None, measure_plan(module, options)
    else:
        rule = Rule() if options.rule else None
        engine = module.Engine(
            options.model, options.precision, rule, autozoom=not options.no_autozoom
        )
        result = _MEASURES[options.measure](engine, Passes(engine.network), options)
    result |= {
        "version": module.version,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "execution": str(getattr(engine, "execution", "")),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
