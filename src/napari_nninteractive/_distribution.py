"""The name under which the package is installed, and by which napari knows the plugin."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

__all__ = ["distribution_name"]


@cache
def distribution_name() -> str:
    """Name of the distribution, which may be published under another one than that of the package.

    napari wants the manifest to bear it, so it is read there: in the code it stands nowhere. `scripts/publish_as.py`
    changes it.

    Returns
    -------
    str
        As in `pip install NAME`.

    Raises
    ------
    ValueError
        If the manifest in the package names none.
    """
    manifest = (files("napari_nninteractive") / "napari.yaml").read_text(encoding="utf-8")
    found = re.search(r"^name: *(\S+)$", manifest, re.MULTILINE)
    if found is None:
        raise ValueError("napari.yaml in the package has no line 'name: NAME'")
    return found[1]
