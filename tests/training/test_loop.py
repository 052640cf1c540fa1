"""The loop: it learns, resumes to the same weights, stops at its budget; the folder that it writes is loaded."""

import errno
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_nninteractive.errors import ModelError
from napari_nninteractive.training.data.dataset import (
    ENCODING,
    EpisodeConfig,
    advance,
    episodes_of,
    sample_of,
)
from napari_nninteractive.training.loop import CHECKPOINT, TrainConfig, Trainer, margin_loss, train
from napari_nninteractive.training.network import NetworkConfig, build
from napari_nninteractive.training.run import export_run
from napari_nninteractive.training.weights.export import export_model

TINY = NetworkConfig(features=(4, 8), blocks=(1, 1), patch=(16, 16, 16))
CONFIG = TrainConfig(
    minutes=10.0,
    max_steps=6,
    batch=2,
    warm_up=2,
    pool=2,
    network=TINY,
    episodes=EpisodeConfig(per_scene=4, start_level=0.0, ramp=10_000, shape=(20, 24, 24)),
)


def weights(trainer):
    return {k: v.detach().clone() for k, v in trainer.network.named_parameters()}


def test_a_resumed_run_ends_with_the_same_weights_as_one_without_a_pause(tmp_path):
    whole = train(tmp_path / "whole", CONFIG)
    train(tmp_path / "parts", replace(CONFIG, max_steps=3, cool_from=1.0))
    resumed = train(tmp_path / "parts", CONFIG, resume=True)
    assert (whole.step, resumed.step) == (6, 6)
    assert whole.samples == resumed.samples
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name
        assert torch.equal(whole.averaged[name], resumed.averaged[name]), name


def test_a_run_is_not_continued_as_another_one(tmp_path):
    train(tmp_path, replace(CONFIG, max_steps=1))
    with pytest.raises(ModelError, match="another seed"):
        train(tmp_path, replace(CONFIG, max_steps=2, seed=5), resume=True)


def test_the_loss_on_scenes_that_it_did_not_see_falls(tmp_path):
    config = replace(CONFIG, max_steps=60, rate=5e-3, average=0.9, cool_from=0.5)
    unseen = [e for scene in range(4) for e in episodes_of(1, scene, config.episodes)]
    fresh = [e for e in map(advance, unseen) if e is not None]
    samples = [sample_of(e, TINY.patch) for e in fresh]
    inputs = torch.from_numpy(np.stack([s.inputs for s in samples]))
    target = torch.from_numpy(np.stack([s.target for s in samples])).float()

    def loss(trainer):
        with torch.inference_mode():
            logits = trainer.averaged_network()(inputs)
        return float(margin_loss(logits[:, 1] - logits[:, 0], target))

    before = loss(Trainer(config, torch.device("cpu")))
    assert loss(train(tmp_path, config)) < before - 0.15


def test_another_seed_gives_another_run(tmp_path):
    losses = {0: [], 1: []}
    for seed, found in losses.items():
        config = replace(CONFIG, max_steps=2, seed=seed)
        train(tmp_path / str(seed), config, report=lambda r, found=found: found.append(r.loss))
    assert losses[0] != losses[1]


def test_the_time_budget_ends_the_run_and_a_checkpoint_is_left(tmp_path):
    trainer = train(tmp_path, replace(CONFIG, minutes=0.02, max_steps=None))
    assert trainer.spent >= 0.02 * 60
    assert trainer.progress == 1.0
    assert (tmp_path / CHECKPOINT).exists()


def test_loss_of_a_perfect_and_of_a_wrong_answer():
    target = torch.zeros(1, 8, 8, 8)
    target[:, 2:6, 2:6, 2:6] = 1
    sure = 20.0 * (2 * target - 1)
    assert float(margin_loss(sure, target)) == pytest.approx(0.0, abs=1e-3)
    # All wrong: cross entropy 20, no overlap of 512 voxels in all (10 of smoothing).
    assert float(margin_loss(-sure, target)) == pytest.approx(20 + 1 - 10 / 522, abs=1e-3)


def test_an_export_holds_the_averaged_weights_once_and_in_half_precision(tmp_path):
    trainer = train(tmp_path / "run", replace(CONFIG, max_steps=2))
    folder = export_run(trainer, tmp_path / "model")
    path = folder / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=True)
    for name, value in trainer.averaged.items():
        assert torch.equal(checkpoint["network_weights"][name], value.half()), name
    assert path.stat().st_size < 2 * sum(v.numel() for v in trainer.averaged.values()) + 100_000
    info = json.loads((folder / "inference_info.json").read_text())
    assert info["interaction_decay"] == ENCODING.decay
    assert info["name"] == "model"
    assert "license" not in info  # whose it is decides
    assert not (folder / "LICENSE").exists()


def test_the_exported_folder_gives_the_same_answers_as_the_network(tmp_path):
    from napari_nninteractive.engine.model import load_model

    torch.manual_seed(1)
    network = build(TINY).eval()
    export_model(network, tmp_path, config=TINY, encoding=ENCODING)
    model = load_model(tmp_path, device="cpu")
    assert model.patch_size == TINY.patch
    assert model.capabilities.encoding == ENCODING
    inputs = torch.randn(1, 8, 16, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(model.network(inputs), network.half().float()(inputs), atol=1e-5)


@pytest.mark.parametrize("there", [True, False], ids=["over an earlier model", "new"])
@pytest.mark.parametrize("at", ["the first file", "the weights"])
@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
)
def test_an_interrupted_export_leaves_the_folder_as_it_was(
    tmp_path, monkeypatch, there, at, failure
):
    torch.manual_seed(1)
    folder = tmp_path / "model"
    if there:
        export_model(build(TINY), folder, config=TINY, encoding=ENCODING, licence="MIT")
        (folder / "checkpoint.pt").write_bytes(b"mine")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def fails(*_args, **_keywords):
        raise failure

    def half_written(_content, path):
        path.write_bytes(b"PK")
        raise failure

    if at == "the weights":
        monkeypatch.setattr(torch, "save", half_written)
    else:
        monkeypatch.setattr(json, "dumps", fails)
    with pytest.raises(type(failure)):
        export_model(build(TINY), folder, config=TINY, encoding=ENCODING, version="2")
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert folder.exists() == there
    export_model(build(TINY), folder, config=TINY, encoding=ENCODING, version="2")
    assert json.loads((folder / "inference_info.json").read_text())["version"] == "2"
    if there:
        assert (folder / "checkpoint.pt").read_bytes() == b"mine"


def test_nnunet_reads_the_exported_plans_and_builds_the_same_network(tmp_path):
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    export_model(build(TINY), tmp_path, config=TINY, encoding=ENCODING)
    manager = PlansManager(json.loads((tmp_path / "plans.json").read_text()))
    dataset = json.loads((tmp_path / "dataset.json").read_text())
    configuration = manager.get_configuration("3d_fullres")
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        8,
        manager.get_label_manager(dataset).num_segmentation_heads,
        deep_supervision=True,
    )
    saved = torch.load(tmp_path / "fold_0" / "checkpoint_final.pth", weights_only=True)
    network.load_state_dict(saved["network_weights"], strict=True)
    assert configuration.patch_size == list(TINY.patch)
    assert manager.available_configurations == [saved["init_args"]["configuration"]]


def test_weights_that_are_not_finite_are_not_exported(tmp_path):
    network = build(TINY)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        export_model(network, tmp_path, config=TINY, encoding=ENCODING)
