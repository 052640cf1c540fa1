"""The training loop: every forward pass is a training step, and its prediction is what the next prompt corrects."""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from napari_nninteractive.errors import ModelError
from napari_nninteractive.training.config import StepReport, TrainConfig
from napari_nninteractive.training.dataset import (
    Episode,
    Sample,
    advance,
    episodes_of,
    from_record,
    sample_of,
    to_record,
    with_prediction,
)
from napari_nninteractive.training.network import build
from napari_nninteractive.training.optimizer import KernelMuon

__all__ = ["CHECKPOINT", "StepReport", "TrainConfig", "Trainer", "margin_loss", "train"]

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
"""File in the output folder that a run continues from."""

_MAY_DIFFER = {"minutes", "max_steps", "rate", "warm_up", "cool_from", "workers", "save_every"}


class _Scenes:
    """Episodes of scene after scene, in order, made ahead in other processes."""

    def __init__(self, config: TrainConfig, start: int) -> None:
        self.next = start
        self._config = config
        self._ahead: deque[Future[list[Episode]]] = deque()
        self._submitted = start
        self._workers = (
            ProcessPoolExecutor(
                config.workers,
                mp_context=get_context("spawn"),
                initializer=torch.set_num_threads,
                initargs=(1,),
            )
            if config.workers
            else None
        )

    def take(self) -> list[Episode]:
        """Return the episodes of the next scene."""
        made = self._made()
        self.next += 1
        return made

    def _made(self) -> list[Episode]:
        config = self._config
        if self._workers is None:
            return episodes_of(config.seed, self.next, config.episodes)
        while len(self._ahead) < 4 * config.workers:
            self._ahead.append(
                self._workers.submit(episodes_of, config.seed, self._submitted, config.episodes)
            )
            self._submitted += 1
        return self._ahead.popleft().result()

    def close(self) -> None:
        """Stop the processes."""
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)


class Trainer:
    """A training run that can be saved and continued.

    Parameters
    ----------
    config
        What to train.
    device
        Where; bf16 autocast is used on CPU and CUDA.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        torch.manual_seed(config.seed)
        self.network = build(config.network).to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.averaged = {k: v.detach().clone() for k, v in self.network.named_parameters()}
        self.optimizer = KernelMuon(self.network.parameters(), lr=config.rate)
        self.step = 0
        self.spent = 0.0
        self.samples = 0
        self._next_scene = 0
        self._active: list[Episode] = []
        self._waiting: list[Episode] = []

    @property
    def progress(self) -> float:
        """Share of the budget used, 0 to 1: of time, or of steps where that is more."""
        by_time = self.spent / max(self.config.minutes * 60.0, 1e-9)
        by_steps = self.step / self.config.max_steps if self.config.max_steps else 0.0
        return min(max(by_time, by_steps), 1.0)

    def run(self) -> Iterator[StepReport]:
        """Train until the budget is used, yielding a report after every step."""
        scenes = _Scenes(self.config, self._next_scene)
        recent: deque[float] = deque(maxlen=50)
        try:
            while self.progress < 1.0:
                began = time.monotonic()
                episodes = self._next_batch(scenes)
                samples = [sample_of(e, self.config.network.patch) for e in episodes]
                loss, predictions = self._learn(samples)
                self._active = [
                    with_prediction(e, s.region, p)
                    for e, s, p in zip(episodes, samples, predictions, strict=True)
                ]
                self._next_scene = scenes.next
                seconds = time.monotonic() - began
                usual = statistics.median(recent) if recent else seconds
                recent.append(seconds)
                self.spent += min(
                    seconds, 5.0 * usual
                )  # a longer gap is a pause of the process, not work
                self.step += 1
                self.samples += len(samples)
                yield StepReport(
                    self.step,
                    loss,
                    tuple(_dice(p, s.target) for p, s in zip(predictions, samples, strict=True)),
                    tuple(s.first for s in samples),
                    tuple(e.name for e in episodes),
                    seconds,
                )
        finally:
            scenes.close()

    def _next_batch(self, scenes: _Scenes) -> list[Episode]:
        rng = np.random.default_rng([self.config.seed, 2, self.step])
        going = [e for e in map(advance, self._active) if e is not None]
        while len(going) < self.config.batch:
            while len(self._waiting) < self.config.pool:
                self._waiting.extend(scenes.take())
            fresh = advance(self._waiting.pop(int(rng.integers(len(self._waiting)))))
            if fresh is not None:
                going.append(fresh)
        return going

    def _learn(
        self, samples: list[Sample]
    ) -> tuple[float, list[np.ndarray[Any, np.dtype[np.bool_]]]]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * self._rate_share()
        inputs = torch.from_numpy(np.stack([s.inputs for s in samples]))
        inputs = inputs.to(self.device, memory_format=torch.channels_last_3d)
        target = torch.from_numpy(np.stack([s.target for s in samples])).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.network(inputs)
        margin = (logits[:, 1] - logits[:, 0]).float()
        loss = margin_loss(margin, target.float())
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
        network = build(self.config.network)
        parameters = dict(network.named_parameters())
        with torch.no_grad():
            for name, value in self.averaged.items():
                parameters[name].copy_(value)
        return network.eval()

    def save(self, path: Path) -> None:
        """Write a checkpoint that :meth:`load` continues from; an earlier one is replaced only once it is complete."""
        state = {
            "config": asdict(self.config),
            "network": dict(self.network.named_parameters()),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "samples": self.samples,
            "next_scene": self._next_scene,
            "active": [to_record(e) for e in self._active],
            "waiting": [to_record(e) for e in self._waiting],
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same run.

        Raises
        ------
        ModelError
            If it was made with another configuration; budget, schedule and speed may differ.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        now = asdict(self.config)
        differs = [
            k for k, v in state["config"].items() if k not in _MAY_DIFFER and now.get(k) != v
        ]
        if differs:
            raise ModelError(
                f"{path} belongs to a run with another {', '.join(differs)}: give the same values to "
                "go on with it, or choose another folder."
            )
        parameters = dict(self.network.named_parameters())
        with torch.no_grad():
            for name, value in state["network"].items():
                parameters[name].copy_(value)
                self.averaged[name].copy_(state["averaged"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.spent = int(state["step"]), float(state["spent"])
        self.samples, self._next_scene = int(state["samples"]), int(state["next_scene"])
        self._active = [from_record(r) for r in state["active"]]
        self._waiting = [from_record(r) for r in state["waiting"]]


def margin_loss(margin: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean over samples of soft Dice loss plus cross entropy.

    Parameters
    ----------
    margin
        Foreground logit minus background logit, (batch, z, y, x).
    target
        0 or 1, same shape.
    """
    entropy = (
        functional.binary_cross_entropy_with_logits(margin, target, reduction="none")
        .flatten(1)
        .mean(1)
    )
    probability = torch.sigmoid(margin)
    common = (probability * target).flatten(1).sum(1)
    total = probability.flatten(1).sum(1) + target.flatten(1).sum(1)
    return (entropy + 1.0 - (2.0 * common + 10.0) / (total + 10.0)).mean()


def _dice(
    prediction: np.ndarray[Any, np.dtype[np.bool_]], truth: np.ndarray[Any, np.dtype[np.bool_]]
) -> float:
    total = int(prediction.sum()) + int(truth.sum())
    return 2.0 * int((prediction & truth).sum()) / total if total else 1.0


def train(
    output: Path,
    config: TrainConfig,
    device: torch.device | str = "cpu",
    *,
    resume: bool = False,
    report: Callable[[StepReport], None] | None = None,
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
        Called after every step.

    Returns
    -------
    Trainer
        The finished run.
    """
    output.mkdir(parents=True, exist_ok=True)
    path = output / CHECKPOINT
    trainer = Trainer(config, torch.device(device))
    if resume and path.exists():
        trainer.load(path)
        log.info("continuing at step %d after %.1f min", trainer.step, trainer.spent / 60)
    seen: deque[StepReport] = deque(maxlen=50)
    for result in trainer.run():
        seen.append(result)
        if report is not None:
            report(result)
        if result.step % 25 == 0:
            _log_progress(trainer, seen)
        if result.step % config.save_every == 0:
            trainer.save(path)
    trainer.save(path)
    return trainer


def _log_progress(trainer: Trainer, seen: deque[StepReport]) -> None:
    pairs = [(d, f, n) for r in seen for d, f, n in zip(r.dice, r.first, r.names, strict=True)]
    first = [d for d, f, _ in pairs if f]
    later = [d for d, f, _ in pairs if not f]
    families = sorted({n for *_, n in pairs})
    per_family = " ".join(
        f"{n}={np.mean([d for d, _, m in pairs if m == n]):.2f}" for n in families
    )
    log.info(
        "step %d  %.1f min  %.2f s/step  loss %.3f  dice first %.3f later %.3f  scenes %d  %s",
        trainer.step,
        trainer.spent / 60,
        np.mean([r.seconds for r in seen]),
        np.mean([r.loss for r in seen]),
        np.mean(first) if first else float("nan"),
        np.mean(later) if later else float("nan"),
        trainer._next_scene,
        per_family,
    )
