"""Every threshold of the engine, named, with its unit and its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from napari_nninteractive.errors import SessionError

__all__ = ["EngineConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Thresholds of AutoZoom, refinement and reading; the defaults are those of the published engine.

    Parameters
    ----------
    zoom_growth : float
        Factor by which the view widens while an object reaches its border. Above 1.
    max_zoom : float
        Widest view in patches. At least 1.
    border_voxels_many : int
        A face of the patch has changed if more voxels than this differ from the previous segmentation.
    border_voxels_few : int
        It has also changed if more than this differ and its foreground grew or shrank by `border_ratio`.
    border_ratio : float
        Relative difference of foreground on a face above which it has changed.
    opening_side : int
        Side in voxels of the cube that opens the map of changes: thinner changes are resampling noise.
    margin_fraction : float
        Part of the patch on each side that lacks context, so that it does not count as refined (24 of 192 voxels).
    context_fraction : float
        Part of the patch around a box, lasso, scribble or mask that must be seen in the first view.

    max_working_zoom : int
        Coarsest working resolution, in voxels of the image per working voxel along its finest axis: an object that is
        larger than the network knows is looked at and corrected in such voxels. 1: none, as published.
    working_anisotropy : float
        Slices are at most so many times as far apart as voxels in them at the finest working resolution that is taken
        without certainty.
    working_fill : float
        Part of the patch up to which the object found at a click may extend at the working resolution that is chosen.
    working_border : float
        Part of a face of the patch that the object found at a click may cover: of more, too much lies outside, and the
        working resolution is too fine for it.
    working_reach : float
        Extent of what was drawn, in patches, up to which an object is not looked at in working voxels for its size:
        wider views and refinement at full resolution find it better.
    working_growth : float
        From one working resolution to the next coarser one the size found may grow by this power of their ratio: what
        grows more is not seen better but is something else.
    working_certainty : float
        Dice that the network expects by its own probabilities of an object of which it is sure. Full resolution is left
        only for such a one, and one with slices further apart than `working_anisotropy` is taken only for such a one.
    working_sure_fill : float
        Part of the patch up to which such an object may extend where slices are further apart.
    finest_bytes : int
        Bytes of a region at full resolution up to which it is read from the finest level of a pyramid, as published;
        for larger ones a coarser level that still has the resolution, where there is one. Values differ a little
        then, but more cannot be read while a user waits: 256 MiB take about a second from a disk.

    Raises
    ------
    SessionError
        If a value makes no sense.
    """

    zoom_growth: float = 1.5
    max_zoom: float = 4.0
    border_voxels_many: int = 1500
    border_voxels_few: int = 100
    border_ratio: float = 0.2
    opening_side: int = 5
    margin_fraction: float = 1 / 8
    context_fraction: float = 1 / 3
    finest_bytes: int = 1 << 28
    max_working_zoom: int = 1
    working_anisotropy: float = 2.25
    working_fill: float = 0.95
    working_border: float = 1 / 6
    working_growth: float = 1.5
    working_reach: float = 2.0
    working_certainty: float = 0.9
    working_sure_fill: float = 0.6

    def __post_init__(self) -> None:
        for field in fields(self):
            value: object = getattr(self, field.name)
            kind = int if isinstance(field.default, int) else int | float
            if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value):
                what = "a whole number" if kind is int else "a finite number"
                raise SessionError(f"EngineConfig: {field.name} must be {what}, not {value!r}.")
        rules = {
            "zoom_growth must be above 1": self.zoom_growth > 1,
            "max_zoom must be at least 1": self.max_zoom >= 1,
            "border_voxels_many and border_voxels_few must not be negative": min(
                self.border_voxels_many, self.border_voxels_few
            )
            >= 0,
            "border_ratio must not be negative": self.border_ratio >= 0,
            "opening_side must be an odd number of voxels": self.opening_side >= 1
            and self.opening_side % 2 == 1,
            "margin_fraction must lie in [0, 0.5)": 0 <= self.margin_fraction < 0.5,
            "context_fraction must lie in [0, 1)": 0 <= self.context_fraction < 1,
            "finest_bytes must not be negative": self.finest_bytes >= 0,
            "max_working_zoom must be at least 1": self.max_working_zoom >= 1,
            "working_anisotropy must be at least 1": self.working_anisotropy >= 1,
            "working_fill must lie in (0, 1]": 0 < self.working_fill <= 1,
            "working_border must lie in [0, 1]": 0 <= self.working_border <= 1,
            "working_growth must not be negative": self.working_growth >= 0,
            "working_reach must not be negative": self.working_reach >= 0,
            "working_sure_fill must lie in (0, 1]": 0 < self.working_sure_fill <= 1,
            "working_certainty must lie in [0, 1]": 0 <= self.working_certainty <= 1,
        }
        for rule, holds in rules.items():
            if not holds:
                raise SessionError(f"EngineConfig: {rule}.")
