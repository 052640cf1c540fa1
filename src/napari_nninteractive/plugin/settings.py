"""What the user set in napari's preferences."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari.settings import get_plugin_settings
from napari.utils.colormaps.standardize_color import transform_color

from napari_nninteractive._distribution import distribution_name
from napari_nninteractive.plugin.layers.style import SignColours

__all__ = ["Settings", "read_settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the plugin; the defaults are those of the manifest.

    Attributes
    ----------
    auto_run : bool
        Predict after each prompt.
    precision : str
        "auto", "fp32", "bf16" or "fp16".
    cache_folder : str
        For downloaded models; "" for the usual place.
    colours : SignColours
        Of the prompts.
    """

    auto_run: bool = True
    precision: str = "auto"
    cache_folder: str = ""
    colours: SignColours = field(default_factory=SignColours)


def read_settings() -> Settings:
    """Settings as saved; the defaults where the plugin is not installed as one, as in a script."""
    try:
        saved = get_plugin_settings(distribution_name())
    except KeyError:
        return Settings()
    usual = SignColours()
    return Settings(
        auto_run=bool(saved.prompts.auto_run),
        precision=str(saved.engine.precision),
        cache_folder=str(saved.engine.cache_folder).strip(),
        colours=SignColours(
            _colour(saved.prompts.positive_colour, usual.positive),
            _colour(saved.prompts.negative_colour, usual.negative),
        ),
    )


def _colour(name: str, default: str) -> str:
    """A colour that napari knows; the default for what is none."""
    try:
        transform_color(name)
    except (AttributeError, KeyError, ValueError):
        return default
    return str(name)
