"""`napari-nninteractive evaluate`: a model, and methods without a network, measured by a simulated user."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nninteractive import __version__
from napari_nninteractive.cli.engine_args import open_session
from napari_nninteractive.cli.evaluate_args import (
    DESCRIPTION,
    OUTPUT_NAMES,
    OUTPUTS,
    USAGE,
    add_arguments,
    read_trials,
)
from napari_nninteractive.cli.remedies import said
from napari_nninteractive.cli.terminal import ProgressLine, note, say
from napari_nninteractive.errors import ImageError, NNInteractiveError
from napari_nninteractive.evaluation.presets import SESSION, Trial

if TYPE_CHECKING:
    from napari_nninteractive.evaluation.cases import Case, LabelledVolume
    from napari_nninteractive.evaluation.drawn import DrawnSession
    from napari_nninteractive.evaluation.protocol import ObjectResult, Segmenter

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "run"]

_log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Measure and report."""
    trials, baselines = read_trials(args)
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
        drawn = _drawn(args, fitting)
        if drawn is not None:
            budget = args.prompts or drawn.prompts
            trials = (Trial(SESSION, budget, autozoom=not args.no_autozoom), *trials)
        segmenters, settings = _segmenters(args, trials, baselines)
        settings |= _data_settings(args, cases) | _drawn_settings(drawn)
        return _carry_out(args, fitting, segmenters, drawn, settings, problems)


def _carry_out(
    args: argparse.Namespace,
    cases: Sequence[Case],
    segmenters: Sequence[tuple[Segmenter, list[Trial]]],
    drawn: DrawnSession | None,
    settings: dict[str, Any],
    problems: list[str],
) -> int:
    """Measure, and report whatever there is, also where something ended it."""
    results: list[ObjectResult] = []
    notes: list[str] = []
    for text in drawn.notes if drawn else ():
        _add_note(notes, text)
    whole = False
    try:
        for result in _measure(args, cases, segmenters, drawn, notes, problems):
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
    for key, name in OUTPUT_NAMES.items():
        if getattr(args, key) is None:
            setattr(args, key, args.output / name)


def _check_outputs(args: argparse.Namespace, cases: Sequence[Case]) -> None:
    """Find out before any work whether the results can be written."""
    from napari_nninteractive.io import check_output

    inputs = tuple(p for c in cases for p in (c.image, c.labels))
    inputs += () if args.session is None else (args.session,)
    wanted = {k: v for k in OUTPUTS if (v := getattr(args, k)) is not None}
    if len({p.resolve() for p in wanted.values()}) < len(wanted):
        raise ImageError("Two results would be written into one file: give each its own name.")
    for key, path in wanted.items():
        check_output(path, overwrite=args.force, endings=OUTPUTS[key], inputs=inputs)


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
    return f"{what}: {kind}{said(error)}".rstrip(": ")


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


def _drawn(args: argparse.Namespace, cases: Sequence[Case]) -> DrawnSession | None:
    """What a person did, where that is asked for."""
    if args.session is None:
        return None
    if len(cases) != 1:
        raise ImageError("A session is of one image: give IMAGE LABELS, or one --volume of --data.")
    from napari_nninteractive.evaluation.cases import read_case
    from napari_nninteractive.evaluation.drawn import read_drawn

    return read_drawn(args.session, read_case(cases[0]))


def _drawn_settings(drawn: DrawnSession | None) -> dict[str, Any]:
    """Which session, and which object of the labels each of its objects was taken for."""
    if drawn is None:
        return {"session": None}
    objects = [{"object": one.drawn, "label": one.label} for one in drawn.objects]
    return {"session": {"file": drawn.name, "objects": objects}}


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
            "working_zoom": session.config.max_working_zoom,
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
    drawn: DrawnSession | None,
    notes: list[str],
    problems: list[str],
) -> Iterator[ObjectResult]:
    """Results as they come; a volume that cannot be read or set is a problem, and the others go on."""
    from napari_nninteractive.evaluation.protocol import run_volume

    line = ProgressLine()
    people = drawn.objects if drawn else ()
    for case in cases:
        try:
            volume, labels = _open(args, case, drawn, notes)
        except Exception as error:  # noqa: BLE001  what was measured before must not be lost
            problems.append(_problem(case.name, error))
            continue
        for segmenter, trials in segmenters if labels else ():
            title = f"{case.name}, {segmenter.name}"
            total = sum(len(people if t.style == SESSION else labels) for t in trials)
            line.show(title)
            try:
                found = run_volume(
                    segmenter,
                    volume,
                    labels,
                    trials,
                    drawn=people,
                    seed=args.seed,
                    tolerance=args.tolerance,
                )
                for done, result in enumerate(found, start=1):
                    line.show(title, done, total)
                    yield result
            except Exception as error:  # noqa: BLE001  likewise
                problems.append(_problem(title, error))
            finally:
                line.clear()


def _open(
    args: argparse.Namespace, case: Case, drawn: DrawnSession | None, notes: list[str]
) -> tuple[LabelledVolume, tuple[int, ...]]:
    """Volume and the objects of it that are measured; what is odd is told."""
    from napari_nninteractive.evaluation.cases import choose_objects, read_case

    volume = read_case(case)
    smallest = args.smallest * case.enlarge**2
    labels = (
        choose_objects(volume.labels, smallest, args.objects, args.seed)
        if drawn is None
        else drawn.labels
    )
    odd = [*volume.notes]
    if not labels:
        odd.append(f"no object of at least {_count(smallest, 'voxel')}")
    for text in odd:
        _add_note(notes, f"{case.name}: {text}")
    return volume, labels


def _add_note(notes: list[str], text: str) -> None:
    notes.append(text)
    note(text)


def _report(
    args: argparse.Namespace,
    results: Sequence[ObjectResult],
    settings: dict[str, Any],
    cases: Sequence[Case],
) -> None:
    from napari_nninteractive.evaluation.cases import read_case
    from napari_nninteractive.evaluation.outputs import write_files
    from napari_nninteractive.evaluation.report import to_table
    from napari_nninteractive.evaluation.summary import check_results, summarise

    check_results(results)
    places = {c.name: c for c in cases}
    paths = {k: v for k in OUTPUTS if (v := getattr(args, k)) is not None}
    try:
        for path in write_files(paths, results, settings, lambda name: read_case(places[name])):
            note(f"written: {path}")
    finally:
        say(to_table(summarise(results)))
        for problem in settings["failed"]:
            note(f"failed: {' '.join(problem.split())}")
