"""Where errors with a remedy come from, and what each reader is told then."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from fixtures.model_folder import write_model_folder
from fixtures.oracles import everything, raise_at

from napari_nninteractive.cli.evaluate import _problem
from napari_nninteractive.cli.main import main
from napari_nninteractive.cli.remedies import said
from napari_nninteractive.engine import registry
from napari_nninteractive.engine.capabilities import read_capabilities
from napari_nninteractive.engine.device import Runner, choose_device
from napari_nninteractive.errors import ModelError, NNInteractiveError, Remedy
from napari_nninteractive.evaluation.summary import check_results
from napari_nninteractive.io import check_output
from napari_nninteractive.io.axes import select
from napari_nninteractive.io.ome_zarr import needs_zarr
from napari_nninteractive.plugin.readers import read_layers
from napari_nninteractive.plugin.view import messages
from napari_nninteractive.training.config import TrainConfig
from napari_nninteractive.training.data.pairs import open_pair
from napari_nninteractive.training.data.source import Ahead, SceneSource
from napari_nninteractive.training.distributed import join
from napari_nninteractive.training.logs import Board
from napari_nninteractive.training.weights.checkpoint import (
    check_same_run,
    read_checkpoint,
    write_checkpoint,
)

CPU = torch.device("cpu")
HUB = "nnInteractive_v1.0"


@dataclass(frozen=True)
class Told:
    """What ends the message of an error, by reader."""

    remedy: Remedy
    python: str
    command_line: str
    panel: str


def without(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    """Machine without the devices that torch may find here."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def no_mps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    choose_device("mps")


def no_cuda(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    choose_device("cuda")


def no_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = raise_at(1, torch.OutOfMemoryError("CUDA out of memory"), everything)
    Runner(full, CPU, "fp32")(torch.zeros(1, 8, 2, 3, 4))


def nan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Runner(lambda x: torch.full((1, 2, *x.shape[2:]), torch.nan), CPU, "bf16")(
        torch.zeros(1, 8, 2, 3, 4)
    )


def no_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BUILTIN_FOLDER", folder)
    registry.resolve("builtin")


def no_model_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_capabilities(folder)


def not_downloaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.CACHE_VARIABLE, str(folder))
    registry.resolve(HUB)


def not_accepted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.CACHE_VARIABLE, str(folder))
    registry.download(HUB, accept_licence=False)


def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.nrrd").touch()
    check_output(folder / "a.nrrd", overwrite=False)


def no_zarr(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    needs_zarr()


def no_tensorboard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    Board(folder)


def full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "save", raise_full)
    write_checkpoint({}, folder / "checkpoint.pt")


def raise_full(*_: Any) -> None:
    raise RuntimeError("enforce fail")


def cut_short(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "checkpoint.pt").write_bytes(b"half")
    read_checkpoint(folder / "checkpoint.pt")


def no_optimizer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_same_run({}, TrainConfig(), "scenes", Path("c.pt"))


def another_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ("network", "averaged", "optimizer", "step", "spent", "samples", "next_scene")
    state = dict.fromkeys((*parts, "active", "waiting"), 0) | {"config": {}}
    check_same_run(state, TrainConfig(seed=5), "scenes", Path("c.pt"))


def killed_worker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = Ahead(SceneSource.__new__(SceneSource), 0, 0)

    def submit(*_: Any) -> None:
        raise BrokenProcessPool

    ahead._room, ahead._pool = 1, SimpleNamespace(submit=submit)  # type: ignore[assignment]
    ahead.take()


def no_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "3", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    join(torch.device("cuda"))


def choose(
    axes: str, channel: int | None = None, timepoint: int | None = None
) -> Callable[..., object]:
    shape = [3 if a in "CT" else 8 for a in axes]
    return lambda *_: select(axes, shape, channel, timepoint, "a")


SLICES = " If they are slices, mark the axis as z first (in Fiji: Image > Properties)."
SITES: list[tuple[Callable[..., object], Told]] = [
    (no_mps, Told(Remedy.USE_CPU,
        "MPS device: use device='cpu'.",
        "MPS device: use --device cpu.",
        "MPS device: choose CPU under “Compute on”.")),
    (no_cuda, Told(Remedy.USE_CPU_OR_INSTALL_CUDA,
        "CUDA device: use device='cpu', or see what `napari-nninteractive info` says to install.",
        "CUDA device: use --device cpu, or see what `napari-nninteractive info` says to install.",
        "CUDA device: choose CPU under “Compute on”, or see what `napari-nninteractive info` says to install.")),
    (no_memory, Told(Remedy.FREE_DEVICE_MEMORY,
        "(2, 3, 4) voxels: close other programs that use the device, use device='cpu', or take a smaller model.",
        "(2, 3, 4) voxels: close other programs that use the device, use --device cpu, or take a smaller model.",
        "choose CPU under “Compute on”, or choose a smaller model under “Model”: the built-in one is the smallest.")),
    (nan, Told(Remedy.USE_FP32,
        "infinite values in bf16: use precision='fp32'.",
        "infinite values in bf16: use --precision fp32.",
        "infinite values in bf16: choose the precision fp32 in napari's preferences, under this plugin.")),
    (no_weights, Told(Remedy.CHOOSE_MODEL,
        "built-in model: give the folder of a complete model, or the name of one that "
        "engine.registry.registered() has.",
        "built-in model: name the folder of a complete model, or one that `napari-nninteractive models list` shows.",
        "built-in model: choose another one under “Model”.")),
    (no_model_folder, Told(Remedy.CHOOSE_MODEL,
        "no complete model folder: give the folder of a complete model, or the name of one that "
        "engine.registry.registered() has.",
        "no complete model folder: name the folder of a complete model, or one that `napari-nninteractive models list` "
        "shows.",
        "no complete model folder: choose another one under “Model”.")),
    (not_downloaded, Told(Remedy.DOWNLOAD_MODEL,
        f"4.0): do it once with engine.registry.download('{HUB}', accept_licence=True), or in a shell with "
        f"`napari-nninteractive models download {HUB}`.",
        f"4.0): do it once with `napari-nninteractive models download {HUB}`.",
        "4.0): choose it under “Model” to download it.")),
    (not_accepted, Told(Remedy.ACCEPT_LICENCE,
        f"first: read it with engine.registry.licence_text('{HUB}') and accept it with accept_licence=True.",
        f"first: read it with `napari-nninteractive models licence {HUB}` and accept it with "
        f"`napari-nninteractive models download {HUB} --accept-licence`.",
        f"first: choose {HUB} under “Model” to read and accept it.")),
    (choose("CZYX"), Told(Remedy.CHOOSE_CHANNEL,
        "a has 3 channels: choose one with channel=0 to channel=2, or save one as a file of its own.",
        "a has 3 channels: choose one with --channel 0 to --channel 2, or, where a command has no such option, save "
        "one as a file of its own.",
        "a has 3 channels: save one as a file of its own.")),
    (choose("TZYX"), Told(Remedy.CHOOSE_TIMEPOINT,
        "a has 3 time points: choose one with timepoint=0 to timepoint=2, or save one as a file of its own.",
        "a has 3 time points: choose one with --timepoint 0 to --timepoint 2, or, where a command has no such option, "
        "save one as a file of its own.",
        "a has 3 time points: save one as a file of its own.")),
    (choose("TYX"), Told(Remedy.CHOOSE_TIMEPOINT_OR_MARK_Z,
        "a has 3 time points: choose one with timepoint=0 to timepoint=2, or save one as a file of its own." + SLICES,
        "a has 3 time points: choose one with --timepoint 0 to --timepoint 2, or, where a command has no such option, "
        "save one as a file of its own." + SLICES,
        "a has 3 time points: save one as a file of its own." + SLICES)),
    (choose("ZYX", channel=4), Told(Remedy.LEAVE_OUT_CHANNEL,
        "a has no channel axis: leave out channel=4.",
        "a has no channel axis: leave out --channel 4.",
        "a has no channel axis: open it without choosing a channel.")),
    (choose("ZYX", timepoint=1), Told(Remedy.LEAVE_OUT_TIMEPOINT,
        "a has no time axis: leave out timepoint=1.",
        "a has no time axis: leave out --timepoint 1.",
        "a has no time axis: open it without choosing a time point.")),
    (there, Told(Remedy.OVERWRITE,
        "a.nrrd is there already: choose another name, or replace it with overwrite=True.",
        "a.nrrd is there already: choose another name, or replace it with --force.",
        "a.nrrd is there already: choose another name.")),
    (no_zarr, Told(Remedy.INSTALL,
        "OME-Zarr needs one more package: pip install zarr.",
        "OME-Zarr needs one more package: pip install zarr.",
        "OME-Zarr needs one more package: pip install zarr into the environment of napari, and start it again.")),
    (no_tensorboard, Told(Remedy.INSTALL_TENSORBOARD,
        "not installed: pip install tensorboard, or train with tensorboard=False.",
        "not installed: pip install tensorboard, or train without --tensorboard.",
        "not installed: pip install tensorboard into the environment of napari.")),
    (full_disk, Told(Remedy.MAKE_ROOM_AND_RESUME,
        "could not be written (enforce fail): make room there, then go on with resume=True from what was saved before.",
        "could not be written (enforce fail): make room there, then go on with --resume from what was saved before.",
        "could not be written (enforce fail): make room there, then go on with the run.")),
    (killed_worker, Told(Remedy.RESUME_WITH_FEWER_WORKERS,
        "short of memory: go on with resume=True and fewer workers.",
        "short of memory: go on with --resume and fewer --workers.",
        "short of memory: go on with the run, with fewer processes.")),
    (cut_short, Told(Remedy.BEGIN_ELSEWHERE,
        "no checkpoint: copy it again, or begin in another folder, with an earlier snapshot or model as origin.",
        "no checkpoint: copy it again, or begin in another folder, where --from takes an earlier snapshot or model.",
        "no checkpoint: copy it again, or begin in another folder.")),
    (no_optimizer, Told(Remedy.BEGIN_ELSEWHERE,
        "waiting: copy it again, or begin in another folder, with an earlier snapshot or model as origin.",
        "waiting: copy it again, or begin in another folder, where --from takes an earlier snapshot or model.",
        "waiting: copy it again, or begin in another folder.")),
    (another_run, Told(Remedy.BEGIN_FROM,
        "another seed: give the same values to go on with it, choose another folder, or start a new run from its "
        "weights with origin='c.pt'.",
        "another seed: give the same values to go on with it, choose another folder, or start a new run from its "
        "weights with --from c.pt.",
        "another seed: go on with the same values, or begin in another folder.")),
    (no_card, Told(Remedy.START_FEWER_PROCESSES,
        "no card, for there are 2: start at most 2 on each machine.",
        "no card, for there are 2: give torchrun --nproc-per-node 2.",
        "no card, for there are 2: start at most 2.")),
    (lambda *_: check_results([]), Told(Remedy.MEASURE_SMALLER,
        "measured: give a lower `smallest`, or look at the labels.",
        "measured: lower --smallest, or look at the labels.",
        "measured: measure smaller objects too, or look at the labels.")),
]  # fmt: skip


@pytest.mark.parametrize(("site", "told"), SITES, ids=[t.remedy.name for _, t in SITES])
def test_each_reader_is_told_what_to_do(
    site: Callable[[Path, pytest.MonkeyPatch], object],
    told: Told,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(NNInteractiveError) as caught:
        site(tmp_path, monkeypatch)
    error = caught.value
    assert error.remedy is told.remedy
    assert str(error).endswith(told.python)
    assert said(error).endswith(told.command_line)
    assert messages.error(error).endswith(told.panel)
    for text in (str(error), said(error), messages.error(error)):
        assert text.startswith(error.message.removesuffix("."))


def test_every_remedy_is_used_somewhere() -> None:
    assert {told.remedy for _, told in SITES} == set(Remedy)


def test_a_checkpoint_that_holds_more_than_weights(tmp_path: Path) -> None:
    torch.save({"config": Path("x")}, tmp_path / "c.pt")
    with pytest.raises(ModelError, match=r"was refused.*copy it again") as caught:
        read_checkpoint(tmp_path / "c.pt")
    assert caught.value.remedy is Remedy.BEGIN_ELSEWHERE


def frames(folder: Path) -> Path:
    stacks = [sitk.GetImageFromArray(np.zeros((5, 6, 7), np.uint8))] * 3
    sitk.WriteImage(sitk.JoinSeries(stacks), str(folder / "a.nrrd"))
    return folder / "a.nrrd"


def test_a_pair_for_training_names_the_file_and_keeps_the_remedy(tmp_path: Path) -> None:
    path = frames(tmp_path)
    with pytest.raises(NNInteractiveError) as caught:
        open_pair(path, path)
    assert str(caught.value).startswith(f"{path}: a.nrrd has 3 time points: choose one with time")
    assert said(caught.value).startswith(
        f"{path}: a.nrrd has 3 time points: choose one with --timepoint 0 to --timepoint 2,"
    )
    assert _problem("b", caught.value) == f"b: {said(caught.value)}"


def test_napari_is_told_in_the_words_of_the_panel(tmp_path: Path) -> None:
    with pytest.raises(NNInteractiveError) as caught:
        read_layers(str(frames(tmp_path)))
    assert str(caught.value) == "a.nrrd has 3 time points: save one as a file of its own."


def test_the_program_speaks_of_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = frames(tmp_path)
    words = ["segment", str(path), "--point", "1,1,1", "-o", str(tmp_path / "mask.nrrd")]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "napari-nninteractive: error: a.nrrd has 3 time points: choose one with --timepoint 0 to --timepoint 2, or, "
        "where a command has no such option, save one as a file of its own.\n"
    )
    without(monkeypatch)
    model = write_model_folder(tmp_path / "model")
    assert main([*words, "--timepoint", "0", "--device", "cuda", "--model", str(model)]) == 2
    assert "finds no CUDA device: use --device cpu, or see" in capsys.readouterr().err
