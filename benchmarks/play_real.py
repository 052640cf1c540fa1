"""Play a short session on a real stack: click, correct, move the first point, undo, redo, next object, and come back.

Writes a picture of every step (three planes through the last prompt: image, outlines of mask and truth, prompts), says
what changed, and checks that undo, redo and coming back restore the mask to the last bit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _nuclei import Nuclei, Voxel, deepest, load_nuclei
from _runs import add_shared, skip
from _scenes import dice
from matplotlib.figure import Figure
from numpy.typing import NDArray

import napari_nninteractive as nni

Mask = NDArray[np.uint8]
_PLANES = (("z", 1, 2), ("y", 0, 2), ("x", 0, 1))  # axis looked along, then rows and columns
_NEAR = 2  # a prompt is drawn in planes up to so many voxels away


def correction(mask: Mask, truth: NDArray[np.bool_]) -> nni.Point:
    """Point in the middle of the larger error: positive where something is missing, negative where too much is."""
    missing, excess = truth & (mask == 0), ~truth & (mask != 0)
    positive = bool(missing.sum() >= excess.sum())
    return nni.Point(deepest(missing if positive else excess), positive=positive)


@dataclass(slots=True)
class Player:
    """Plays steps, and keeps what is needed to show and check them.

    Parameters
    ----------
    session : InferenceSession
        With the image set.
    nuclei : Nuclei
        The stack.
    out : Path
        Folder for the pictures.
    """

    session: nni.InferenceSession
    nuclei: Nuclei
    out: Path
    label: int = 0
    failures: list[str] = field(default_factory=list)
    _steps: int = 0

    @property
    def mask(self) -> Mask:
        """Copy of the mask."""
        return np.array(self.session.mask[...], np.uint8)

    @property
    def truth(self) -> NDArray[np.bool_]:
        """The object that is meant."""
        return np.asarray(self.nuclei.labels == self.label)

    def step(self, name: str, act: Callable[[], Any], at: Voxel) -> Mask:
        """Do one step, report and draw it; give the mask after it."""
        before = self.mask
        result = act()
        after = self.mask
        self._steps += 1
        line = (
            f"{self._steps}. {name}: {int((after > before).sum())} voxels more, {int((after < before).sum())} fewer, "
            f"now {int(after.sum())}; Dice {dice(after, self.truth):.3f}; {len(self.session.prompts)} prompt(s)"
        )
        if isinstance(result, nni.Prediction):
            line += f"; {result.forwards} pass(es), zoom {result.zoom:g}, {result.seconds:.2f} s"
            self._check_prediction(name, result, before, after)
        print(line)
        path = self.out / f"{self._steps:02}_{name.replace(' ', '_')}.png"
        draw(path, line, self.nuclei, after, self.truth, at, self.session.prompts)
        return after

    def same(self, what: str, a: Mask, b: Mask) -> None:
        """Check that two masks agree in every voxel."""
        agree = np.array_equal(a, b)
        print(f"   {'same' if agree else 'DIFFERENT'}: {what}")
        if not agree:
            self.failures.append(what)

    def _check_prediction(
        self, name: str, result: nni.Prediction, before: Mask, after: Mask
    ) -> None:
        told = before.copy()
        if result.changed is not None:
            told[result.changed.slices] = result.mask
        self.same(f"what the result of '{name}' tells, and the mask", told, after)


def draw(
    path: Path,
    title: str,
    nuclei: Nuclei,
    mask: Mask,
    truth: NDArray[np.bool_],
    at: Voxel,
    prompts: tuple[Any, ...],
) -> None:
    """Picture of three planes through a voxel."""
    image, spacing = nuclei.image, nuclei.spacing
    low, high = np.percentile(image, (1, 99.8))
    figure = Figure(figsize=(15, 5.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, (ax, (name, row, column)) in enumerate(zip(axes, _PLANES, strict=True)):
        aspect = spacing[row] / spacing[column]
        ax.imshow(image.take(at[axis], axis), cmap="gray", vmin=low, vmax=high, aspect=aspect)
        for region, colour, width in ((truth, "deepskyblue", 0.8), (mask, "yellow", 1.6)):
            plane = region.take(at[axis], axis).astype(float)
            if plane.any():
                ax.contour(plane, [0.5], colors=colour, linewidths=width)
        for prompt in prompts:
            position = prompt.position
            if abs(position[axis] - at[axis]) <= _NEAR:
                style = ("+", "lime") if prompt.positive else ("x", "red")
                ax.scatter(position[column], position[row], marker=style[0], c=style[1], s=120)
        ax.set_title(f"{name} = {at[axis]}")
    figure.suptitle(
        title + "\nyellow: mask, blue: truth, green: positive, red: negative", fontsize=9
    )
    figure.savefig(path, dpi=80)


def play(player: Player, first: int, second: int) -> None:
    """Play all steps on two nuclei."""
    session = player.session
    player.label = first
    middle = deepest(player.truth)
    clicked = player.step("click", lambda: session.add(nni.Point(middle)), middle)

    point = correction(clicked, player.truth)
    corrected = player.step("correct", lambda: session.add(point), point.position)

    aside = deepest(player.truth & (np.indices(player.truth.shape)[2] < middle[2] - 1))
    moved = player.step("move first point", lambda: session.replace(0, nni.Point(aside)), aside)

    player.same("undo and before the move", player.step("undo", session.undo, middle), corrected)
    player.same(
        "undo and the first click", player.step("undo again", session.undo, middle), clicked
    )
    player.step("redo", session.redo, point.position)
    player.same("redo and after the move", player.step("redo again", session.redo, aside), moved)

    kept = session.export()
    player.label = second
    other = deepest(player.truth)
    empty = player.step("next object", session.reset, other)
    player.same("mask of the next object and nothing", empty, np.zeros_like(empty))
    player.step("click next", lambda: session.add(nni.Point(other)), other)

    player.label = first
    back = player.step("come back", lambda: session.restore(kept), aside)
    player.same("the first object when coming back", back, moved)


def main() -> None:
    """Play on the model of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--model", type=Path, help="model folder (default: golden/model_small)")
    parser.add_argument("--first", type=int, default=6, help="label of the first object")
    parser.add_argument("--second", type=int, default=3, help="label of the second object")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--device", default="auto")
    add_shared(parser)
    options = parser.parse_args()
    nuclei = load_nuclei(options.shared)
    folder = options.model or options.shared / "golden" / "model_small"
    if nuclei is None or not folder.is_dir():
        skip(f"the nuclei in {options.shared} or the model {folder} are missing")
    options.out.mkdir(parents=True, exist_ok=True)
    model = nni.load_model(folder, device=options.device)

    def session() -> nni.InferenceSession:
        new = nni.InferenceSession(model, precision=options.precision)
        new.set_image(nuclei.image, spacing=nuclei.spacing)
        return new

    player = Player(session(), nuclei, options.out)
    play(player, options.first, options.second)

    fresh = session()
    for prompt in player.session.prompts:
        fresh.add(prompt)
    player.same("a fresh session with the same prompts", np.array(fresh.mask[...]), player.mask)
    if player.failures:
        sys.exit(f"{len(player.failures)} check(s) failed: {'; '.join(player.failures)}")


if __name__ == "__main__":
    main()
