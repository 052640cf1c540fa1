"""Deep supervision: each resolution weighs half of the finer one, the coarsest nothing; weights stay the same."""

import pytest
import torch

from napari_nninteractive.training.loss import margin_loss, supervise, supervised_loss
from napari_nninteractive.training.network import NetworkConfig, build


def logits(margin):
    return torch.stack([torch.zeros_like(margin), margin], 1)


def test_one_answer_is_the_plain_loss():
    margin, target = torch.randn(2, 8, 8, 8), (torch.rand(2, 8, 8, 8) > 0.5).float()
    loss, found = supervised_loss(logits(margin), target)
    assert torch.equal(loss, margin_loss(margin, target))
    assert torch.equal(found, margin)
    alone, _ = supervised_loss([logits(margin)], target)
    assert torch.equal(alone, loss)


def test_coarser_answers_weigh_half_and_the_coarsest_nothing():
    target = torch.zeros(1, 8, 8, 8)
    target[:, :4] = 1
    fine, middle, coarse = (torch.randn(1, n, n, n) for n in (8, 4, 2))
    loss, margin = supervised_loss([logits(m) for m in (fine, middle, coarse)], target)
    expected = (margin_loss(fine, target) + margin_loss(middle, target[:, ::2, ::2, ::2]) / 2) / 1.5
    assert float(loss) == pytest.approx(float(expected), abs=1e-6)
    assert torch.equal(margin, fine)


def test_a_deeply_supervised_network_has_the_same_weights_and_the_same_finest_answer():
    torch.manual_seed(0)
    network = build(NetworkConfig(features=(4, 8, 8), blocks=(1, 1, 1), patch=(16, 16, 16))).eval()
    names, inputs = list(network.state_dict()), torch.randn(1, 8, 16, 16, 16)
    with torch.inference_mode():
        plain = network(inputs)
        supervise(network, deep=True)
        answers = network(inputs)
    assert [a.shape[2] for a in answers] == [16, 8]
    assert torch.equal(answers[0], plain)
    assert list(network.state_dict()) == names


@pytest.mark.parametrize(("deep", "frozen"), [(False, [0, 1]), (True, [0])])
def test_layers_without_a_gradient_are_frozen_and_no_others(deep, frozen):
    sizes = NetworkConfig(features=(4, 8, 8, 8), blocks=(1, 1, 1, 1), patch=(16, 16, 16))
    network = build(sizes)
    supervise(network, deep)
    loss, _ = supervised_loss(network(torch.randn(1, 8, 16, 16, 16)), torch.zeros(1, 16, 16, 16))
    loss.backward()
    without = {n for n, p in network.named_parameters() if p.grad is None}
    assert without == {
        f"decoder.seg_layers.{i}.{kind}" for i in frozen for kind in ("weight", "bias")
    }
