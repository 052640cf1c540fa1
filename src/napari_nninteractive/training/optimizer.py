"""The optimizer: orthogonalised momentum for the kernels of convolutions, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

__all__ = ["KernelMuon", "orthogonalised"]

# A quintic whose iteration brings singular values near one fast, if not exactly: Jordan et al. 2024 (Muon).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_UPDATE_RMS = 0.2
_EPS = 1e-7


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """Return about U Vᵀ of a matrix U S Vᵀ, by five Newton-Schulz iterations in bf16.

    Parameters
    ----------
    matrix
        (rows, columns), not all zero.

    Returns
    -------
    torch.Tensor
        Same shape and dtype; singular values between about 0.7 and 1.2, except those that were nearly zero.
    """
    a, b, c = _QUINTIC
    x: torch.Tensor = matrix.to(torch.bfloat16)
    upright = x.size(0) > x.size(1)
    if upright:
        x = x.T
    x = x / (x.norm() + _EPS)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    found: torch.Tensor = x.T if upright else x
    return found.to(matrix.dtype)


class KernelMuon(torch.optim.AdamW):
    """Muon for kernels wider than one voxel, AdamW for all other parameters, under one learning rate.

    A kernel (out, in, z, y, x) is a matrix (out, in·z·y·x). Its update is the orthogonalised Nesterov momentum of the
    gradient, scaled to the size that AdamW's updates have, so that the same rate serves both: Jordan et al.,
    *Muon*, 2024; Liu et al., arXiv:2502.16982. On two CPU cores it costs a tenth of a step more than AdamW.

    Parameters
    ----------
    params
        Parameters of the network.
    lr
        Learning rate.
    weight_decay
        Decoupled, as in AdamW.
    momentum
        Share of the earlier momentum that each step keeps.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float,
        *,
        weight_decay: float = 1e-2,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self.momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; a closure, if given, is evaluated first, with gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        kernels = [
            (p, p.grad, group)
            for group in self.param_groups
            for p in group["params"]
            if p.ndim == 5 and p.shape[2:].numel() > 1 and p.grad is not None
        ]
        for kernel, _, _ in kernels:
            kernel.grad = None  # AdamW passes over parameters without a gradient
        super().step()
        for kernel, gradient, group in kernels:
            self._turn(kernel, gradient, group["lr"], group["weight_decay"])
            kernel.grad = gradient
        return loss

    def _turn(
        self, kernel: torch.Tensor, gradient: torch.Tensor, rate: float, decay: float
    ) -> None:
        state = self.state[kernel]
        if "momentum" not in state:
            state.clear()
            # AdamW's loader looks for a step in every state.
            state.update(step=torch.zeros(()), momentum=torch.zeros_like(kernel))
        state["momentum"].lerp_(gradient, 1.0 - self.momentum)
        ahead = gradient.lerp(state["momentum"], self.momentum).flatten(1)
        update = orthogonalised(ahead) * (_UPDATE_RMS * max(ahead.shape) ** 0.5)
        kernel.mul_(1.0 - rate * decay).add_(update.reshape(kernel.shape), alpha=-rate)
