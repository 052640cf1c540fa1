"""The site: the pages of this folder, a few files from elsewhere in the repository, and the docstrings.

    sphinx-build -W --keep-going -b html docs site

It needs no network, and every warning is an error in the checks.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

import napari_nninteractive

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]

project = PROJECT["name"]
author = PROJECT["authors"][0]["name"]
project_copyright = author
version = release = napari_nninteractive.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more
default_role = "code"  # single backticks
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}

# Files of the repository that are pages of the site as well.
_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "src/napari_nninteractive/models/builtin/README.md": "model-card.md",
}
_ELSEWHERE = re.compile(r"<!-- all of (\S+) -->\n?")
_LINK = re.compile(r"(\[[^\]]*\]\()(?!https?:|mailto:|#)([^)\s#]+)(#[^)]*)?\)")


def on_site(text: str, folder: Path) -> str:
    """Markdown whose links lead to pages of the site, or where there is none, to the repository's address.

    Parameters
    ----------
    text : str
        Markdown.
    folder : Path
        Where its relative links count from.

    Returns
    -------
    str
        The same; its relative links count from this folder.
    """

    def led(link: re.Match[str]) -> str:
        words, target, part = link[1], link[2], link[3] or ""
        path = (folder / target).resolve()
        inside = path.relative_to(ROOT).as_posix()
        if inside in _PAGES:
            return f"{words}{_PAGES[inside]}{part})"
        if DOCS in path.parents:
            return f"{words}{path.relative_to(DOCS).as_posix()}{part})"
        return f"{words}{REPOSITORY}/blob/v{version}/{inside}{part})"

    return _LINK.sub(led, text)


def _fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the file in that a page is made of, and lead the links of those at the top of the site."""
    if "/" in page:
        return
    found = _ELSEWHERE.match(source[0])
    if found is None:
        source[0] = on_site(source[0], DOCS)
        return
    file = DOCS / found[1]
    text = file.read_text(encoding="utf-8")
    source[0] = on_site(text, file.resolve().parent) + source[0][found.end() :]
    app.env.note_dependency(os.path.relpath(file, DOCS))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _fill_in)
