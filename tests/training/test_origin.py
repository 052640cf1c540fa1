"""A run starts from random weights, a model folder or a checkpoint, and leaves a folder like the one it came from."""

import json
from dataclasses import replace

import pytest
import torch

from napari_nninteractive.core.rasterize import PromptEncoding
from napari_nninteractive.engine.model import load_model
from napari_nninteractive.errors import ModelError
from napari_nninteractive.training.loop import CHECKPOINT, Trainer, train
from napari_nninteractive.training.network import build
from napari_nninteractive.training.run import export_run
from napari_nninteractive.training.weights.export import export_model
from napari_nninteractive.training.weights.origin import origin_of


@pytest.fixture
def folder(tmp_path, tiny):
    """A model folder with its own licence and way to be prompted."""
    torch.manual_seed(3)
    path = tmp_path / "start"
    encoding = PromptEncoding(point_radius=2, decay=0.7)
    export_model(
        build(tiny.network), path, config=tiny.network, encoding=encoding, licence="Not yours."
    )
    (path / "LICENSE").write_text("CC-BY-NC-SA-4.0\n")
    return path


def test_training_begins_with_the_weights_and_the_prompts_of_the_model(folder, tiny):
    trainer = Trainer(replace(tiny, origin=str(folder)), torch.device("cpu"))
    expected = dict(load_model(folder, device="cpu").network.named_parameters())
    for name, value in trainer.network.named_parameters():
        assert torch.equal(value, expected[name]), name
    assert trainer.origin.encoding == PromptEncoding(point_radius=2, decay=0.7)
    assert trainer.origin.patch == (16, 16, 16)


def test_a_fine_tuned_model_has_new_weights_and_the_licence_and_prompts_of_the_old(
    tmp_path, folder, tiny
):
    trainer = train(tmp_path / "run", replace(tiny, origin=str(folder), patch=(16, 24, 16)))
    export_run(trainer, tmp_path / "run")
    model = load_model(tmp_path / "run", device="cpu")
    before = dict(load_model(folder, device="cpu").network.named_parameters())
    found = dict(model.network.named_parameters())
    assert any(not torch.equal(found[n], v) for n, v in before.items())
    for name, value in trainer.averaged.items():
        assert torch.equal(found[name], value.half().float()), name
    assert model.patch_size == (16, 24, 16)
    assert model.licence == "CC-BY-NC-SA-4.0"
    assert model.capabilities == load_model(folder, device="cpu").capabilities
    info = json.loads((tmp_path / "run" / "inference_info.json").read_text())
    assert info["name"] == "trained from start"


def test_a_run_from_a_model_resumes_to_the_same_weights(tmp_path, folder, tiny):
    config = replace(tiny, origin=str(folder))
    whole = train(tmp_path / "whole", config)
    train(tmp_path / "parts", replace(config, max_steps=1, cool_from=1.0))
    resumed = train(tmp_path / "parts", config, resume=True)
    for name, value in whole.averaged.items():
        assert torch.equal(value, resumed.averaged[name]), name


def test_training_begins_with_the_averaged_weights_of_a_checkpoint(tmp_path, tiny):
    earlier = train(tmp_path, tiny)
    path = tmp_path / CHECKPOINT
    trainer = Trainer(replace(tiny, origin=str(path), seed=9), torch.device("cpu"))
    assert trainer.step == 0
    for name, value in trainer.network.named_parameters():
        assert torch.equal(value, earlier.averaged[name]), name


def test_a_model_is_not_written_over_the_one_that_it_was_trained_from(folder, tiny):
    trainer = Trainer(replace(tiny, origin=str(folder)), torch.device("cpu"))
    with pytest.raises(ModelError, match="another folder"):
        export_run(trainer, folder)


@pytest.mark.parametrize("patch", [(15, 16, 16), (16, 16, 2)])
def test_a_patch_that_does_not_fit_is_refused(folder, tiny, patch):
    for origin in (None, str(folder)):
        with pytest.raises(ModelError, match="multiple of 2 × 2 × 2"):
            origin_of(replace(tiny, origin=origin, patch=patch))


def test_a_model_that_was_replaced_is_noticed(tmp_path, folder, tiny):
    config = replace(tiny, origin=str(folder), max_steps=1)
    train(tmp_path / "run", config)
    sizes = replace(tiny.network, features=(4, 12))
    export_model(build(sizes), folder, config=sizes, encoding=PromptEncoding())
    with pytest.raises(ModelError, match="do not fit"):
        train(tmp_path / "run", replace(config, max_steps=2), resume=True)


def test_the_older_kind_of_capability_file_is_kept(tmp_path, folder, tiny):
    (folder / "inference_info.json").unlink()
    old = folder / "inference_session_class.json"
    old.write_text(json.dumps("nnInteractiveInferenceSession"))
    trainer = Trainer(replace(tiny, origin=str(folder)), torch.device("cpu"))
    export_run(trainer, tmp_path / "out")
    model = load_model(tmp_path / "out", device="cpu")
    assert model.capabilities == load_model(folder, device="cpu").capabilities
    assert trainer.origin.encoding == model.capabilities.encoding
    assert not (tmp_path / "out" / "inference_info.json").exists()
