"""The README as the package index shows it: every link and picture by its absolute address.

In the repository the README links to files beside it. On the index there are none, so the wheel's description names
them at the repository's address (`Repository` in `[project.urls]`), at the tag of the version.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"(!?)(\[[^\]]*\])\((?!https?:|mailto:|#)([^)\s]+)\)")


def absolute_links(text: str, repository: str, version: str) -> str:
    """Markdown with its relative links and pictures at the repository's address, as GitHub forms it.

    Parameters
    ----------
    text : str
        Markdown whose relative links count from the root of the repository.
    repository : str
        Address of the repository, without a slash at the end.
    version : str
        Version of the distribution; its tag is this with a "v" before it.

    Returns
    -------
    str
        The same, with absolute links only.
    """

    def absolute(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}{words}({repository}/{kind}/v{version}/{path})"

    return _RELATIVE.sub(absolute, text)


class ReadmeHook(MetadataHookInterface):
    """Fills in the description of the distribution."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = metadata["urls"]["Repository"].rstrip("/")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute_links(text, repository, metadata["version"]),
        }
