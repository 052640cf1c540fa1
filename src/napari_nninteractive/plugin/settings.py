"""What the user set in napari's preferences."""

from __future__ import annotations

import os
from dataclasses import dataclass

from napari.settings import get_plugin_settings
from napari.utils.colormaps.standardize_color import transform_color

from napari_nninteractive._distribution import distribution_name
from napari_nninteractive.engine.registry import CACHE_VARIABLE
from napari_nninteractive.plugin.layers.style import COLOURS

__all__ = ["Settings", "read_settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the plugin; the defaults are those of the manifest."""

    auto_run: bool = True
    precision: str = "auto"
    cache_folder: str = ""
    positive_colour: str = COLOURS[True]
    negative_colour: str = COLOURS[False]

    def use_cache(self) -> None:
        """Let downloads go to the folder of the settings; a variable that is set already wins."""
        if self.cache_folder:
            os.environ.setdefault(CACHE_VARIABLE, self.cache_folder)


def read_settings() -> Settings:
    """Settings as saved; the defaults where the plugin is not installed as one, as in a script."""
    try:
        saved = get_plugin_settings(distribution_name())
    except KeyError:
        return Settings()
    return Settings(
        auto_run=bool(saved.prompts.auto_run),
        precision=str(saved.engine.precision),
        cache_folder=str(saved.engine.cache_folder).strip(),
        positive_colour=_colour(saved.prompts.positive_colour, COLOURS[True]),
        negative_colour=_colour(saved.prompts.negative_colour, COLOURS[False]),
    )


def _colour(name: str, default: str) -> str:
    """A colour that napari knows; the default for what is none."""
    try:
        transform_color(name)
    except (AttributeError, KeyError, ValueError):
        return default
    return str(name)
