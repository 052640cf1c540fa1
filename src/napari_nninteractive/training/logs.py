"""What a run tells of itself: a line in the log now and then, curves and pictures for TensorBoard."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_nninteractive.errors import ModelError, Remedy
from napari_nninteractive.training.config import StepReport
from napari_nninteractive.training.data.dataset import Sample

__all__ = ["Board", "Progress", "picture"]

_WINDOW = 50
_CURVES_EVERY = 10
_PICTURES_EVERY = 250
_PICTURED = 4
_TRUTH, _PREDICTION = (0.2, 0.9, 0.3), (1.0, 0.3, 0.9)


class Progress:
    """Means over the latest steps."""

    def __init__(self) -> None:
        self._seen: deque[StepReport] = deque(maxlen=_WINDOW)

    def add(self, report: StepReport) -> None:
        """Take in a step."""
        self._seen.append(report)

    def means(self) -> dict[str, float]:
        """Return loss, seconds, and Dice after first and later prompts and by family, each where there is any."""
        pairs = [
            (d, f, n) for r in self._seen for d, f, n in zip(r.dice, r.first, r.names, strict=True)
        ]
        groups: dict[str, list[float]] = {
            "loss": [r.loss for r in self._seen],
            "seconds": [r.seconds for r in self._seen],
            "dice/first": [d for d, f, _ in pairs if f],
            "dice/later": [d for d, f, _ in pairs if not f],
        }
        for name in sorted({n for *_, n in pairs}):
            groups[f"family/{name}"] = [d for d, _, n in pairs if n == name]
        return {k: float(np.mean(v)) for k, v in groups.items() if v}

    def line(self, spent: float, scenes: int) -> str:
        """Return one line about the latest steps; `spent` in seconds."""
        m = self.means()
        families = " ".join(
            f"{k.removeprefix('family/')}={v:.2f}" for k, v in m.items() if k.startswith("family/")
        )
        nan = float("nan")
        first, later = m.get("dice/first", nan), m.get("dice/later", nan)
        return (
            f"step {self._seen[-1].step}  {spent / 60:.1f} min  {m['seconds']:.2f} s/step  loss {m['loss']:.3f}  "
            f"dice first {first:.3f} later {later:.3f}  scenes {scenes}  {families}"
        )


class Board:
    """Curves and pictures of a run for TensorBoard.

    Parameters
    ----------
    folder : Path
        Where its files go.
    step : int
        Steps done so far: what an earlier part of the run wrote after it is hidden.

    Raises
    ------
    ModelError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ModelError("TensorBoard is not installed.", Remedy.INSTALL_TENSORBOARD) from error
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
        self._progress = Progress()

    def add(
        self,
        report: StepReport,
        samples: Sequence[Sample],
        predictions: Sequence[NDArray[np.bool_]],
    ) -> None:
        """Take in a step: every tenth becomes a point of the curves, every 250th and the first a picture."""
        self._progress.add(report)
        if report.step % _CURVES_EVERY == 0 or report.step == 1:
            for name, value in self._progress.means().items():
                self._writer.add_scalar(name, value, report.step)
            self._writer.add_scalar("rate", report.rate, report.step)
        if report.step % _PICTURES_EVERY == 0 or report.step == 1:
            for i, (sample, mask) in enumerate(zip(samples, predictions, strict=True)):
                if i < _PICTURED:
                    self._writer.add_image(
                        f"sample/{i}", picture(sample, mask), report.step, dataformats="HWC"
                    )

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def picture(sample: Sample, prediction: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the middle slices of a sample: image, image with truth (green), image with prediction (magenta).

    Parameters
    ----------
    sample : Sample
        Its first channel is the image.
    prediction : ndarray
        bool (z, y, x), shape of the patch.

    Returns
    -------
    ndarray
        uint8 (rows, columns, 3): a row for each of the slices across z, y and x.
    """
    image = sample.inputs[0]
    low, high = np.percentile(image, [1, 99])
    grey = np.clip((image - low) / max(high - low, 1e-6), 0.0, 1.0)
    rows = []
    for axis, n in enumerate(image.shape):
        plane = np.repeat(grey.take(n // 2, axis)[..., None], 3, axis=2)
        truth = _outlined(plane, sample.target.take(n // 2, axis), _TRUTH)
        found = _outlined(plane, prediction.take(n // 2, axis), _PREDICTION)
        rows.append(np.concatenate([plane, truth, found], axis=1))
    width = max(r.shape[1] for r in rows)
    padded = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows]
    return np.asarray(255 * np.concatenate(padded), np.uint8)


def _outlined(
    plane: NDArray[Any], mask: NDArray[np.bool_], colour: tuple[float, float, float]
) -> NDArray[Any]:
    out = plane.copy()
    out[mask & ~ndi.binary_erosion(mask)] = colour
    return out
