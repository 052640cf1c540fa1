"""How long the panel holds up the window: python benchmarks/plugin_latency.py (needs a screen, or xvfb-run).

A 512 x 512 x 64 stack of uint16 and a network that answers at once. Measured are the parts that run on the main thread:
what a click starts, and what an answer does. Drawing is napari's and not counted.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

scratch = tempfile.mkdtemp()
os.environ.setdefault("NAPARI_CONFIG", str(Path(scratch) / "settings.yaml"))
os.environ["XDG_STATE_HOME"] = scratch

import napari  # noqa: E402
import numpy as np  # noqa: E402
from qtpy.QtWidgets import QApplication  # noqa: E402

from napari_nninteractive.plugin.prompt_layers import PointMarks  # noqa: E402
from napari_nninteractive.plugin.widget import Panel  # noqa: E402
from napari_nninteractive.plugin.worker import Worker  # noqa: E402

SHAPE = (64, 512, 512)


def timed(into: list[float], call: Callable[..., Any]) -> Callable[..., Any]:
    """Same function, its seconds noted."""

    def run(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            into.append(time.perf_counter() - began)

    return run


def wait(until: Callable[[], bool]) -> None:
    """Let the window work until something is true."""
    while not until():
        QApplication.processEvents()
        time.sleep(0.001)


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    grid = np.ogrid[tuple(slice(n) for n in SHAPE)]
    image = rng.integers(90, 110, SHAPE).astype(np.uint16)
    centres = [
        (int(rng.integers(10, 54)), int(rng.integers(40, 470)), int(rng.integers(40, 470)))
        for _ in range(12)
    ]
    for centre in centres:
        ball = (
            sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, (8, 18, 18), strict=True)) <= 1
        )
        image[ball] += 300
    answers: list[float] = []
    ours: list[float] = []
    PointMarks._on_data = timed(ours, PointMarks._on_data)  # type: ignore[method-assign]
    Worker._deliver = timed(answers, Worker._deliver)  # type: ignore[method-assign]
    viewer = napari.Viewer(show=False)
    viewer.add_image(image)
    began = time.perf_counter()
    panel = Panel(viewer)
    opening = time.perf_counter() - began
    controller = panel.controller
    wait(lambda: not controller.busy)
    points = panel.binder.set.points.layer
    clicks: list[float] = []
    engine: list[float] = []
    whole: list[float] = []
    answers.clear()
    ours.clear()
    for n, centre in enumerate(centres):
        viewer.dims.set_point(0, centre[0])
        if n:
            controller.next_object()
            wait(lambda: not controller.busy)
        began = time.perf_counter()
        timed(clicks, points.add)([centre])
        wait(lambda: not controller.busy)
        whole.append(time.perf_counter() - began)
        engine.append(controller.prediction.seconds)
    more = [w - e for w, e in zip(whole, engine, strict=True)]
    print(f"opening the panel: {1000 * opening:.0f} ms")
    for name, seconds in (
        ("a click on the main thread, napari's part included", clicks),
        ("of that, ours", ours[1::2]),  # napari announces a point before it adds it
        ("an answer on the main thread", answers),
        ("click to labels, over the engine's own time", more),
    ):
        print(
            f"{name}: {1000 * statistics.median(seconds):.1f} ms, at most {1000 * max(seconds):.1f} ms"
        )
    panel.close_panel()
    viewer.close()


if __name__ == "__main__":
    main()
