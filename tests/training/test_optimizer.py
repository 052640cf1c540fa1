"""Kernels move by orthogonalised momentum, everything else as under AdamW."""

from __future__ import annotations

import pytest
import torch

from napari_nninteractive.training.optimizer import KernelMuon, orthogonalised


@pytest.mark.parametrize("shape", [(8, 27), (27, 8), (16, 16)])
def test_singular_values_come_near_one_and_directions_stay(shape) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 100.0
    found = orthogonalised(matrix)
    assert found.shape == matrix.shape
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.5
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    overlap = torch.diagonal(left.T @ found @ right.T)
    assert (overlap > 0.5).all()


def network() -> torch.nn.Sequential:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv3d(2, 4, 3), torch.nn.InstanceNorm3d(4, affine=True), torch.nn.Conv3d(4, 2, 1)
    )


def test_other_parameters_move_exactly_as_under_adamw() -> None:
    ours, theirs = network(), network()
    pairs = (
        (ours, KernelMuon(ours.parameters(), lr=1e-2, weight_decay=1e-2)),
        (theirs, torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=1e-2)),
    )
    inputs = torch.randn(1, 2, 5, 5, 5, generator=torch.Generator().manual_seed(2))
    for model, optimizer in pairs:
        model(inputs).square().sum().backward()
        optimizer.step()
    for name, value in ours.named_parameters():
        same = torch.equal(value, theirs.get_parameter(name))
        assert same == (name != "0.weight"), name


def test_the_first_step_of_a_kernel_is_known() -> None:
    """Decay, then the orthogonalised gradient, scaled to a root mean square of 0.2 times the rate."""
    model = network()
    kernel = model[0].weight
    before = kernel.detach().clone()
    optimizer = KernelMuon([kernel], lr=0.1, weight_decay=0.5)
    kernel.grad = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(3))
    optimizer.step()
    expected = orthogonalised(kernel.grad.flatten(1)) * 0.2 * 54**0.5
    torch.testing.assert_close(
        kernel.detach(), before * 0.95 - 0.1 * expected.reshape(before.shape), rtol=0, atol=2e-2
    )
    rms = (kernel.detach() - before * 0.95).square().mean().sqrt()
    assert rms == pytest.approx(0.1 * 0.2, rel=0.25)


def test_it_goes_on_from_its_saved_state() -> None:
    def steps(model: torch.nn.Module, optimizer: KernelMuon, numbers: range) -> None:
        for k in numbers:
            inputs = torch.randn(1, 2, 5, 5, 5, generator=torch.Generator().manual_seed(k))
            optimizer.zero_grad()
            model(inputs).square().sum().backward()
            optimizer.step()

    whole = network()
    steps(whole, KernelMuon(whole.parameters(), lr=1e-2), range(4))
    first = network()
    optimizer = KernelMuon(first.parameters(), lr=1e-2)
    steps(first, optimizer, range(2))
    second = network()
    second.load_state_dict(first.state_dict())
    resumed = KernelMuon(second.parameters(), lr=1e-2)
    resumed.load_state_dict(optimizer.state_dict())
    steps(second, resumed, range(2, 4))
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_closure_is_evaluated_with_gradients() -> None:
    model = network()
    optimizer = KernelMuon(model.parameters(), lr=1e-2)

    def closure() -> float:
        optimizer.zero_grad()
        loss = model(torch.ones(1, 2, 4, 4, 4)).square().sum()
        loss.backward()
        return float(loss.detach())

    assert optimizer.step(closure) == pytest.approx(closure(), rel=0.5)
