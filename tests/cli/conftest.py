"""Model folders for the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.flood_model import write_flood_model
from fixtures.model_folder import write_model_folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny model folder with random weights."""
    return write_model_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def flood_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a model folder that floods bright voxels from a click."""
    return write_flood_model(tmp_path_factory.mktemp("models") / "flood")
