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


def apply_torch(block: torch.Tensor, matrices: Sequence[NDArray[np.float32]]) -> torch.Tensor:
    """Resample a float32 block (z, y, x) with one (n_out, n_in) matrix per axis, on the block's device."""
    along_z, along_y, along_x = (torch.tensor(m, device=block.device) for m in matrices)
    depth, height, width = block.shape
    flat = along_z @ block.reshape(depth, height * width)
    out = along_y @ flat.reshape(along_z.shape[0], height, width)
    return out @ along_x.T


def faces(mask: torch.Tensor) -> list[NDArray[np.bool_]]:
    """The six faces of a mask (z, y, x): first and last along each axis."""
    return [mask.select(axis, side).cpu().numpy() for axis in range(3) for side in (0, -1)]


def faces_of_previous(previous: Draft, view: View) -> list[NDArray[np.bool_]]:
    """The six faces of the previous segmentation as a view sees it, nearest neighbour; order as in `faces`."""
    region = view.region
    indices = [
        resample.nearest_indices(n, p) for n, p in zip(region.shape, view.patch, strict=True)
    ]
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


class PatchReader:
    """Builds the input of the network for any view.

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
    finest_bytes : int
        Bytes up to which a region is read from the finest level of a pyramid; see `Volume.resampling`.
    """

    def __init__(
        self,
        volume: Volume,
        normalization: Normalization,
        patch: Index3,
        encoding: PromptEncoding,
        device: torch.device,
        finest_bytes: int = 0,
    ) -> None:
        self.volume = volume
        self.patch = patch
        self._device = device
        self._finest_bytes = finest_bytes
        self._normalization = normalization
        self._encoding = encoding
        self._inputs = torch.zeros(
            (1, 1 + encoding.n_channels, *patch), dtype=torch.float32, device=device
        )

    def of(self, volume: Volume) -> PatchReader:
        """Reader of another image with the same statistics, for the same network."""
        return PatchReader(
            volume,
            self._normalization,
            self.patch,
            self._encoding,
            self._device,
            self._finest_bytes,
        )

    def fill(self, view: View, prompts: Sequence[Prompt], previous: Draft) -> torch.Tensor:
        """Input of one pass.

        Parameters
        ----------
        view : View
            What to see, through a patch of the reader's shape. Beyond the image everything is 0.
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
        self._fill_image(channels[0], view)
        self._fill_previous(channels[1], view, previous)
        for part in rasterize(prompts, view, self.volume.shape, self._encoding):
            values = torch.from_numpy(np.ascontiguousarray(part.values))
            channels[(1 + part.channel, *part.box.slices)] = values.to(channels.device)
        return self._inputs

    def _fill_image(self, channel: torch.Tensor, view: View) -> None:
        """Z-scores, trilinear where the view is wider than the patch; 0 outside the image."""
        region = view.region
        visible = region.clip(self.volume.shape)
        if visible.is_empty:
            return
        if view.is_full_resolution:
            block = self._normalization(self.volume.read(visible))
            inside = visible.relative_to(region).slices
            channel[inside] = torch.from_numpy(np.ascontiguousarray(block)).to(channel.device)
            return
        found = self.volume.resampling(region, view.patch, self._finest_bytes)
        block = self._normalization(found.voxels)
        channel[...] = apply_torch(torch.from_numpy(block).to(channel.device), found.matrices)

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
