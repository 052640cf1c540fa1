"""A tiny network and run for all training tests."""

import pytest
import torch

from napari_nninteractive.training.config import TrainConfig
from napari_nninteractive.training.data.dataset import EpisodeConfig
from napari_nninteractive.training.network import NetworkConfig


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny():
    """A run of three steps; replace what a test is about."""
    return TrainConfig(
        minutes=10.0,
        max_steps=3,
        batch=1,
        warm_up=2,
        pool=2,
        network=NetworkConfig(features=(4, 8), blocks=(1, 1), patch=(16, 16, 16)),
        episodes=EpisodeConfig(per_scene=4, start_level=0.0, ramp=10_000, shape=(20, 24, 24)),
    )
