"""What a model folder says of itself: the capability file, older and newer, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from napari_nninteractive.core.rasterize import PromptEncoding
from napari_nninteractive.engine.foreign import ENOUGH, what_else
from napari_nninteractive.errors import ModelError, Remedy
from napari_nninteractive.limits import parse_json, read_bounded

__all__ = ["Capabilities", "read_capabilities", "read_json"]

_NEWER, _OLDER = "inference_info.json", "inference_session_class.json"
_MOST_BYTES = 1 << 24  # of a JSON file; plans of nnU-Net have some ten thousand
_SEMANTICS = (2, 6)  # version of the published engine whose behaviour is implemented
_INFERENCE_CLASS = "nnInteractiveInferenceSession"
# Name in the file: name of our prompt kind.
_KINDS = {
    "points": "point",
    "bbox2d": "bbox2d",
    "bbox3d": "bbox3d",
    "scribble": "scribble",
    "lasso": "lasso",
}
_SUPPORTED = {"points": True, "bbox2d": True, "bbox3d": False, "scribble": True, "lasso": True}
_CHANNELS: dict[str, Any] = {
    "prev_seg": 0,
    "bbox2d": [1, 2],
    "bbox3d": [1, 2],
    "lasso": [1, 2],
    "points": [3, 4],
    "scribble": [5, 6],
}
_FIELDS = {
    "inference_class",
    "inference_class_min_version",
    "point_radius",
    "preferred_scribble_thickness",
    "interaction_decay",
    "pad_mode_image",
    "supported_interactions",
    "supports_initial_label",
    "supports_zero_shot_label_refinement",
    "interaction_channels",
    "channel_mapping",
    "working_zoom",
}
_FREE_TEXT = {"name", "description", "version", "license", "licence", "authors", "citation"}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model understands and how it expects it.

    Attributes
    ----------
    encoding : PromptEncoding
        Channels, decay and point radius.
    kinds : frozenset of str
        Prompt kinds it was trained for: "point", "bbox2d", "bbox3d", "scribble", "lasso".
    scribble_thickness : tuple of int
        Thickness (z, y, x) in voxels at which scribbles are best painted.
    working_zoom : int
        `EngineConfig.max_working_zoom` that it is used with where nothing else is asked for; 1: as published.
    """

    encoding: PromptEncoding
    kinds: frozenset[str]
    scribble_thickness: tuple[int, int, int]
    working_zoom: int = 1

    @property
    def n_inputs(self) -> int:
        """Input channels of the network: the image and the interactions."""
        return 1 + self.encoding.n_channels


def read_json(path: Path) -> Any:
    """Content of a JSON file of a model folder.

    Raises
    ------
    ModelError
        If it is missing, unreadable or no JSON.
    """
    content = b""
    try:
        content = read_bounded(path, _MOST_BYTES)
        return parse_json(content, finite=False)
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing: a model folder must hold {path.name}.") from error
    except (OSError, ValueError) as error:
        other = what_else(content[:ENOUGH])
        if other:
            raise ModelError(f"{path} is {other}.") from error
        raise ModelError(
            f"{path} cannot be read as JSON: {error}. Fetch the model again."
        ) from error


def read_capabilities(folder: Path) -> Capabilities:
    """Capabilities of a model folder, with the defaults of the published engine where the file is silent.

    Parameters
    ----------
    folder : Path
        Model folder.

    Returns
    -------
    Capabilities
        Checked.

    Raises
    ------
    ModelError
        Naming file and field, if there is no capability file or a field is unknown or makes no sense.
    """
    path = next((folder / name for name in (_NEWER, _OLDER) if (folder / name).is_file()), None)
    if path is None:
        raise ModelError(
            f"{folder} holds neither {_NEWER} nor {_OLDER}; it is no complete model folder.",
            Remedy.CHOOSE_MODEL,
        )
    info, decay = read_json(path), 0.98
    if isinstance(info, str):
        info, decay = {"inference_class": info}, 0.9
    if not isinstance(info, dict):
        raise ModelError(f"{path}: expected a JSON object, not {type(info).__name__}.")
    fields = _Fields(path, info)
    fields.check_known()
    n_channels = 1 + fields.integer("interaction_channels", 6, low=1)
    encoding = PromptEncoding(
        point_radius=fields.integer("point_radius", 4, low=1, high=64),
        decay=fields.decay(decay),
        channels=fields.channels(n_channels),
        n_channels=n_channels,
    )
    working_zoom = fields.integer("working_zoom", 1, low=1, high=64)
    return Capabilities(encoding, fields.kinds(), fields.thickness(), working_zoom)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Checked access to the fields of one capability file."""

    path: Path
    info: Mapping[str, Any]

    def fail(self, name: str, expected: str) -> ModelError:
        return ModelError(
            f"{self.path}, field {name!r}: expected {expected}, not {self.info.get(name)!r}."
        )

    def check_known(self) -> None:
        unknown = sorted(set(self.info) - _FIELDS - _FREE_TEXT)
        if unknown:
            raise ModelError(
                f"{self.path}, field {unknown[0]!r}: unknown capability. The model may need a newer version of this "
                "program."
            )
        name = self.info.get("inference_class", _INFERENCE_CLASS)
        if name != _INFERENCE_CLASS:
            raise self.fail("inference_class", repr(_INFERENCE_CLASS))
        if self.info.get("pad_mode_image", "constant") != "constant":
            raise self.fail("pad_mode_image", "'constant'")
        version = str(self.info.get("inference_class_min_version", "0"))
        try:
            needed = tuple(int(part) for part in version.split(".")[:2])
        except ValueError as error:
            raise self.fail("inference_class_min_version", "a version such as '2.0.0'") from error
        if needed > _SEMANTICS:
            raise self.fail(
                "inference_class_min_version", f"at most {_SEMANTICS[0]}.{_SEMANTICS[1]}"
            )

    def integer(self, name: str, default: int, *, low: int, high: int = 1024) -> int:
        value = self.info.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(name, f"a whole number from {low} to {high}")
        return value

    def decay(self, default: float) -> float:
        value = self.info.get("interaction_decay", default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise self.fail("interaction_decay", "a number above 0 and at most 1")
        return float(value)

    def thickness(self) -> tuple[int, int, int]:
        value = self.info.get("preferred_scribble_thickness", [2, 2, 2])
        if (
            not isinstance(value, list)
            or len(value) != 3
            or not all(isinstance(v, int) and v > 0 for v in value)
        ):
            raise self.fail("preferred_scribble_thickness", "three positive whole numbers")
        return value[0], value[1], value[2]

    def kinds(self) -> frozenset[str]:
        given = self.info.get("supported_interactions", {})
        if not isinstance(given, dict) or not all(isinstance(v, bool) for v in given.values()):
            raise self.fail("supported_interactions", "an object of true and false")
        unknown = sorted(set(given) - set(_SUPPORTED))
        if unknown:
            raise self.fail(
                "supported_interactions", f"only {', '.join(_SUPPORTED)} (unknown: {unknown[0]})"
            )
        return frozenset(_KINDS[name] for name, on in {**_SUPPORTED, **given}.items() if on)

    def channels(self, n_channels: int) -> MappingProxyType[str, tuple[int, int]]:
        given = self.info.get("channel_mapping", {})
        if not isinstance(given, dict):
            raise self.fail("channel_mapping", "an object")
        unknown = sorted(set(given) - set(_CHANNELS))
        if unknown:
            raise self.fail(
                "channel_mapping", f"only {', '.join(_CHANNELS)} (unknown: {unknown[0]})"
            )
        merged = {**_CHANNELS, **given}
        if merged.pop("prev_seg") not in (0, -n_channels):
            raise self.fail("channel_mapping", "prev_seg at 0")
        out = {}
        for name, pair in merged.items():
            if (
                not isinstance(pair, list)
                or len(pair) != 2
                or not all(type(c) is int for c in pair)
            ):
                raise self.fail("channel_mapping", f"two channels for {name}")
            positive, negative = (c + n_channels if c < 0 else c for c in pair)
            if not (
                0 < positive < n_channels and 0 < negative < n_channels and positive != negative
            ):
                raise self.fail(
                    "channel_mapping", f"channels from 1 to {n_channels - 1} for {name}"
                )
            out[_KINDS[name]] = (positive, negative)
        return MappingProxyType(out)
