"""Several processes that train one network together, as `torchrun` starts them.

Each process trains on its own episodes; the gradients are averaged before every step, so that all hold the same
weights, bit for bit. A run of one process needs none of this: its `Group` does nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from napari_nninteractive.errors import Advice, ModelError, Remedy

__all__ = ["Group", "join", "started_together"]


@dataclass(frozen=True, slots=True)
class Group:
    """One process among those that train together.

    Attributes
    ----------
    rank
        Its number, from 0; number 0 writes the files.
    size
        Processes in all.
    device
        Where it computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 # immutable

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports and writes."""
        return self.rank == 0

    def wrap(self, network: torch.nn.Module) -> torch.nn.Module:
        """Return a callable whose backward pass averages the gradients of all processes."""
        return network if self.size == 1 else DistributedDataParallel(network)

    def agree(self, value: float) -> float:
        """Return what the first process has, on all of them."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, 0)
        return float(shared)

    def largest(self, value: int) -> int:
        """Return the largest value that any process has."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.int64, device=self.device)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return int(shared)

    def shared(self, value: Any) -> Any:
        """Return the object that the first process has, on all of them."""
        if self.size == 1:
            return value
        box = [value if self.is_first else None]
        distributed.broadcast_object_list(box, 0, device=self.device)
        return box[0]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def leave(self) -> None:
        """End the connection to the others."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()


def started_together() -> bool:
    """Return whether `torchrun` started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(device: torch.device, init_method: str = "env://") -> Group:
    """Join the processes that were started together with this one.

    Parameters
    ----------
    device : torch.device
        ``cpu`` (processes talk through gloo) or ``cuda`` (NCCL; each process takes the card of its local number).
    init_method : str
        How they find each other, as `torch.distributed` understands it; the default is what `torchrun` prepares.

    Returns
    -------
    Group
        Of one process, and without any connection, where `torchrun` did not start several.

    Raises
    ------
    ModelError
        If the device cannot be shared in this way, or there are more processes than cards.
    """
    if not started_together():
        return Group(device=device)
    if device.type not in ("cpu", "cuda"):
        raise ModelError(
            f"Several processes train together on cpu or cuda, not on {device.type}: start one process only."
        )
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", rank))
        if local >= torch.cuda.device_count():
            cards = torch.cuda.device_count()
            raise ModelError(
                f"Process {local} of this machine has no card, for there are {cards}.",
                Advice(Remedy.START_FEWER_PROCESSES, number=cards),
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=init_method, rank=rank, world_size=size)
    return Group(rank, size, device)
