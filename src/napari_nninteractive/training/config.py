"""What decides a training run, and what each of its steps reports."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_nninteractive.core.box import Index3
from napari_nninteractive.training.data.dataset import EpisodeConfig
from napari_nninteractive.training.network import NetworkConfig

__all__ = ["StepReport", "TrainConfig"]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides a training run.

    Parameters
    ----------
    minutes : float
        Budget of compute time; pauses of the process do not count.
    max_steps : int or None
        Ends the run earlier, independent of the machine's speed.
    seed : int
        Seeds weights, scenes and prompts.
    batch : int
        Episodes advanced per step.
    rate : float
        Peak learning rate (see :class:`~napari_nninteractive.training.optimizer.KernelMuon`).
    warm_up : int
        Steps over which it rises.
    cool_from : float
        Progress from which it falls to zero along a cosine.
    average : float
        Decay of the weight average, which is what is exported.
    clip : float
        Largest gradient norm.
    pool : int
        Waiting episodes that the next ones are drawn from, so that a batch mixes scenes.
    workers : int
        Processes that make scenes; 0 makes them in this one.
    save_every : int
        Steps between checkpoints.
    snapshots : int
        Averaged weights of the latest checkpoints that are kept, to be averaged once more; 0 keeps none.
    data : str or None
        Folder of labelled volumes that is trained on; None: scenes. Said of the run, not read: the source decides.
    origin : str or None
        Model that the run starts from: its name, folder, or a checkpoint of a run; None: random weights.
    patch : tuple of int or None
        Voxels (z, y, x) trained on, if not those of the model that it starts from, or of `network`.
    deep_supervision : bool
        The network answers at every resolution while it is trained.
    network : NetworkConfig
        Size of the network, where it starts from random weights.
    episodes : EpisodeConfig
        How scenes become samples.
    """

    minutes: float = 60.0
    max_steps: int | None = None
    seed: int = 0
    batch: int = 4
    rate: float = 1e-3
    warm_up: int = 100
    cool_from: float = 0.6
    average: float = 0.996
    clip: float = 1.0
    pool: int = 16
    workers: int = 0
    save_every: int = 250
    snapshots: int = 0
    data: str | None = None
    origin: str | None = None
    patch: Index3 | None = None
    deep_supervision: bool = False
    network: NetworkConfig = field(default_factory=NetworkConfig)
    episodes: EpisodeConfig = field(default_factory=EpisodeConfig)


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one step measured.

    Attributes
    ----------
    step
        Steps done.
    loss
        Dice loss plus cross entropy.
    dice
        Per sample, of the thresholded prediction.
    first
        Per sample, whether it was the first prompt of its object.
    names
        Per sample, the family of its scene.
    seconds
        Compute time of this step.
    rate
        Learning rate.
    """

    step: int
    loss: float
    dice: tuple[float, ...]
    first: tuple[bool, ...]
    names: tuple[str, ...]
    seconds: float
    rate: float = 0.0
