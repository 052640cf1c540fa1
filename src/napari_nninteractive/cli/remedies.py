"""What can be done about errors, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from napari_nninteractive.errors import NNInteractiveError, Remedy

__all__ = ["ON_THE_COMMAND_LINE", "said"]

ON_THE_COMMAND_LINE: Mapping[Remedy, str] = MappingProxyType(
    {
        Remedy.USE_CPU: "use --device cpu",
        Remedy.USE_CPU_OR_INSTALL_CUDA: (
            "use --device cpu, or see what `napari-nninteractive info` says to install"
        ),
        Remedy.FREE_DEVICE_MEMORY: (
            "close other programs that use the device, use --device cpu, or take a smaller model"
        ),
        Remedy.USE_FP32: "use --precision fp32",
        Remedy.CHOOSE_MODEL: (
            "name the folder of a complete model, or one that `napari-nninteractive models list` shows"
        ),
        Remedy.DOWNLOAD_MODEL: "do it once with `napari-nninteractive models download {name}`",
        Remedy.ACCEPT_LICENCE: (
            "read it with `napari-nninteractive models licence {name}` and accept it with "
            "`napari-nninteractive models download {name} --accept-licence`"
        ),
        Remedy.CHOOSE_CHANNEL: (
            "choose one with --channel 0 to --channel {number}, or, where a command has no such option, save one as a "
            "file of its own"
        ),
        Remedy.CHOOSE_TIMEPOINT: (
            "choose one with --timepoint 0 to --timepoint {number}, or, where a command has no such option, save one "
            "as a file of its own"
        ),
        Remedy.CHOOSE_TIMEPOINT_OR_MARK_Z: (
            "choose one with --timepoint 0 to --timepoint {number}, or, where a command has no such option, save one "
            "as a file of its own. If they are slices, mark the axis as z first (in Fiji: Image > Properties)"
        ),
        Remedy.LEAVE_OUT_CHANNEL: "leave out --channel {number}",
        Remedy.LEAVE_OUT_TIMEPOINT: "leave out --timepoint {number}",
        Remedy.OVERWRITE: "choose another name, or replace it with --force",
        Remedy.INSTALL: "pip install {name}",
        Remedy.INSTALL_TENSORBOARD: "pip install tensorboard, or train without --tensorboard",
        Remedy.MAKE_ROOM_AND_RESUME: (
            "make room there, then go on with --resume from what was saved before"
        ),
        Remedy.RESUME_WITH_FEWER_WORKERS: "go on with --resume and fewer --workers",
        Remedy.BEGIN_ELSEWHERE: (
            "copy it again, or begin in another folder, where --from takes an earlier snapshot or model"
        ),
        Remedy.BEGIN_FROM: (
            "give the same values to go on with it, choose another folder, or start a new run from its weights with "
            "--from {name}"
        ),
        Remedy.START_FEWER_PROCESSES: "give torchrun --nproc-per-node {number}",
        Remedy.MEASURE_SMALLER: "lower --smallest, or look at the labels",
    }
)
"""What a user of the program is told, by remedy; as `napari_nninteractive.remedies.IN_PYTHON`."""


def said(error: BaseException) -> str:
    """What is wrong and what to do, with options where a caller of the library has arguments.

    Parameters
    ----------
    error : BaseException
        Any; only those of this package have a remedy.

    Returns
    -------
    str
        Text, perhaps of several lines; "" where the error has none.
    """
    if isinstance(error, NNInteractiveError):
        return error.worded(ON_THE_COMMAND_LINE)
    return str(error)
