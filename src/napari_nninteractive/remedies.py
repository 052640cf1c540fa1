"""What can be done about an error, as data, and its words for callers of the library.

A `Remedy` is done in another way by each reader: with an argument, an option or a button. The words for arguments are
here, those of the command line and of the panel in theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

__all__ = ["IN_PYTHON", "Advice", "Remedy"]


class Remedy(Enum):
    """What can be done about an error; `Advice` has the name and number that some of them need."""

    USE_CPU = auto()
    """Compute on the CPU."""
    USE_CPU_OR_INSTALL_CUDA = auto()
    """Compute on the CPU, or install a PyTorch that knows the graphics card."""
    FREE_DEVICE_MEMORY = auto()
    """Close other programs, compute on the CPU, or take a smaller model."""
    USE_FP32 = auto()
    """Compute in full precision."""
    CHOOSE_MODEL = auto()
    """Name another model."""
    DOWNLOAD_MODEL = auto()
    """Download the model `name`."""
    ACCEPT_LICENCE = auto()
    """Read and accept the licence of the model `name`."""
    CHOOSE_CHANNEL = auto()
    """Take one channel, 0 to `number`."""
    CHOOSE_TIMEPOINT = auto()
    """Take one time point, 0 to `number`."""
    CHOOSE_TIMEPOINT_OR_MARK_Z = auto()
    """Take one time point, 0 to `number`, or have the file say that they are slices."""
    LEAVE_OUT_CHANNEL = auto()
    """Ask for no channel, instead of `number`."""
    LEAVE_OUT_TIMEPOINT = auto()
    """Ask for no time point, instead of `number`."""
    OVERWRITE = auto()
    """Write under another name, or replace what is there."""
    INSTALL = auto()
    """Install the package `name`."""
    INSTALL_TENSORBOARD = auto()
    """Install TensorBoard, or train without it."""
    MAKE_ROOM_AND_RESUME = auto()
    """Make room on the disk, and go on with the run."""
    RESUME_WITH_FEWER_WORKERS = auto()
    """Go on with the run, with fewer processes that make episodes."""
    BEGIN_ELSEWHERE = auto()
    """Copy the checkpoint again, or begin a run in another folder."""
    BEGIN_FROM = auto()
    """Go on with the same values, or begin a run in another folder, also from the weights of the checkpoint `name`."""
    START_FEWER_PROCESSES = auto()
    """Start one process for each of the `number` graphics cards."""
    MEASURE_SMALLER = auto()
    """Measure smaller objects too."""


IN_PYTHON: Mapping[Remedy, str] = MappingProxyType(
    {
        Remedy.USE_CPU: "use device='cpu'",
        Remedy.USE_CPU_OR_INSTALL_CUDA: (
            "use device='cpu', or see what `napari-nninteractive info` says to install"
        ),
        Remedy.FREE_DEVICE_MEMORY: (
            "close other programs that use the device, use device='cpu', or take a smaller model"
        ),
        Remedy.USE_FP32: "use precision='fp32'",
        Remedy.CHOOSE_MODEL: (
            "give the folder of a complete model, or the name of one that engine.registry.registered() has"
        ),
        Remedy.DOWNLOAD_MODEL: (
            "do it once with engine.registry.download('{name}', accept_licence=True), or in a shell with "
            "`napari-nninteractive models download {name}`"
        ),
        Remedy.ACCEPT_LICENCE: (
            "read it with engine.registry.licence_text('{name}') and accept it with accept_licence=True"
        ),
        Remedy.CHOOSE_CHANNEL: (
            "choose one with channel=0 to channel={number}, or save one as a file of its own"
        ),
        Remedy.CHOOSE_TIMEPOINT: (
            "choose one with timepoint=0 to timepoint={number}, or save one as a file of its own"
        ),
        Remedy.CHOOSE_TIMEPOINT_OR_MARK_Z: (
            "choose one with timepoint=0 to timepoint={number}, or save one as a file of its own. If they are slices, "
            "mark the axis as z first (in Fiji: Image > Properties)"
        ),
        Remedy.LEAVE_OUT_CHANNEL: "leave out channel={number}",
        Remedy.LEAVE_OUT_TIMEPOINT: "leave out timepoint={number}",
        Remedy.OVERWRITE: "choose another name, or replace it with overwrite=True",
        Remedy.INSTALL: "pip install {name}",
        Remedy.INSTALL_TENSORBOARD: "pip install tensorboard, or train with tensorboard=False",
        Remedy.MAKE_ROOM_AND_RESUME: (
            "make room there, then go on with resume=True from what was saved before"
        ),
        Remedy.RESUME_WITH_FEWER_WORKERS: "go on with resume=True and fewer workers",
        Remedy.BEGIN_ELSEWHERE: (
            "copy it again, or begin in another folder, with an earlier snapshot or model as origin"
        ),
        Remedy.BEGIN_FROM: (
            "give the same values to go on with it, choose another folder, or start a new run from its weights with "
            "origin='{name}'"
        ),
        Remedy.START_FEWER_PROCESSES: "start at most {number} on each machine",
        Remedy.MEASURE_SMALLER: "give a lower `smallest`, or look at the labels",
    }
)
"""What a caller of the library is told, by remedy; {name} and {number} are those of the advice."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A remedy and what it is about.

    Attributes
    ----------
    remedy : Remedy
        What can be done.
    name : str
        Of the model, package or file; "" where the remedy needs none.
    number : int
        The number that the remedy needs.
    """

    remedy: Remedy
    name: str = ""
    number: int = 0

    def worded(self, words: Mapping[Remedy, str]) -> str:
        """Say it in the words of one reader.

        Parameters
        ----------
        words : mapping of Remedy to str
            For every remedy, what to do, without a capital or a full stop.

        Returns
        -------
        str
            The words for this remedy, with name and number filled in.
        """
        return words[self.remedy].format(name=self.name, number=self.number)
