"""Measure this engine against the published one: time of a point, of a large object, of planning, and memory.

Every figure is the median of several processes; the engines take turns, so that a busy machine slows both. The
published engine (``pip install nnInteractive==2.6.0`` in an environment of its own) runs with the interpreter that
the variable ``NNI_PUBLISHED_PYTHON`` names; without it only this engine is measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from _runs import Setup, add_options, busy_core, cpu_features, published_python, skip

Results = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Goal:
    """What one figure of this engine has to reach.

    Parameters
    ----------
    variant : str
        Which runs of this engine.
    field : str
        Figure of a run.
    limit : float
        Largest allowed median.
    relative : bool
        Whether the limit is a multiple of the published engine's median.
    """

    variant: str
    field: str
    limit: float
    relative: bool = False

    def verdict(self, results: Results) -> str:
        """One line that says whether the goal is met."""
        if not results.get(self.variant):
            return ""
        value = median(results[self.variant], self.field)
        limit, note = self.limit, ""
        if self.relative:
            if not results.get("published"):
                return ""
            peer = median(results["published"], self.field)
            limit, note = self.limit * peer, f" = {value / peer:.3f} of the published engine's"
        met = "met" if value <= limit else "MISSED"
        return f"{met}: {self.variant} {self.field} {value:.3f}{note}, goal at most {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure.

    Parameters
    ----------
    title : str
        What is measured.
    measure : str
        Name in ``_measure.py``.
    options : tuple of str
        The same for every variant.
    variants : tuple of tuple of str
        Names and further options; one named "published" runs the other engine.
    goals : tuple of Goal
        Perhaps none.
    patch : int or None
        Patch of the model, if not its own.
    """

    title: str
    measure: str
    options: tuple[str, ...]
    variants: tuple[tuple[str, ...], ...]
    goals: tuple[Goal, ...] = ()
    patch: int | None = None


_BF16, _FP32 = ("ours bf16", "--precision", "bf16"), ("ours fp32", "--precision", "fp32")
_PUBLISHED = ("published",)
# In the layout and with the threads that this machine does fastest at that time.
_TORCH_BF16 = ("ours torch bf16", "--runtime", "torch", "--precision", "bf16")
_TORCH_FP32 = ("ours torch fp32", "--runtime", "torch", "--precision", "fp32")
_FAST_FP32 = ("ours fast fp32", "--runtime", "openvino", "--precision", "fp32")
_AUTO = ("ours auto", "--runtime", "auto")
_FAST = (_FAST_FP32,) if importlib.util.find_spec("openvino") else ()
_RULE = (("ours", "--precision", "fp32"), _PUBLISHED)
_BALL_160 = ("--side", "160", "--radius", "40")
_MEMORY = ("--side", "512", "--radius", "13", "--dtype")

CASES = {
    "point": Case(
        "one positive point, one pass, in 96³ (radius 13), warm",
        "point",
        ("--side", "96", "--radius", "13"),
        (_TORCH_BF16, _TORCH_FP32, *_FAST, _AUTO, _PUBLISHED),
        (
            Goal("ours torch bf16", "seconds", 0.5, relative=True),
            Goal("ours torch fp32", "seconds", 1.0, relative=True),
            Goal("ours fast fp32", "seconds", 0.3, relative=True),
        ),
    ),
    "sphere": Case(
        "ball of radius 40 in 160³ from one point: AutoZoom and refinement",
        "sphere",
        _BALL_160,
        (_BF16, _FP32, _PUBLISHED),
        (Goal("ours bf16", "seconds", 1 / 3, relative=True),),
    ),
    "sphere_rule": Case(
        "the same with a threshold in place of the network: all but the network",
        "sphere",
        ("--rule", *_BALL_160),
        _RULE,
        (Goal("ours", "seconds", 1 / 3, relative=True),),
    ),
    "sphere_rule_192": Case(
        "ball of radius 120 in 320³, threshold in place of the network, patch 192",
        "sphere",
        ("--rule", "--side", "320", "--radius", "120"),
        _RULE,
        patch=192,
    ),
    "plan": Case(
        "planning the refinement of a solid cube of 300³, patch 192",
        "plan",
        ("--side", "300", "--patch", "192"),
        (("ours",), _PUBLISHED),
        (Goal("ours", "seconds", 0.1), Goal("ours", "boxes", 30)),
    ),
    **{
        f"memory_{dtype}": Case(
            f"peak memory: image of 512³ {dtype} and one point, above the array and a first pass",
            "memory",
            (*_MEMORY, dtype),
            (_BF16, _FP32, _PUBLISHED),
            (
                Goal("ours bf16", "bytes_per_voxel", 2),
                Goal("ours fp32", "bytes_per_voxel", 2),
            ),
        )
        for dtype in ("uint8", "uint16")
    },
    "memory_object": Case(
        "the same with a ball of radius 180, patch 192 and a threshold for the network: the cost of a large object",
        "memory",
        ("--rule", "--side", "512", "--radius", "180", "--dtype", "uint8"),
        _RULE,
        patch=192,
    ),
}


def median(runs: list[dict[str, Any]], field: str) -> float:
    """Median of one figure over runs."""
    return statistics.median(float(run[field]) for run in runs)


def with_patch(model: Path, patch: int, folder: Path) -> Path:
    """Model folder in `folder` that differs from `model` in its patch only."""
    target = folder / f"patch{patch}"
    if not target.exists():
        target.mkdir()
        for path in model.iterdir():
            (target / path.name).symlink_to(path)
        plans = json.loads((model / "plans.json").read_text(encoding="utf-8"))
        for configuration in plans["configurations"].values():
            configuration["patch_size"] = [patch] * 3
        (target / "plans.json").unlink()
        (target / "plans.json").write_text(json.dumps(plans), encoding="utf-8")
    return target


def run_case(case: Case, model: Path, setup: Setup, repeats: int) -> Results:
    """Measure all variants of a case in turn, `repeats` times."""
    variants = [v for v in case.variants if v[0] != "published" or published_python()]
    results: Results = {name: [] for name, *_ in variants}
    for repeat in range(repeats):
        for name, *extra in variants:
            engine = "published" if name == "published" else "ours"
            options = [*case.options, *extra]
            if case.measure != "plan":
                options += ["--model", str(model)]
            run = setup.run(engine, case.measure, *options)
            run["load"] = os.getloadavg()[0]
            results[name].append(run)
            print(f"  {repeat + 1}/{repeats} {name}: {figures(run)}", flush=True)
    return results


def figures(run: dict[str, Any]) -> str:
    """Numbers of one run on one line."""
    hidden = ("version", "torch", "python")
    shown = {k: v for k, v in run.items() if k not in hidden and v != ""}
    return "  ".join(f"{k} {v}" if isinstance(v, str) else f"{k} {v:.4g}" for k, v in shown.items())


def summary(results: Results) -> dict[str, dict[str, float]]:
    """Medians of every figure of every variant."""
    return {
        name: {k: median(runs, k) for k, v in runs[0].items() if isinstance(v, int | float)}
        for name, runs in results.items()
        if runs
    }


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of: {', '.join(CASES)}")
    parser.add_argument("--repeats", type=int, default=5, help="processes per median (default: 5)")
    add_options(parser)
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"unknown case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    model = options.shared / "golden" / "model_small"
    if not model.is_dir():
        skip(f"there is no {model}; --shared or NNI_SHARED names the folder")
    if not published_python():
        print("NNI_PUBLISHED_PYTHON is not set: the published engine is left out.")

    setup = Setup(options.threads, tuple(options.prefix))
    report: dict[str, Any] = {"date": date.today().isoformat(), "cpu": cpu_features(), "cases": {}}
    report["busy"] = options.busy
    with tempfile.TemporaryDirectory() as folder, busy_core(options.busy):
        # What was measured on this machine at another time does not count here.
        os.environ["NAPARI_NNINTERACTIVE_CACHE"] = folder
        for name in options.cases or CASES:
            case = CASES[name]
            print(f"{name}: {case.title}")
            used = with_patch(model, case.patch, Path(folder)) if case.patch else model
            results = run_case(case, used, setup, options.repeats)
            for variant, medians in summary(results).items():
                print(f"  median {variant}: {figures(medians)}")
            verdicts = [line for goal in case.goals if (line := goal.verdict(results))]
            print(*(f"  {line}" for line in verdicts), sep="\n", flush=True)
            report["cases"][name] = {
                "title": case.title,
                "median": summary(results),
                "goals": verdicts,
                "runs": results,
            }
            if options.json:
                options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
