"""`napari-nninteractive evaluate`: a model, and methods without a network, measured by a simulated user."""

from __future__ import annotations

import argparse
import logging
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nninteractive import __version__
from napari_nninteractive.cli.engine_args import add_engine_arguments, open_session
from napari_nninteractive.cli.terminal import ProgressLine, note, say
from napari_nninteractive.errors import ImageError, NNInteractiveError
from napari_nninteractive.evaluation.presets import BASELINES, PRESETS, STYLES, Trial, make_trials

if TYPE_CHECKING:
    from napari_nninteractive.evaluation.cases import Case, LabelledVolume
    from napari_nninteractive.evaluation.protocol import ObjectResult, Segmenter

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "run"]

_log = logging.getLogger(__name__)

USAGE = "(--data FOLDER | IMAGE LABELS) [options]"
DESCRIPTION = """\
Measure how good a model is, and how quickly, on volumes whose objects are known. A simulated user
prompts every object and corrects what is wrong, until the budget of prompts is spent.

  napari-nninteractive evaluate image.nii.gz labels.nii.gz
  napari-nninteractive evaluate --data FOLDER --output results
  napari-nninteractive evaluate --data FOLDER --baseline all --preset interactive --prompts 5

A folder holds one folder per volume, in it an image file (image.tif, image.nii.gz, ...), a label file
(label.tif, ...; 0 is no object, every object has a number), and perhaps spacing_zyx.txt; or it holds
images/NAME.tif with labels/NAME.tif, as train takes them.

Presets: points       clicks, each in the middle of the larger error: the reference, 10 prompts
         static       one point, box, scribble or lasso, nothing more
         interactive  each of these kinds, with corrections, 10 prompts
         mixture      all kinds at random, and one kind after another, 10 prompts
         autozoom     clicks with AutoZoom and without, 5 prompts

Baselines need no network: random-walker, watershed (of the gradient), watershed-intensity,
region-growing, otsu; all for these five. NAME+box is told the box that fits the object, which the
model never is. The table is Markdown; docs/evaluation.md explains its columns."""

MOST_ENLARGED = 8
"""Largest factor of --enlarge: 64 times the voxels, all in memory."""

_OUTPUTS = {"json": (".json",), "csv": (".csv",), "plot": (".png",), "sheet": (".png",)}
_NAMES = {
    "json": "results.json",
    "csv": "results.csv",
    "plot": "curves.png",
    "sheet": "worst.png",
}  # in the folder of --output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("files", type=Path, nargs="*", metavar="IMAGE LABELS", help="one volume")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="folder of volumes (default: the variable NNI_DATA)",
    )
    parser.add_argument(
        "--volume", action="append", metavar="NAME", help="only this one; may be repeated"
    )
    _add_protocol(parser.add_argument_group("protocol"))
    outputs = parser.add_argument_group("results")
    outputs.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"all of these in one folder: {', '.join(_NAMES.values())}",
    )
    for flag, text in (
        ("--json", "everything: settings, means, every object with its prompts"),
        ("--csv", "a row for every prompt of every object"),
        ("--plot", "PNG: mean Dice after each prompt"),
        ("--sheet", "PNG: the worst objects, with outlines and prompts"),
    ):
        outputs.add_argument(flag, type=Path, metavar="FILE", help=text)
    outputs.add_argument(
        "--force", action="store_true", help="replace files that are there already"
    )
    add_engine_arguments(parser)


def _add_protocol(group: argparse._ArgumentGroup) -> None:
    what = group.add_mutually_exclusive_group()
    what.add_argument(
        "--preset", default="points", metavar="NAME", help=f"{', '.join(PRESETS)} (default: points)"
    )
    what.add_argument("--style", metavar="NAME", help=f"one style only: {', '.join(STYLES)}")
    group.add_argument(
        "--prompts", type=int, metavar="N", help="budget of each object (default: the preset's)"
    )
    group.add_argument(
        "--objects", type=int, default=20, metavar="N", help="most of a volume (default: 20)"
    )
    group.add_argument(
        "--smallest",
        type=int,
        default=500,
        metavar="N",
        help="voxels of the smallest object (default: 500)",
    )
    group.add_argument(
        "--enlarge",
        type=_factors,
        default=(1,),
        metavar="N,N",
        help="also the volumes with N times as many voxels along y and x, as a better microscope takes them; "
        "--smallest counts likewise (default: 1, as they are)",
    )
    group.add_argument(
        "--seed", type=int, default=0, help="decides objects and drawings (default: 0)"
    )
    group.add_argument(
        "--tolerance",
        type=float,
        metavar="D",
        help="distance up to which surfaces agree, in the unit of the spacing (default: the edge of a cube as large as "
        "a voxel)",
    )
    group.add_argument(
        "--baseline",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"also {', '.join(BASELINES)}, all, all+box, NAME+box",
    )
    group.add_argument("--only-baselines", action="store_true", help="leave the model out")


def _factors(text: str) -> tuple[int, ...]:
    """Factors of --enlarge, in the order given."""
    factors = tuple(dict.fromkeys(int(word) for word in text.split(",")))
    if not all(1 <= n <= MOST_ENLARGED for n in factors):
        raise argparse.ArgumentTypeError(f"whole numbers from 1 to {MOST_ENLARGED}, not {text}")
    return factors


def run(args: argparse.Namespace) -> int:
    """Measure and report."""
    trials, baselines = _check(args)
    cases = _cases(args)
    if args.output is not None and args.output.exists() and not args.output.is_dir():
        raise ImageError(f"{args.output} is a file: name a folder with -o.")

    from napari_nninteractive.evaluation.ending import ended_like_interrupted
    from napari_nninteractive.evaluation.outputs import made_folder

    with ended_like_interrupted(), made_folder(args.output):
        _name_outputs(args)
        _check_outputs(args, cases)
        problems: list[str] = []
        fitting = _fitting(cases, problems)
        segmenters, settings = _segmenters(args, trials, baselines)
        settings |= _data_settings(args, cases)
        return _carry_out(args, fitting, segmenters, settings, problems)


def _carry_out(
    args: argparse.Namespace,
    cases: Sequence[Case],
    segmenters: Sequence[tuple[Segmenter, list[Trial]]],
    settings: dict[str, Any],
    problems: list[str],
) -> int:
    """Measure, and report whatever there is, also where something ended it."""
    results: list[ObjectResult] = []
    notes: list[str] = []
    whole = False
    try:
        for result in _measure(args, cases, segmenters, notes, problems):
            results.append(result)
            if result.error:
                problems.append(
                    f"{result.volume}, object {result.label}, {result.method}: {result.error}"
                )
        whole = True
    finally:
        settings |= {"notes": notes, "failed": problems, "interrupted": not whole}
        if results and not whole:
            note(f"interrupted after {_count(len(results), 'result')}; what there is is reported")
            _report(args, results, settings, cases)
    if not results and problems:
        raise NNInteractiveError(problems[0])
    _report(args, results, settings, cases)
    return 1 if problems else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _check(args: argparse.Namespace) -> tuple[tuple[Trial, ...], list[str]]:
    """Trials and baselines that were asked for, before anything is read."""
    trials = make_trials(args.preset, args.style, args.prompts, autozoom=not args.no_autozoom)
    rules = {
        f"--objects must be at least 1, not {args.objects}": args.objects >= 1,
        f"--smallest must be at least 1, not {args.smallest}": args.smallest >= 1,
        f"--seed must not be negative, as {args.seed} is": args.seed >= 0,
        f"--tolerance must be a distance of 0 or more, not {args.tolerance}": (
            args.tolerance is None or (math.isfinite(args.tolerance) and args.tolerance >= 0)
        ),
    }
    for message, holds in rules.items():
        if not holds:
            raise NNInteractiveError(f"{message}.")
    names: list[str] = []
    for name in args.baseline:
        method, box = name.removesuffix("+box"), "+box" * name.endswith("+box")
        if method != "all" and method not in BASELINES:
            raise NNInteractiveError(
                f"There is no baseline {name}: choose of {', '.join(BASELINES)}, all."
            )
        names += [b + box for b in (BASELINES if method == "all" else (method,))]
    if args.only_baselines and not names:
        raise NNInteractiveError("Say which with --baseline, for example --baseline all.")
    return trials, list(dict.fromkeys(names))


def _cases(args: argparse.Namespace) -> list[Case]:
    """Volumes as they are and enlarged, one after the other."""
    return [case.enlarged(n) for case in _found(args) for n in args.enlarge]


def _found(args: argparse.Namespace) -> list[Case]:
    from napari_nninteractive.evaluation.cases import Case, find_cases

    if args.files:
        if len(args.files) != 2 or args.volume:
            raise ImageError(
                "Give one image and its labels, or a folder of volumes with --data (and --volume)."
            )
        if args.data is not None:
            raise ImageError(
                "Give either IMAGE LABELS or --data FOLDER, not both: one volume, or all of a folder."
            )
        image, labels = args.files
        return [Case(image.name.split(".")[0], image, labels)]
    return find_cases(_data(args), tuple(args.volume or ()))


def _data(args: argparse.Namespace) -> Path:
    folder = args.data or os.environ.get("NNI_DATA")
    if not folder:
        raise ImageError("Say what to measure on: IMAGE LABELS, or a folder with --data.")
    return Path(folder)


def _name_outputs(args: argparse.Namespace) -> None:
    """Give every result that has no file of its own one in the folder of --output."""
    if args.output is None:
        return
    for key, name in _NAMES.items():
        if getattr(args, key) is None:
            setattr(args, key, args.output / name)


def _check_outputs(args: argparse.Namespace, cases: Sequence[Case]) -> None:
    """Find out before any work whether the results can be written."""
    from napari_nninteractive.io import check_output

    inputs = tuple(p for c in cases for p in (c.image, c.labels))
    wanted = {k: v for k in _OUTPUTS if (v := getattr(args, k)) is not None}
    if len({p.resolve() for p in wanted.values()}) < len(wanted):
        raise ImageError("Two results would be written into one file: give each its own name.")
    for key, path in wanted.items():
        check_output(path, overwrite=args.force, endings=_OUTPUTS[key], inputs=inputs)


def _fitting(cases: Sequence[Case], problems: list[str]) -> list[Case]:
    """Volumes whose files fit by their headers; the others are told before any is measured."""
    from napari_nninteractive.evaluation.cases import read_case
    from napari_nninteractive.evaluation.headers import fits_by_header

    found = []
    for case in cases:
        try:
            if not fits_by_header(case):
                read_case(case)  # says what is wrong
            found.append(case)
        except Exception as error:  # noqa: BLE001  the other volumes are measured all the same
            problems.append(_problem(case.name, error))
    if not found:
        raise NNInteractiveError(problems[0])
    for problem in problems:
        note(f"left out: {' '.join(problem.split())}")
    return found


def _problem(what: str, error: Exception) -> str:
    """Line for a report; an error that nobody thought of has its name in it."""
    _log.debug("%s failed", what, exc_info=error)
    kind = "" if isinstance(error, NNInteractiveError) else f"{type(error).__name__}: "
    return f"{what}: {kind}{error}".rstrip(": ")


def _data_settings(args: argparse.Namespace, cases: Sequence[Case]) -> dict[str, Any]:
    """What was measured on, by names without places, and with how many threads of the CPU."""
    import torch

    return {
        "data": None if args.files else _data(args).resolve().name,
        "volumes": [
            {"name": c.name, "image": c.image.name, "labels": c.labels.name} for c in cases
        ],
        "threads": torch.get_num_threads(),
    }


def _segmenters(
    args: argparse.Namespace, trials: Sequence[Trial], baselines: Sequence[str]
) -> tuple[list[tuple[Segmenter, list[Trial]]], dict[str, Any]]:
    """What is measured, each with its trials, and the settings for the report."""
    from dataclasses import asdict

    settings: dict[str, Any] = {
        "version": __version__,
        "trials": [asdict(t) for t in trials],
        **{k: getattr(args, k) for k in ("objects", "smallest", "enlarge", "seed", "tolerance")},
        "baselines": list(baselines),
        "model": None,
    }
    found: list[tuple[Segmenter, list[Trial]]] = []
    for autozoom in dict.fromkeys(t.autozoom for t in trials):
        if args.only_baselines:
            break
        from napari_nninteractive.evaluation.methods.segmenters import SessionSegmenter

        session = open_session(argparse.Namespace(**{**vars(args), "no_autozoom": not autozoom}))
        mine = [t for t in trials if t.autozoom == autozoom]
        found.append((SessionSegmenter(session), mine))
        settings |= {
            "model": Path(session.model.id).name,
            "device": str(session.model.device),
            "precision": session.precision,
        }
    if baselines:
        from napari_nninteractive.evaluation.methods.baselines import make_baseline

        # AutoZoom means nothing to them: each style once.
        once = list({(t.style, t.prompts): t for t in reversed(trials)}.values())[::-1]
        found += [(make_baseline(name), once) for name in baselines]
    return found, settings


def _measure(
    args: argparse.Namespace,
    cases: Sequence[Case],
    segmenters: Sequence[tuple[Segmenter, list[Trial]]],
    notes: list[str],
    problems: list[str],
) -> Iterator[ObjectResult]:
    """Results as they come; a volume that cannot be read or set is a problem, and the others go on."""
    from napari_nninteractive.evaluation.protocol import run_volume

    line = ProgressLine()
    for case in cases:
        try:
            volume, labels = _open(args, case, notes)
        except Exception as error:  # noqa: BLE001  what was measured before must not be lost
            problems.append(_problem(case.name, error))
            continue
        for segmenter, trials in segmenters if labels else ():
            title, total = f"{case.name}, {segmenter.name}", len(labels) * len(trials)
            line.show(title)
            try:
                found = run_volume(
                    segmenter, volume, labels, trials, seed=args.seed, tolerance=args.tolerance
                )
                for done, result in enumerate(found, start=1):
                    line.show(title, done, total)
                    yield result
            except Exception as error:  # noqa: BLE001  likewise
                problems.append(_problem(title, error))
            finally:
                line.clear()


def _open(
    args: argparse.Namespace, case: Case, notes: list[str]
) -> tuple[LabelledVolume, tuple[int, ...]]:
    """Volume and the objects of it that are measured; what is odd is told."""
    from napari_nninteractive.evaluation.cases import choose_objects, read_case

    volume = read_case(case)
    smallest = args.smallest * case.enlarge**2
    labels = choose_objects(volume.labels, smallest, args.objects, args.seed)
    odd = [*volume.notes]
    if not labels:
        odd.append(f"no object of at least {_count(smallest, 'voxel')}")
    for text in odd:
        notes.append(f"{case.name}: {text}")
        note(notes[-1])
    return volume, labels


def _report(
    args: argparse.Namespace,
    results: Sequence[ObjectResult],
    settings: dict[str, Any],
    cases: Sequence[Case],
) -> None:
    from napari_nninteractive.evaluation.cases import read_case
    from napari_nninteractive.evaluation.outputs import write_files
    from napari_nninteractive.evaluation.report import check_results, summarise, to_table

    check_results(results)
    places = {c.name: c for c in cases}
    paths = {k: v for k in _OUTPUTS if (v := getattr(args, k)) is not None}
    try:
        for path in write_files(paths, results, settings, lambda name: read_case(places[name])):
            note(f"written: {path}")
    finally:
        say(to_table(summarise(results)))
        for problem in settings["failed"]:
            note(f"failed: {' '.join(problem.split())}")
