"""How long the panel holds up the window: python benchmarks/plugin_latency.py (needs a screen, or xvfb-run).

A 512 x 512 x 64 stack of uint16 and the built-in model. A timer that should tick every millisecond tells how long the
main thread is held up between a click and its object; beside it the parts are timed that run there: what a click
starts, and what an answer does. The window is not shown, so that drawing, which is napari's, is not counted.
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
from qtpy.QtCore import QTimer  # noqa: E402
from qtpy.QtWidgets import QApplication  # noqa: E402

from napari_nninteractive.plugin.layers.prompts import PointPrompts  # noqa: E402
from napari_nninteractive.plugin.panel import Panel  # noqa: E402
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
    while True:
        QApplication.processEvents()
        if until():
            return
        time.sleep(0.0005)


class Heartbeat:
    """Ticks every millisecond, and notes the longest time between two ticks."""

    def __init__(self) -> None:
        self.longest, self._last = 0.0, time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(1)

    def reset(self) -> None:
        """Begin anew."""
        self.longest, self._last = 0.0, time.perf_counter()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now


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
    PointPrompts._on_data = timed(ours, PointPrompts._on_data)  # type: ignore[method-assign]
    Worker._deliver = timed(answers, Worker._deliver)  # type: ignore[method-assign]
    viewer = napari.Viewer(show=False)
    viewer.add_image(image)
    heart = Heartbeat()
    wait(lambda: heart.longest > 0)
    began = time.perf_counter()
    panel = Panel(viewer)
    opening = time.perf_counter() - began
    heart.reset()
    client = panel.client
    wait(lambda: not client.busy)
    loading = heart.longest
    gaps: list[float] = []
    layers = panel.link.layers
    assert layers is not None  # there is an image
    points = layers.points.layer
    clicks: list[float] = []
    engine: list[float] = []
    whole: list[float] = []
    client.predicted.connect(lambda _, prediction: engine.append(prediction.seconds))
    answers.clear()
    ours.clear()
    for n, centre in enumerate(centres):
        viewer.dims.set_point(0, centre[0])
        if n:
            client.next_object()
            wait(lambda: not client.busy)
        QApplication.processEvents()
        heart.reset()
        began = time.perf_counter()
        timed(clicks, points.add)([centre])
        wait(lambda: not client.busy)
        whole.append(time.perf_counter() - began)
        QApplication.processEvents()
        gaps.append(heart.longest)
    more = [w - e for w, e in zip(whole, engine, strict=True)]
    print(f"opening the panel: {1000 * opening:.0f} ms")
    print(f"longest time without a tick while the model was loaded: {1000 * loading:.0f} ms")
    for name, seconds in (
        ("longest time without a tick, click to object", gaps),
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
