"""What the header of an NRRD or MetaImage file says of its voxels: where they are and how many bytes they take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io.regular import check_length, check_memory

__all__ = ["DEFLATE", "MOST_FILES", "Header", "damaged", "read_lines"]

_MOST_HEADER = 1 << 20  # bytes
MOST_FILES = 100_000
DEFLATE = 1032  # times that deflate can make a file shorter, at most
_COPIES = 2  # ITK's image and numpy's


@dataclass(frozen=True, slots=True)
class Header:
    """A header, checked.

    Attributes
    ----------
    path : Path
        The file that holds it.
    need : int
        Bytes of all voxels in memory.
    least : int
        Bytes that their files must have at least.
    start : int
        Where the voxels begin in the file of the header.
    packed : bool
        Whether they are compressed.
    files : tuple of Path
        Files that hold the voxels, in order; none where the file of the header does.
    lines : tuple of bytes
        Of the header, but those that name the files.
    naming : bytes
        How the header begins to name them.
    listed : bool
        Whether it names them one a line, not in the line that begins to.
    """

    path: Path
    need: int
    least: int
    start: int
    packed: bool = False
    files: tuple[Path, ...] = ()
    lines: tuple[bytes, ...] = ()
    naming: bytes = b""
    listed: bool = False

    def check_length(self) -> None:
        """Compare with the length of the files.

        Raises
        ------
        ImageError
            If voxels are missing.
        """
        if self.files:
            name, have = self.files[0].name, sum(f.stat().st_size for f in self.files)
        else:
            name, have = self.path.name, self.path.stat().st_size
        check_length(name, have, self.start + self.least)

    def check_memory(self) -> None:
        """Refuse more voxels than memory takes.

        Raises
        ------
        ImageError
            If there is less memory.
        """
        check_memory(self.path.name, _COPIES * self.need)

    def naming_others(self, names: Sequence[str]) -> bytes:
        """The header with other names for the files."""
        given = [os.fsencode(name) for name in names]
        last = [self.naming, *given] if self.listed else [self.naming + given[0]]
        return b"\n".join([*self.lines, *last, b""])


def damaged(path: Path, why: str) -> ImageError:
    """What to say of a header that makes no sense."""
    return ImageError(f"{path.name} cannot be read: {why}. It may be damaged or cut short.")


def read_lines(path: Path) -> list[bytes]:
    """First lines of a file without their ends; at least all of its header.

    Raises
    ------
    ImageError
        If it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_MOST_HEADER)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}.") from error
    return start.split(b"\n")
