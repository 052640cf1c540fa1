"""Agreement of bf16, fp16, int8 and OpenVINO with fp32 in torch: the same prompts, the masks compared after each.

The prompts are those of the conformance cases and one point in each nucleus of the real stack. The reference is fp32 on
the CPU; with a CUDA device its precisions are compared too. Two questions are asked: what one step costs from the same
state ("step"), and where a whole session ends when each precision goes on from its own masks ("session").
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _nuclei import load_nuclei
from _runs import add_shared, skip
from _scenes import dice
from numpy.typing import NDArray

import napari_nninteractive as nni

_NOT_OURS = ("14_", "30_")  # a point outside the image; a rule in place of the network


@dataclass(frozen=True, slots=True)
class Agreement:
    """A mask against the one of fp32 on the CPU, after one step.

    Attributes
    ----------
    setting : str
        Device and precision.
    question : {"step", "session"}
        Whether both started the step from the same state, or each from its own.
    scene, step : str
        What was played.
    voxels : int
        Of the object in fp32.
    differ : int
        Voxels that differ.
    dice : float
        Overlap.
    """

    setting: str
    question: str
    scene: str
    step: str
    voxels: int
    differ: int
    dice: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image and records of prompts on it, as the conformance cases hold them."""

    name: str
    image: NDArray[Any]
    records: list[list[Any]]


def scenes(shared: Path) -> Iterator[Scene]:
    """Conformance cases, then the nuclei."""
    spec = importlib.util.spec_from_file_location("volumes", shared / "golden" / "volumes.py")
    if spec is None or spec.loader is None:
        return
    volumes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(volumes)
    for path in sorted((shared / "golden" / "cases").glob("*.npz")):
        if not path.name.startswith(_NOT_OURS):
            image, records, *_ = volumes.load(path.stem)
            yield Scene(path.stem, image, records)
    nuclei = load_nuclei(shared)
    if nuclei is not None:
        for number, middle in zip(nuclei.ids, nuclei.middles(), strict=True):
            yield Scene(f"nucleus {number}", nuclei.image, [["point", list(middle), True]])


def prompt_of(
    record: list[Any],
) -> nni.Point | nni.BoxPrompt | nni.Scribble | nni.Lasso | nni.InitialMask:
    """Prompt of a record."""
    kind = record[0]
    if kind.startswith("point"):
        return nni.Point(record[1], positive=record[2])
    if kind == "bbox":
        start, stop = zip(*record[1], strict=True)
        return nni.BoxPrompt(start, stop, positive=record[2])
    if kind == "initial_seg":
        return nni.InitialMask(record[1])
    drawn = nni.Scribble if kind == "scribble" else nni.Lasso
    z, y, x = (a for a, _ in record[3]) if record[3] else (0, 0, 0)
    return drawn(record[1], origin=(z, y, x), positive=record[2])


def play(session: nni.InferenceSession, record: list[Any]) -> None:
    """Do what a record says."""
    match record[0]:
        case "undo":
            session.undo()
        case "reset":
            session.reset()
        case "point_norun":
            session.add(prompt_of(record), predict=False)
        case "initial_seg":
            session.add(prompt_of(record), predict=bool(record[2]))
        case _:
            session.add(prompt_of(record))


def settings() -> dict[str, tuple[str, str, str]]:
    """Runtime, device and precision by name, the reference first."""
    found = {"cpu fp32": ("plain", "cpu", "fp32"), "cpu bf16": ("plain", "cpu", "bf16")}
    if importlib.util.find_spec("openvino"):
        found |= {f"cpu OpenVINO {p}": ("openvino", "cpu", p) for p in ("fp32", "bf16", "int8")}
    if torch.cuda.is_available():
        found |= {f"cuda {p}": ("plain", "cuda", p) for p in ("fp32", "bf16", "fp16")}
    return found


def open_sessions(model: Path) -> dict[str, nni.InferenceSession]:
    """A session for each setting."""
    sessions = {}
    for name, (runtime, device, precision) in settings().items():
        os.environ["NAPARI_NNINTERACTIVE_RUNTIME"] = runtime
        loaded = nni.load_model(model, device=device)
        sessions[name] = nni.InferenceSession(loaded, precision=precision)  # type: ignore[arg-type]
    return sessions


def compare(
    scene: Scene, sessions: dict[str, nni.InferenceSession], question: str
) -> Iterator[Agreement]:
    """Play a scene in all sessions, the reference first, and compare after each prediction."""
    for session in sessions.values():
        session.set_image(scene.image)
    (_, reference), *others = sessions.items()
    for number, record in enumerate(scene.records):
        state = reference.export()
        play(reference, record)
        predicted = record[0] not in ("undo", "reset", "point_norun")
        expected = np.asarray(reference.mask[...])
        for name, session in others:
            if question == "step":
                if not predicted:
                    continue
                session.restore(state)
            play(session, record)
            mask = np.asarray(session.mask[...])
            if predicted:
                yield Agreement(
                    name,
                    question,
                    scene.name,
                    f"{number + 1} {record[0]}",
                    int(np.count_nonzero(expected)),
                    int(np.count_nonzero(mask != expected)),
                    dice(mask, expected),
                )


def summary(rows: list[Agreement]) -> str:
    """Median, lowest and total of some comparisons."""
    values = [row.dice for row in rows]
    part, whole = sum(row.differ for row in rows), sum(row.voxels for row in rows)
    return (
        f"median Dice {statistics.median(values):.5f}, lowest {min(values):.5f}, "
        f"{part / whole:.4%} of the objects' voxels differ ({len(rows)} masks)"
    )


def main() -> None:
    """Compare on the model of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model", nargs="?", type=Path, help="model folder (default: golden/model_small)"
    )
    add_shared(parser)
    parser.add_argument("--threads", type=int, default=2, help="of the CPU (default: 2)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all results here")
    options = parser.parse_args()
    model = options.model or options.shared / "golden" / "model_small"
    if not model.is_dir() or not (options.shared / "golden" / "cases").is_dir():
        skip(f"{model} or the conformance cases in {options.shared} are missing")

    torch.set_num_threads(options.threads)
    sessions = open_sessions(model)
    rows: list[Agreement] = []
    for scene in scenes(options.shared):
        for question in ("step", "session"):
            for row in compare(scene, sessions, question):
                print(
                    f"{row.scene}, {row.setting}, {row.question} {row.step}: "
                    f"Dice {row.dice:.5f}, {row.differ} of {row.voxels} voxels differ"
                )
                rows.append(row)
    for name in list(sessions)[1:]:
        for question in ("step", "session"):
            chosen = [row for row in rows if (row.setting, row.question) == (name, question)]
            print(f"{name} against cpu fp32, by {question}: {summary(chosen)}")
    if options.json:
        options.json.write_text(
            json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
