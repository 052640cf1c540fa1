"""Measure a model with simulated clicks on volumes with truth, through the engine as users get it.

The first point is the deepest voxel of the object (Euclidean distance transform), each later one the deepest voxel of
the larger error: positive where the object is missed, negative where something else was taken.

    python benchmarks/evaluate_points.py --data FOLDER [--model builtin] [--volume NAME …]

The data folder (or the variable NNI_DATA) holds one folder per volume with image.tif and label.tif, (z, y, x).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

import napari_nninteractive as nni
from napari_nninteractive.core.simulate import next_centre_point

_REPORTED = (1, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """Dice after each prompt of one object, and the seconds that each took."""

    volume: str
    label: int
    voxels: int
    dice: tuple[float, ...]
    seconds: tuple[float, ...]


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Dice overlap of two masks; 1 if both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def click_through(
    session: nni.InferenceSession, truth: NDArray[np.bool_], prompts: int
) -> tuple[list[float], list[float]]:
    """Dice and seconds after each of a number of prompts; a perfect mask needs no further ones."""
    session.reset()
    found: list[float] = []
    seconds: list[float] = []
    for _ in range(prompts):
        point = next_centre_point(truth, np.asarray(session.mask[...]) != 0)
        if point is None:
            found.append(1.0)
            seconds.append(0.0)
            continue
        began = time.perf_counter()
        session.add(point)
        seconds.append(time.perf_counter() - began)
        found.append(dice(np.asarray(session.mask[...]) != 0, truth))
    return found, seconds


def chosen_labels(labels: NDArray[np.int_], smallest: int, most: int, seed: int) -> list[int]:
    """Objects of at least `smallest` voxels, at most `most` of them, drawn by seed."""
    values, counts = np.unique(labels, return_counts=True)
    large = [int(v) for v, c in zip(values, counts, strict=True) if v and c >= smallest]
    return [int(v) for v in np.random.default_rng(seed).permutation(large)[:most]]


def evaluate(
    folder: Path, session: nni.InferenceSession, args: argparse.Namespace
) -> list[ObjectResult]:
    """Results of the objects of one volume."""
    image = tifffile.imread(folder / "image.tif")
    labels = tifffile.imread(folder / "label.tif")
    session.set_image(image)
    results = []
    for label in chosen_labels(labels, args.smallest, args.objects, args.seed):
        truth = labels == label
        found, seconds = click_through(session, truth, args.prompts)
        results.append(
            ObjectResult(folder.name, label, int(truth.sum()), tuple(found), tuple(seconds))
        )
    return results


def summary(results: list[ObjectResult]) -> str:
    """One line: mean Dice after some prompts, and the median seconds per prompt."""
    table = np.array([r.dice for r in results])
    columns = "  ".join(
        f"@{k} {table[:, k - 1].mean():.3f}" for k in _REPORTED if k <= table.shape[1]
    )
    seconds = np.median([s for r in results for s in r.seconds])
    return f"{results[0].volume:22} n={len(results):<3} {columns}  {seconds:.2f} s/prompt"


def main() -> int:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("NNI_DATA"))
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--volume", action="append", help="only this one; may be repeated")
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--smallest", type=int, default=500, help="voxels of the smallest object")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--no-autozoom", action="store_true")
    parser.add_argument("--json", type=Path, help="write every figure here")
    args = parser.parse_args()
    if args.data is None or not Path(args.data).is_dir():
        sys.stderr.write("evaluate_points: give the data folder with --data or NNI_DATA\n")
        return 2
    session = nni.InferenceSession(
        nni.load_model(args.model), precision=args.precision, autozoom=not args.no_autozoom
    )
    results: list[ObjectResult] = []
    for folder in sorted(p for p in Path(args.data).iterdir() if (p / "label.tif").is_file()):
        if args.volume is None or folder.name in args.volume:
            found = evaluate(folder, session, args)
            results += found
            print(summary(found), flush=True)
    if args.json:
        args.json.write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
