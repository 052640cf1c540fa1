"""The network's input for one view: image, previous segmentation and prompts, in a tensor that is filled anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.core.rasterize import PromptEncoding, rasterize
from napari_nninteractive.core.view import View
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.normalize import Normalization
from napari_nninteractive.engine.store import Draft

__all__ = ["PatchReader", "apply_torch", "faces", "faces_of_previous"]

_SEEN = 0.5  # weight in the best sample below which a voxel of a thin image counts as missed


def apply_torch(block: torch.Tensor, matrices: Sequence[NDArray[np.float32]]) -> torch.Tensor:
    """Resample a float32 block (z, y, x) with one (n_out, n_in) matrix per axis, on the block's device."""
    along_z, along_y, along_x = (torch.tensor(m, device=block.device) for m in matrices)
    depth, height = block.shape[:2]
    flat = along_z @ block.reshape(depth, -1)
    out = along_y @ flat.reshape(along_z.shape[0], height, -1)
    return out @ along_x.T


def faces(mask: torch.Tensor) -> list[NDArray[np.bool_]]:
    """The six faces of a mask (z, y, x): first and last along each axis."""
    return [mask.select(axis, side).cpu().numpy() for axis in range(3) for side in (0, -1)]


def faces_of_previous(previous: Draft, region: Box, patch: Index3) -> list[NDArray[np.bool_]]:
    """The six faces of the previous segmentation as the patch sees it, nearest neighbour; order as in `faces`."""
    indices = [resample.nearest_indices(n, p) for n, p in zip(region.shape, patch, strict=True)]
    out = []
    for axis in range(3):
        for side in (0, -1):
            start, stop = list(region.start), list(region.stop)
            start[axis] += int(indices[axis][side])
            stop[axis] = start[axis] + 1
            plane = previous.read(Box(start, stop))
            others = [i for a, i in enumerate(indices) if a != axis]
            out.append(np.take(plane, 0, axis=axis)[np.ix_(*others)] != 0)
    return out


def _seen(matrix: NDArray[np.float32], start: int, step: float) -> NDArray[np.float32]:
    """The matrix (samples, visible voxels), or another where the samples miss voxels of a thin image.

    Then samples in the image and next to it take its nearest voxel as it is, so that what is there comes back whole.
    """
    n_out, n = matrix.shape
    if n >= 2 * step or matrix.max(axis=0).min() >= _SEEN:
        return matrix
    position = (np.arange(n_out) + 0.5) * step - 0.5 - start
    near = np.flatnonzero((position > -step) & (position < n - 1 + step))
    seen = np.zeros_like(matrix)
    seen[near, np.clip(np.rint(position[near]).astype(np.int64), 0, n - 1)] = 1
    return seen


class PatchReader:
    """Builds the input of the network for any region and zoom.

    Parameters
    ----------
    volume : Volume
        The image.
    normalization : Normalization
        Its intensity statistics.
    patch : tuple of int
        Shape (z, y, x) of the network's input in voxels.
    encoding : PromptEncoding
        How the model expects its prompts.
    device : torch.device
        Where the input is needed.
    """

    def __init__(
        self,
        volume: Volume,
        normalization: Normalization,
        patch: Index3,
        encoding: PromptEncoding,
        device: torch.device,
    ) -> None:
        self.volume = volume
        self.patch = patch
        self._normalization = normalization
        self._encoding = encoding
        self._inputs = torch.zeros(
            (1, 1 + encoding.n_channels, *patch), dtype=torch.float32, device=device
        )

    def fill(
        self, region: Box, zoom: float, prompts: Sequence[Prompt], previous: Draft
    ) -> torch.Tensor:
        """Input of one pass.

        Parameters
        ----------
        region : Box
            Voxels to cover; may reach beyond the image, where everything is 0.
        zoom : float
            Voxels of the image per voxel of the patch.
        prompts : sequence of Prompt
            All prompts in force, oldest first.
        previous : Draft
            The previous segmentation.

        Returns
        -------
        torch.Tensor
            float32 (1, channels, z, y, x): image, previous segmentation, interactions. Valid until the next call.
        """
        self._inputs.zero_()
        channels = self._inputs[0]
        self._fill_image(channels[0], region)
        self._fill_previous(channels[1], View(region, self.patch), previous)
        for part in rasterize(prompts, region, self.patch, self.volume.shape, self._encoding, zoom):
            values = torch.from_numpy(np.ascontiguousarray(part.values))
            channels[(1 + part.channel, *part.box.slices)] = values.to(channels.device)
        return self._inputs

    def _fill_image(self, channel: torch.Tensor, region: Box) -> None:
        """Z-scores, trilinear where the view is wider than the patch; 0 outside the image."""
        visible = region.clip(self.volume.shape)
        if visible.is_empty:
            return
        inside = visible.relative_to(region).slices
        if region.shape == self.patch:
            block = self._normalization(self.volume.read(visible))
            channel[inside] = torch.from_numpy(np.ascontiguousarray(block)).to(channel.device)
            return
        matrices, used = [], []
        for n_in, n_out, part in zip(region.shape, self.patch, inside, strict=True):
            matrix = _seen(resample.linear_matrix(n_in, n_out)[:, part], part.start, n_in / n_out)
            # From far away only the two neighbours of each sample are needed, not every voxel.
            columns = np.flatnonzero(matrix.any(axis=0))
            used.append(columns)
            matrices.append(matrix[:, columns])
        block = self._normalization(self.volume.read(visible)[np.ix_(*used)])
        channel[...] = apply_torch(torch.from_numpy(block).to(channel.device), matrices)

    def _fill_previous(self, channel: torch.Tensor, view: View, previous: Draft) -> None:
        """Previous segmentation, averaged by area; only where there is any."""
        bounds = previous.bounds(view.region.clip(self.volume.shape))
        if bounds is None:
            return
        for slab in view.slabs(view.outputs(bounds)):
            block = torch.from_numpy(previous.read(view.inputs(slab))).to(
                channel.device, torch.float32
            )
            if not view.is_full_resolution:
                block = apply_torch(block, view.area_matrices(slab))
            channel[slab.slices] = block
