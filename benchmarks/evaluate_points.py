"""Measure a model with simulated clicks on volumes with truth: one line per volume as it is done.

The protocol is that of `napari-nninteractive evaluate --preset points` (docs/evaluation.md), which reports more.

    python benchmarks/evaluate_points.py --data FOLDER [--model builtin] [--volume NAME …]

The data folder (or the variable NNI_DATA) holds one folder per volume with image.tif and label.tif, (z, y, x).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import napari_nninteractive as nni
from napari_nninteractive.evaluation.cases import choose_objects, find_cases, read_case
from napari_nninteractive.evaluation.methods.segmenters import SessionSegmenter
from napari_nninteractive.evaluation.presets import Trial
from napari_nninteractive.evaluation.protocol import ObjectResult, run_volume

_REPORTED = (1, 3, 5, 10)


def summary(results: Sequence[ObjectResult]) -> str:
    """One line: mean Dice after some prompts, and the median seconds per prompt."""
    table = np.array([r.dice for r in results])
    columns = "  ".join(
        f"@{k} {table[:, k - 1].mean():.3f}" for k in _REPORTED if k <= table.shape[1]
    )
    seconds = np.median([s for r in results for s in r.seconds])
    failed = sum(r.error is not None for r in results)
    end = f"  {failed} failed: {next(r.error for r in results if r.error)}" if failed else ""
    return f"{results[0].volume:22} n={len(results):<3} {columns}  {seconds:.2f} s/prompt{end}"


def record(result: ObjectResult) -> dict[str, object]:
    """Figures of one object, as plain values."""
    names = ("volume", "label", "voxels", "dice", "surface_dice", "seconds", "error")
    return {name: getattr(result, name) for name in names}


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
    segmenter = SessionSegmenter(session)
    trials = [Trial("points", args.prompts, autozoom=not args.no_autozoom)]
    results: list[ObjectResult] = []
    for case in find_cases(Path(args.data), tuple(args.volume or ())):
        volume = read_case(case)
        labels = choose_objects(volume.labels, args.smallest, args.objects, args.seed)
        found = list(run_volume(segmenter, volume, labels, trials, seed=args.seed))
        if found:
            results += found
            print(summary(found), flush=True)
    if args.json:
        args.json.write_text(json.dumps([record(r) for r in results], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
