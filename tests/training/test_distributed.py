"""Two processes that train together: averaged gradients, the same weights bit for bit; continued by one."""

import os
from dataclasses import replace

import pytest
import torch
from torch import multiprocessing

from napari_nninteractive.errors import ModelError
from napari_nninteractive.training.distributed import Group, join, started_together
from napari_nninteractive.training.loop import train
from napari_nninteractive.training.weights.checkpoint import CHECKPOINT, read_checkpoint


def together(rank, meeting, folder, config):
    """What each of the two processes does; leaves what the test reads."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    group = join(torch.device("cpu"), meeting)
    agreed = (group.agree(float(rank + 5)), group.largest(rank), group.shared(f"of {rank}"))
    layer = group.wrap(torch.nn.Linear(2, 1))
    layer(torch.tensor([[1.0, 10.0]]) * (rank + 1)).sum().backward()
    gradient = layer.module.weight.grad
    names = []
    trainer = train(
        folder,
        config,
        group=group,
        report=lambda r: names.append(r.step),
    )
    left = {
        "network": dict(trainer.network.named_parameters()),
        "averaged": trainer.averaged,
        "scene": trainer.next_scene,
        "spent": trainer.spent,
        "samples": trainer.samples,
        "keys": [list(e.key) for e in trainer._active + trainer._waiting],
        "reported": names,
        "agreed": agreed,
        "gradient": gradient,
    }
    torch.save(left, folder / f"rank{rank}.pt")
    group.leave()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What two processes leave after three steps, and their folder."""
    from napari_nninteractive.training.config import TrainConfig
    from napari_nninteractive.training.data.dataset import EpisodeConfig
    from napari_nninteractive.training.network import NetworkConfig

    folder = tmp_path_factory.mktemp("pair")
    config = TrainConfig(
        max_steps=3,
        batch=1,
        warm_up=2,
        pool=2,
        cool_from=1.0,
        network=NetworkConfig(features=(4, 8), blocks=(1, 1), patch=(16, 16, 16)),
        episodes=EpisodeConfig(per_scene=4, start_level=0.0, ramp=10_000, shape=(20, 24, 24)),
    )
    multiprocessing.spawn(together, (f"file://{folder / 'meeting'}", folder, config), nprocs=2)
    left = [torch.load(folder / f"rank{r}.pt", weights_only=True) for r in (0, 1)]
    return folder, config, left


def test_two_processes_hold_the_same_weights_bit_for_bit(pair):
    folder, _, (first, second) = pair
    saved = read_checkpoint(folder / CHECKPOINT)
    for part in ("network", "averaged"):
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), name
            assert torch.equal(value, saved[part][name]), name
    assert first["spent"] == second["spent"]
    assert first["samples"] == second["samples"] == 6


def test_each_trains_on_scenes_of_its_own_and_the_first_reports(pair):
    _, _, (first, second) = pair
    assert {k[1] % 2 for k in first["keys"]} == {0}
    assert {k[1] % 2 for k in second["keys"]} == {1}
    assert (first["reported"], second["reported"]) == ([1, 2, 3], [])


def test_gradients_are_averaged_and_values_agreed_on(pair):
    _, _, left = pair
    for found in left:
        assert found["gradient"].tolist() == [[1.5, 15.0]]
        assert found["agreed"] == (5.0, 1, "of 0")


def test_weights_differ_from_those_of_one_process(pair, tmp_path):
    _, config, (first, _) = pair
    alone = train(tmp_path, config)
    names = dict(alone.network.named_parameters())
    assert any(not torch.equal(names[n], v) for n, v in first["network"].items())


def test_one_process_goes_on_from_the_checkpoint_of_two(pair, tmp_path):
    folder, config, left = pair
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        (tmp_path / run / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes())
    runs = [train(tmp_path / run, replace(config, max_steps=4), resume=True) for run in ("a", "b")]
    assert [r.step for r in runs] == [4, 4]
    assert min(e.key[1] for e in runs[0]._active) >= max(x["scene"] for x in left)
    for name, value in runs[0].averaged.items():
        assert torch.equal(value, runs[1].averaged[name]), name


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not started_together()
    group = join(torch.device("cpu"))
    assert group == Group()
    layer = torch.nn.Linear(2, 1)
    assert group.wrap(layer) is layer
    assert (group.agree(0.1), group.largest(3), group.shared("x")) == (0.1, 3, "x")


def test_devices_that_cannot_be_shared_are_named(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ModelError, match="cpu or cuda"):
        join(torch.device("mps"))
