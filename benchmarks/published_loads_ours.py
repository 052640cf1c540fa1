"""Load one model folder in the published engine and in this one, and compare what a single point gives.

Each engine predicts in fp32 on the CPU, one pass per point (AutoZoom off), for a bright ball in noise and, where the
real data is there, for the nuclei of an embryo. Dice has to be at least 0.999 for every point. The published engine
runs with the interpreter that ``NNI_PUBLISHED_PYTHON`` names.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _nuclei import load_nuclei
from _runs import Setup, add_options, published_python, skip
from _scenes import Ball, dice
from numpy.typing import NDArray

_GOAL = 0.999


def scenes(shared: Path) -> dict[str, NDArray[Any]]:
    """Images and points to try, as ``_measure.py masks`` reads them."""
    ball = Ball(96, 13)
    found: dict[str, NDArray[Any]] = {"image0": ball.image(), "points0": np.array([ball.centre])}
    nuclei = load_nuclei(shared)
    if nuclei is not None:
        found |= {"image1": nuclei.image, "points1": np.array(nuclei.middles())}
    return found


def compare(masks: dict[str, Path]) -> list[dict[str, Any]]:
    """Agreement of the two engines, point by point."""
    rows = []
    with np.load(masks["ours"]) as ours, np.load(masks["published"]) as published:
        for name in ours.files:
            a, b = ours[name], published[name]
            rows.append(
                {
                    "point": name,
                    "voxels": int(a.sum()),
                    "differ": int((a != b).sum()),
                    "dice": dice(a, b),
                }
            )
    return rows


def main() -> None:
    """Compare on the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model", nargs="?", type=Path, help="model folder (default: golden/model_small)"
    )
    add_options(parser)
    options = parser.parse_args()
    model = options.model or options.shared / "golden" / "model_small"
    if not model.is_dir():
        skip(f"there is no model folder {model}")
    if not published_python():
        skip("NNI_PUBLISHED_PYTHON names no interpreter that has the published engine")

    setup = Setup(options.threads, tuple(options.prefix))
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npz"
        np.savez(images, **scenes(options.shared))  # type: ignore[arg-type]  # a keyword of savez is no array
        masks = {engine: Path(folder) / f"{engine}.npz" for engine in ("ours", "published")}
        for engine, out in masks.items():
            common = ("--model", str(model), "--images", str(images), "--out", str(out))
            setup.run(engine, "masks", *common, "--precision", "fp32", "--no-autozoom")
        rows = compare(masks)
    for row in rows:
        print("{point}: Dice {dice:.5f}, {differ} of {voxels} voxels differ".format(**row))
    worst = min(row["dice"] for row in rows)
    empty = not any(row["voxels"] for row in rows)
    met = worst >= _GOAL and not empty
    print(
        f"{'met' if met else 'MISSED'}: lowest Dice {worst:.5f}, goal at least {_GOAL}"
        + " (all empty)" * empty
    )
    if options.json:
        options.json.write_text(
            json.dumps({"lowest": worst, "points": rows}, indent=1), encoding="utf-8"
        )
    sys.exit(not met)


if __name__ == "__main__":
    main()
