"""What can be done about errors, in the words of the panel."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from napari_nninteractive.errors import Remedy

__all__ = ["IN_THE_PANEL"]

IN_THE_PANEL: Mapping[Remedy, str] = MappingProxyType(
    {
        Remedy.USE_CPU: "choose CPU under “Compute on”",
        Remedy.USE_CPU_OR_INSTALL_CUDA: (
            "choose CPU under “Compute on”, or see what `napari-nninteractive info` says to install"
        ),
        Remedy.FREE_DEVICE_MEMORY: (
            "your prompt is kept. Close other programs that use the device, choose CPU under “Compute on”, or choose a "
            "smaller model under “Model”: the built-in one is the smallest"
        ),
        Remedy.USE_FP32: "choose the precision fp32 in napari's preferences, under this plugin",
        Remedy.CHOOSE_MODEL: "choose another one under “Model”",
        Remedy.DOWNLOAD_MODEL: "choose it under “Model” to download it",
        Remedy.ACCEPT_LICENCE: "choose {name} under “Model” to read and accept it",
        Remedy.CHOOSE_CHANNEL: "save one as a file of its own",
        Remedy.CHOOSE_TIMEPOINT: "save one as a file of its own",
        Remedy.CHOOSE_TIMEPOINT_OR_MARK_Z: (
            "save one as a file of its own. If they are slices, mark the axis as z first (in Fiji: Image > Properties)"
        ),
        Remedy.LEAVE_OUT_CHANNEL: "open it without choosing a channel",
        Remedy.LEAVE_OUT_TIMEPOINT: "open it without choosing a time point",
        Remedy.OVERWRITE: "choose another name",
        Remedy.INSTALL: "pip install {name} into the environment of napari, and start it again",
        Remedy.INSTALL_TENSORBOARD: "pip install tensorboard into the environment of napari",
        Remedy.MAKE_ROOM_AND_RESUME: "make room there, then go on with the run",
        Remedy.RESUME_WITH_FEWER_WORKERS: "go on with the run, with fewer processes",
        Remedy.BEGIN_ELSEWHERE: "copy it again, or begin in another folder",
        Remedy.BEGIN_FROM: "go on with the same values, or begin in another folder",
        Remedy.START_FEWER_PROCESSES: "start at most {number}",
        Remedy.MEASURE_SMALLER: "measure smaller objects too, or look at the labels",
    }
)
"""What a user of the panel is told, by remedy; as `errors.IN_PYTHON`. The panel trains and measures nothing yet."""
