"""A model made ready to run, and the images that it is to see: what sessions, and programs with many images, stand on.

An `Engine` is a frozen value that many sessions may share. Opened on an image it gives a `Predictor`, and
`engine.steps.play` takes this, a `State` and a plan to the next `State`, without changing either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.engine.device import (
    Execution,
    FixedPrecision,
    Network,
    Precision,
    Runner,
    Sight,
    choose_precision,
    make_runner,
)
from napari_nninteractive.engine.model import Model, load_model
from napari_nninteractive.engine.normalize import Normalization, measure
from napari_nninteractive.engine.patch import PatchReader
from napari_nninteractive.engine.predict import Predictor

__all__ = ["Engine", "load_engine"]


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """A model with the way to run it.

    Build one with `load_engine`, or with `Engine.of` from a model that is loaded.

    Attributes
    ----------
    model : Model
        The model.
    runner : Runner
        Runs its network, on its device and in one precision.
    config : EngineConfig
        Thresholds.
    autozoom : bool
        Whether to look from further away while the object reaches the border of the view.
    """

    model: Model
    runner: Runner
    config: EngineConfig = field(default_factory=EngineConfig)
    autozoom: bool = True

    @classmethod
    def of(
        cls,
        model: Model,
        *,
        precision: Precision = "auto",
        network: Network | None = None,
        autozoom: bool = True,
        config: EngineConfig | None = None,
        execution: Execution | None = None,
    ) -> Engine:
        """Engine of a model.

        Parameters
        ----------
        model : Model
            From `load_model`.
        precision : {"auto", "fp32", "bf16", "fp16", "int8"}
            Of the network; "auto" takes what the device does fast. int8 needs OpenVINO (the extra "fast").
        network : callable, optional
            (1, channels, z, y, x) float32 tensor to (1, 2, z, y, x) logits; the model's own by default.
        autozoom : bool
            Whether to look from further away while the object reaches the border of the view.
        config : EngineConfig, optional
            Thresholds; those of the published engine by default, with the working zoom of the model's capabilities.
        execution : Execution, optional
            How the network runs on a CPU, as from a saved session, where masks are to be the same to the bit; by
            default the fastest way on this machine. See `device.make_runner`.

        Returns
        -------
        Engine
            Ready to be opened on images.

        Raises
        ------
        SessionError
            If the precision does not fit the device, or needs OpenVINO and it is not there.
        """
        if network is None:
            sight = Sight(model.patch_size, model.stride, model.capabilities.encoding)
            runner = make_runner(model.network, model.device, sight, precision, execution)
        else:
            fixed = choose_precision(model.device, precision)
            runner = Runner(network, model.device, fixed, keeps_input=False)
        if config is None:
            config = EngineConfig(max_working_zoom=model.capabilities.working_zoom)
        return cls(model, runner, config, autozoom)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.runner.device

    @property
    def precision(self) -> FixedPrecision:
        """Precision of the network: "fp32", "bf16", "fp16" or "int8"."""
        return self.runner.precision

    @property
    def execution(self) -> Execution:
        """How the network runs now: runtime, precision, layout and threads; see `Runner.execution`."""
        return self.runner.execution

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of prompts that the model knows, as `Prompt.kind` names them; masks and edits need none."""
        return self.model.capabilities.kinds

    def open(self, volume: Volume, normalization: Normalization | None = None) -> Predictor:
        """Look at an image.

        Parameters
        ----------
        volume : Volume
            The image; held by reference.
        normalization : Normalization, optional
            Its intensity statistics, where they are known; by default it is passed over once to measure them.

        Returns
        -------
        Predictor
            For `engine.steps.play`. It holds one input of the network on the device, so that one prediction at a time
            may run with it.

        Raises
        ------
        ImageError
            If the image is constant or nothing in it is finite.
        """
        reader = PatchReader(
            volume,
            measure(volume) if normalization is None else normalization,
            self.model.patch_size,
            self.model.capabilities.encoding,
            self.device,
            self.config.finest_bytes,
        )
        return Predictor(reader, self.runner, self.config, self.autozoom)


def load_engine(
    name: str | Path,
    device: str | torch.device = "auto",
    *,
    precision: Precision = "auto",
    autozoom: bool = True,
    config: EngineConfig | None = None,
) -> Engine:
    """Load a model and make it ready to run.

    Parameters
    ----------
    name, device
        As for `load_model`.
    precision, autozoom, config
        As for `Engine.of`.

    Returns
    -------
    Engine
        Ready to be opened on images.

    Raises
    ------
    ModelError
        If the model is not there or does not fit; see `load_model`.
    SessionError
        If the device is not there, or the precision does not fit it.
    """
    return Engine.of(
        load_model(name, device), precision=precision, autozoom=autozoom, config=config
    )
