"""Pictures of the panel for the documentation: python scripts/screenshots.py [FOLDER] (needs a screen, or xvfb-run).

Everything shown is made by the program itself: the sample stack of nuclei, real prompts, the built-in model.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

scratch = tempfile.mkdtemp()
os.environ.setdefault("NAPARI_CONFIG", str(Path(scratch) / "settings.yaml"))  # not the user's
os.environ["XDG_STATE_HOME"] = scratch

import napari  # noqa: E402
import numpy as np  # noqa: E402
from napari.settings import get_settings  # noqa: E402
from PIL import Image  # noqa: E402
from qtpy.QtWidgets import QApplication  # noqa: E402

from napari_nninteractive.core.prompts import Point  # noqa: E402
from napari_nninteractive.plugin.panel import Panel  # noqa: E402
from napari_nninteractive.simulation.images.samples import nuclei  # noqa: E402
from napari_nninteractive.simulation.users.next_prompt import centre_point  # noqa: E402

DEFAULT = Path(__file__).resolve().parent.parent / "docs" / "images"


def wait(until: Callable[[], bool] = lambda: False, seconds: float = 0.4) -> None:
    """Let the window work for a while, or until something is true."""
    end = time.monotonic() + (seconds if not until.__code__.co_names else 120)
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.01)


class Film:
    """Frames of the window, written as an animated GIF."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._frames: list[Image.Image] = []
        self._times: list[int] = []

    def shoot(self, milliseconds: int) -> None:
        """Take a frame that is shown for a while."""
        wait(seconds=0.15)
        window = np.asarray(self._viewer.screenshot(canvas_only=False, flash=False))[..., :3]
        picture = Image.fromarray(window[:, 318:])  # without napari's list of layers
        picture = picture.resize(
            (picture.width * 2 // 3, picture.height * 2 // 3), Image.Resampling.LANCZOS
        )
        self._frames.append(picture)
        self._times.append(milliseconds)

    def write(self, path: Path) -> None:
        """Write all frames, with one palette of all so that it stays small."""
        width, height = self._frames[0].size
        strip = Image.new("RGB", (width, height * len(self._frames)))
        for n, frame in enumerate(self._frames):
            strip.paste(frame, (0, n * height))
        palette = strip.quantize(160, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        flat = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in self._frames]
        flat[0].save(
            path, save_all=True, append_images=flat[1:], duration=self._times, loop=0, optimize=True
        )


def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = nuclei()
    viewer = napari.Viewer()
    viewer.window.resize(1280, 940)
    viewer.add_image(
        sample.image, name=sample.name, scale=sample.spacing, units=("micrometer",) * 3
    )
    panel = Panel(viewer)
    viewer.window.add_dock_widget(panel, name="nnInteractive", area="right")
    target = centre_point(sample.labels == sample.inner_object())
    viewer.dims.set_point(0, target.position[0] * sample.spacing[0])
    wait(lambda: not panel.client.busy)
    wait()
    viewer.reset_view()
    wait()

    def shoot(name: str) -> None:
        wait()
        viewer.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)

    def add(point: Point) -> None:
        layers = panel.link.layers
        assert layers is not None  # there is an image
        layers.points.layer.add([point.position])
        wait(lambda: not panel.client.busy)

    film = Film(viewer)
    shoot("panel_start")
    film.shoot(1200)
    add(target)
    shoot("panel_object")
    film.shoot(1200)
    here = target.position[0]
    for away in (2, 4, 6, 8, 6, 4, 2, 0, -2, -4, -6, -8, -6, -4, -2, 0):
        viewer.dims.set_point(0, (here + away) * sample.spacing[0])
        film.shoot(120)
    others = [
        n
        for n in range(1, int(sample.labels.max()) + 1)
        if (sample.labels == n)[here].any() and n != sample.inner_object()
    ]
    for label in others[:2]:
        panel.view.objects.next.click()
        wait(lambda: not panel.client.busy)
        film.shoot(700)
        flat = (sample.labels == label)[here]
        row, column = centre_point(flat[None]).position[1:]
        add(Point((here, row, column)))
        film.shoot(1200)
    film.write(folder / "first_object.gif")
    panel.view.drawing.signs[False].click()
    shoot("panel_objects")
    panel.view.drawing.signs[True].click()
    get_settings().appearance.theme = "light"
    shoot("panel_light")
    add(Point((5, 500, 500)))
    shoot("panel_error")
    get_settings().appearance.theme = "dark"
    shoot("panel_error_dark")
    panel.close_panel()
    viewer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
