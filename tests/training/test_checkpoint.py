"""Checkpoints: older ones are understood, snapshots are kept and averaged, wrong files are named."""

from dataclasses import asdict, replace

import pytest
import torch

from napari_nninteractive.engine.model import load_model
from napari_nninteractive.errors import ModelError
from napari_nninteractive.training.loop import Trainer, train
from napari_nninteractive.training.run import export_average
from napari_nninteractive.training.weights.checkpoint import (
    CHECKPOINT,
    SNAPSHOTS,
    config_of,
    mean_weights,
    read_checkpoint,
)
from napari_nninteractive.training.weights.origin import origin_of


def aged(path):
    """Make a checkpoint look as the first ones did: without the fields that came later."""
    state = torch.load(path, weights_only=True)
    for key in ("source", "processes"):
        del state[key]
    for key in ("snapshots", "origin", "patch", "deep_supervision"):
        del state["config"][key]
    del state["config"]["episodes"]["united"]
    state["config"]["episodes"]["given_up"] = 1
    torch.save(state, path)


def test_an_older_checkpoint_is_continued_exported_and_started_from(tmp_path, tiny):
    path = tmp_path / "run" / CHECKPOINT
    whole = train(tmp_path / "whole", replace(tiny, max_steps=4))
    train(path.parent, replace(tiny, cool_from=1.0))
    aged(path)
    assert config_of(read_checkpoint(path)) == replace(tiny, cool_from=1.0)
    resumed = train(path.parent, replace(tiny, max_steps=4), resume=True)
    for name, value in whole.averaged.items():
        assert torch.equal(value, resumed.averaged[name]), name
    aged(path)
    folder = export_average([path], tmp_path / "model")
    parameters = dict(load_model(folder, device="cpu").network.named_parameters())
    started = dict(origin_of(replace(tiny, origin=str(path))).network.named_parameters())
    for name, value in resumed.averaged.items():
        assert torch.equal(parameters[name], value.half().float()), name
        assert torch.equal(started[name], value), name


def test_the_latest_snapshots_are_kept_and_averaged(tmp_path, tiny):
    trainer = train(tmp_path, replace(tiny, max_steps=4, save_every=1, snapshots=2))
    kept = sorted((tmp_path / SNAPSHOTS).iterdir())
    assert [p.name for p in kept] == ["step_00000003.pt", "step_00000004.pt"]
    third, fourth = (read_checkpoint(p)["averaged"] for p in kept)
    config, weights = mean_weights(kept)
    assert config.snapshots == 2
    for name, value in trainer.averaged.items():
        assert torch.equal(fourth[name], value), name
        assert torch.allclose(weights[name], (third[name] + value) / 2, atol=1e-7), name
    folder = export_average(kept, tmp_path / "model")
    for name, value in load_model(folder, device="cpu").network.named_parameters():
        assert torch.equal(value, weights[name].half().float()), name


def test_runs_of_different_networks_are_not_averaged(tmp_path, tiny):
    train(tmp_path / "a", replace(tiny, max_steps=1))
    other = replace(tiny.network, features=(4, 12))
    train(tmp_path / "b", replace(tiny, max_steps=1, network=other))
    with pytest.raises(ModelError, match="one architecture"):
        mean_weights([tmp_path / "a" / CHECKPOINT, tmp_path / "b" / CHECKPOINT])
    with pytest.raises(ModelError, match="at least one"):
        mean_weights([])


@pytest.mark.parametrize("content", [b"", b"not a file of torch", {"weights": 1}, [1, 2]])
def test_files_that_are_no_checkpoint_are_named(tmp_path, content):
    path = tmp_path / "x.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelError, match=r"x\.pt is"):
        read_checkpoint(path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(ModelError, match="no checkpoint"):
        read_checkpoint(tmp_path / "none.pt")


def test_a_checkpoint_that_would_run_a_program_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    torch.save({"config": Harm(), "averaged": {}, "step": 0}, tmp_path / "x.pt")
    with pytest.raises(ModelError, match="refused"):
        read_checkpoint(tmp_path / "x.pt")
    assert not (tmp_path / "harm").exists()


def test_a_run_is_not_continued_with_another_source(tmp_path, tiny):
    class Other:
        key = "others"

        def __call__(self, seed, index):
            return []

    train(tmp_path, replace(tiny, max_steps=1))
    trainer = Trainer(tiny, torch.device("cpu"), Other())
    with pytest.raises(ModelError, match="another source of data"):
        trainer.load(tmp_path / CHECKPOINT)


def test_a_source_without_episodes_ends_the_run(tiny):
    class Empty:
        key = "empty"

        def __call__(self, seed, index):
            return []

    with pytest.raises(ModelError, match="nothing to train on"):
        next(Trainer(tiny, torch.device("cpu"), Empty()).run())


def test_the_configuration_survives_the_file(tmp_path, tiny):
    config = replace(tiny, max_steps=1, patch=(16, 16, 24), deep_supervision=True)
    train(tmp_path, config)
    assert asdict(config_of(read_checkpoint(tmp_path / CHECKPOINT))) == asdict(config)
