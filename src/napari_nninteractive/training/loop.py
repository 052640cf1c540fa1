"""The training loop: every forward pass is a training step, and its prediction is what the next prompt corrects."""

from __future__ import annotations

import copy
import logging
import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nninteractive.core.metrics import dice
from napari_nninteractive.errors import ModelError
from napari_nninteractive.training.config import StepReport, TrainConfig
from napari_nninteractive.training.data.dataset import (
    Episode,
    Sample,
    advance,
    from_record,
    sample_of,
    to_record,
    with_prediction,
)
from napari_nninteractive.training.data.source import Ahead, SceneSource, Source
from napari_nninteractive.training.distributed import Group
from napari_nninteractive.training.interrupt import Interrupts
from napari_nninteractive.training.logs import Board, Progress
from napari_nninteractive.training.loss import margin_loss, supervise, supervised_loss
from napari_nninteractive.training.optimizer import KernelMuon
from napari_nninteractive.training.weights.checkpoint import (
    CHECKPOINT,
    check_same_run,
    read_checkpoint,
    write_checkpoint,
    write_snapshot,
)
from napari_nninteractive.training.weights.origin import load_weights, origin_of

__all__ = ["CHECKPOINT", "StepReport", "TrainConfig", "Trainer", "margin_loss", "train"]

log = logging.getLogger(__name__)

Bool = NDArray[np.bool_]


class Trainer:
    """A training run that can be saved and continued.

    Parameters
    ----------
    config
        What to train.
    device
        Where; bf16 autocast is used on CPU and CUDA.
    source
        Where episodes come from; synthetic scenes by default.
    group
        The processes that train together; this one alone by default.

    Attributes
    ----------
    origin
        What it started from, and how it is prompted.
    shown
        Samples of the latest step, and what was predicted for them.
    """

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device,
        source: Source | None = None,
        group: Group | None = None,
    ) -> None:
        self.config = config
        self.device = device
        self.source = source or SceneSource(config.episodes)
        self.group = group or Group(device=device)
        torch.manual_seed(config.seed)
        self.origin = origin_of(config)
        self.network = self.origin.network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        supervise(self.network, config.deep_supervision)
        self._answer = self.group.wrap(self.network)
        self.averaged = {k: v.detach().clone() for k, v in self.network.named_parameters()}
        self.optimizer = KernelMuon(self.network.parameters(), lr=config.rate)
        self.step = 0
        self.spent = 0.0
        self.samples = 0
        self.shown: tuple[list[Sample], list[Bool]] = ([], [])
        self._next_scene = self.group.rank
        self._active: list[Episode] = []
        self._waiting: list[Episode] = []

    @property
    def progress(self) -> float:
        """Share of the budget used, 0 to 1: of time, or of steps where that is more."""
        by_time = self.spent / max(self.config.minutes * 60.0, 1e-9)
        by_steps = self.step / self.config.max_steps if self.config.max_steps else 0.0
        return min(max(by_time, by_steps), 1.0)

    @property
    def next_scene(self) -> int:
        """Number of the episodes that the source is asked for next."""
        return self._next_scene

    def run(self) -> Iterator[StepReport]:
        """Train until the budget is used, yielding a report after every step."""
        ahead = Ahead(
            self.source,
            self.config.seed,
            self._next_scene,
            stride=self.group.size,
            workers=self.config.workers,
        )
        recent: deque[float] = deque(maxlen=50)
        try:
            while self.progress < 1.0:
                began = time.monotonic()
                report = self._one_step(ahead)
                seconds = time.monotonic() - began
                usual = statistics.median(recent) if recent else seconds
                recent.append(seconds)
                # A longer gap is a pause of the process, not work.
                self.spent = self.group.agree(self.spent + min(seconds, 5.0 * usual))
                yield StepReport(**report, seconds=seconds)
        finally:
            ahead.close()

    def _one_step(self, ahead: Ahead) -> dict[str, Any]:
        episodes = self._next_batch(ahead)
        samples = [sample_of(e, self.origin.patch, self.origin.encoding) for e in episodes]
        rate = self.config.rate * self._rate_share()
        loss, predictions = self._learn(samples, rate)
        self._active = [
            with_prediction(e, s.region, p)
            for e, s, p in zip(episodes, samples, predictions, strict=True)
        ]
        self._next_scene = ahead.next
        self.step += 1
        self.samples += len(samples) * self.group.size
        self.shown = (samples, predictions)
        return {
            "step": self.step,
            "loss": loss,
            "dice": tuple(dice(p, s.target) for p, s in zip(predictions, samples, strict=True)),
            "first": tuple(s.first for s in samples),
            "names": tuple(e.name for e in episodes),
            "rate": rate,
        }

    def _next_batch(self, ahead: Ahead) -> list[Episode]:
        own = [self.group.rank] if self.group.size > 1 else []
        rng = np.random.default_rng([self.config.seed, 2, self.step, *own])
        going = [e for e in map(advance, self._active) if e is not None]
        while len(going) < self.config.batch:
            while len(self._waiting) < self.config.pool:
                self._waiting.extend(ahead.take())
            fresh = advance(self._waiting.pop(int(rng.integers(len(self._waiting)))))
            if fresh is not None:
                going.append(fresh)
        return going

    def _learn(self, samples: list[Sample], rate: float) -> tuple[float, list[Bool]]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        inputs = torch.from_numpy(np.stack([s.inputs for s in samples]))
        inputs = inputs.to(self.device, memory_format=torch.channels_last_3d)
        target = torch.from_numpy(np.stack([s.target for s in samples])).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            outputs = self._answer(inputs)
        loss, margin = supervised_loss(outputs, target.float())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
            self._average()
        else:  # a patch without any structure: instance norm divides by nearly nothing, layer after layer
            log.warning("step %d skipped: its gradient is not finite", self.step)
        predictions = (margin.detach() > 0).cpu().numpy()
        return float(loss.detach()), list(predictions)

    def _rate_share(self) -> float:
        warm = min(1.0, (self.step + 1) / max(self.config.warm_up, 1))
        start = self.config.cool_from
        if self.progress <= start:
            return warm
        return warm * 0.5 * (1.0 + math.cos(math.pi * (self.progress - start) / (1.0 - start)))

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.config.average, (1.0 + self.step) / (10.0 + self.step))
        for name, value in self.network.named_parameters():
            self.averaged[name].lerp_(value.detach(), 1.0 - keep)

    def averaged_network(self) -> torch.nn.Module:
        """Return a copy of the network with the averaged weights, on the CPU in fp32."""
        network: torch.nn.Module = copy.deepcopy(self.network).cpu()
        load_weights(network, self.averaged, "this run")
        supervise(network, deep=False)
        return network.eval()

    def save(self, path: Path) -> None:
        """Write a checkpoint that :meth:`load` continues from; only the first of several processes writes.

        The checkpoint of one process holds its episodes, so that it goes on exactly as if it had not stopped. That of
        several holds none: they go on with new ones, from the first scene that no process has begun.
        """
        alone = self.group.size == 1
        state = {
            "config": asdict(self.config),
            "network": dict(self.network.named_parameters()),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "samples": self.samples,
            "source": self.source.key,
            "processes": self.group.size,
            "next_scene": self._next_scene if alone else self.group.largest(self._next_scene),
            "active": [to_record(e) for e in self._active] if alone else [],
            "waiting": [to_record(e) for e in self._waiting] if alone else [],
        }
        if self.group.is_first:
            write_checkpoint(state, path)
        self.group.wait()

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same run, with any number of processes.

        Raises
        ------
        ModelError
            If it was made with another configuration or source; budget, schedule and speed may differ.
        """
        state = self.group.shared(read_checkpoint(path) if self.group.is_first else None)
        check_same_run(state, self.config, self.source.key, path)
        load_weights(self.network, state["network"], path)
        with torch.no_grad():
            for name, value in state["averaged"].items():
                self.averaged[name].copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.spent = int(state["step"]), float(state["spent"])
        self.samples, self._next_scene = int(state["samples"]), int(state["next_scene"])
        if self.group.size == 1 and state.get("processes", 1) == 1:
            self._active = [from_record(r) for r in state["active"]]
            self._waiting = [from_record(r) for r in state["waiting"]]
        else:
            self._next_scene += self.group.rank


def train(
    output: Path,
    config: TrainConfig,
    device: torch.device | str = "cpu",
    *,
    resume: bool = False,
    report: Callable[[StepReport], None] | None = None,
    source: Source | None = None,
    group: Group | None = None,
    tensorboard: bool = False,
) -> Trainer:
    """Train a model, saving ``checkpoint.pt`` in ``output`` now and then and at the end.

    Parameters
    ----------
    output
        Folder for the checkpoint; made if absent.
    config
        The run; with `resume` only its budget, speed and schedule may differ from before.
    device
        ``cpu``, ``cuda``, …
    resume
        Continue from the checkpoint in the folder.
    report
        Called after every step, in the first of several processes.
    source
        Where episodes come from; synthetic scenes by default.
    group
        The processes that train together; each calls this function.
    tensorboard
        Write curves and pictures for TensorBoard into the folder `tensorboard` of `output`.

    Returns
    -------
    Trainer
        The finished run.

    Raises
    ------
    ModelError
        If a model or checkpoint is missing or does not fit, or TensorBoard is asked for and not installed.
    KeyboardInterrupt
        If it was interrupted, or asked to end; the checkpoint is then that of the latest step.
    """
    trainer = Trainer(config, torch.device(device), source, group)
    path = output / CHECKPOINT
    if resume and path.exists():
        trainer.load(path)
        log.info("continuing at step %d after %.1f min", trainer.step, trainer.spent / 60)
    first = trainer.group.is_first
    board = Board(output / "tensorboard", trainer.step) if tensorboard and first else None
    output.mkdir(parents=True, exist_ok=True)
    stop = Interrupts()
    try:
        for result in _until(stop, trainer):
            if report is not None and first:
                report(result)
            if board is not None:
                board.add(result, *trainer.shown)
            if result.step % config.save_every == 0:
                _keep(trainer, output)
    except Exception:
        _rescue(trainer, path)
        raise
    finally:
        if board is not None:
            board.close()
    trainer.save(path)
    if stop.asked:
        if first:
            log.info("saved step %d in %s: resuming the run continues from it", trainer.step, path)
        raise KeyboardInterrupt
    return trainer


def _rescue(trainer: Trainer, path: Path) -> None:
    """Save what was trained before an error, where there is anything and it can be written."""
    if trainer.step == 0 or trainer.group.size > 1:  # the others would wait for the one that failed
        return
    try:
        trainer.save(path)
    except ModelError as error:
        log.warning("%s The run can be resumed from what was saved before.", error.message)
    else:
        log.warning("saved step %d in %s before ending with an error", trainer.step, path)


def _until(stop: Interrupts, trainer: Trainer) -> Iterator[StepReport]:
    """Train until the budget is used or one of the processes was interrupted."""
    progress = Progress()
    with stop:
        for result in trainer.run():
            progress.add(result)
            if result.step % 25 == 0 and trainer.group.is_first:
                log.info("%s", progress.line(trainer.spent, trainer.next_scene))
            yield result
            stop.asked = bool(trainer.group.largest(int(stop.asked)))
            if stop.asked:
                return


def _keep(trainer: Trainer, output: Path) -> None:
    trainer.save(output / CHECKPOINT)
    if trainer.config.snapshots and trainer.group.is_first:
        write_snapshot(trainer.config, trainer.averaged, trainer.step, output)
