"""Sessions in JSON files: written whole or not at all, and read as from a stranger."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from napari_nninteractive.core.box import Index3
from napari_nninteractive.errors import ImageError, SessionError
from napari_nninteractive.files import atomic_write
from napari_nninteractive.limits import parse_json, what_is_there
from napari_nninteractive.session_file import convert
from napari_nninteractive.session_file.values import SavedSession

__all__ = ["holds_volume", "read_json", "read_session", "session_of", "write_session"]

_LARGEST = 1 << 29
"""Bytes of a file; masks are compressed, so that thousands of objects stay far below."""
_SPELT = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def write_session(path: str | Path, session: SavedSession) -> None:
    """Write a session; a failure leaves the earlier file.

    Parameters
    ----------
    path : str or Path
        File to write; one that is there is replaced.
    session : SavedSession
        Any; `version` is for the caller to set.

    Raises
    ------
    SessionError
        If the file cannot be written, or a value is such that it could not be read again; the field is named.
    """
    # Takes pydantic, which costs a moment: not before somebody saves.
    from napari_nninteractive.session_file.document import Document, validated

    content = convert.to_document(session)
    try:
        convert.check_frames(validated(Document, content))
        convert.check_size(session)
    except SessionError as error:
        raise SessionError(f"The session cannot be saved: {error}.") from error
    try:
        with atomic_write(path) as beside, beside.open("x", encoding="utf-8") as file:
            json.dump(content, file)
            if file.tell() > _LARGEST:
                raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SessionError(f"{path} cannot be written ({why}): choose another folder.") from error


def read_session(path: str | Path, volume_shape: Index3 | None = None) -> SavedSession:
    """Read a session that this program wrote, today or in an earlier version.

    Parameters
    ----------
    path : str or Path
        File to read; not trusted.
    volume_shape : tuple of int, optional
        (z, y, x) of the volume that it is for: the session of an image that holds no such volume is refused before its
        masks take memory.

    Returns
    -------
    SavedSession
        What the file holds.

    Raises
    ------
    SessionError
        If it is missing, damaged, of another kind, or of a newer version; where a field is wrong, it is named.
    ImageError
        If it is of an image of another shape.
    """
    return session_of(read_json(path), Path(path).name, volume_shape)


def read_json(path: str | Path) -> object:
    """Content of a JSON file that is not trusted; `read_session` without a look at what it is.

    Raises
    ------
    SessionError
        If the file cannot be read or is no JSON.
    """
    try:
        content = parse_json(_text_of(Path(path)), finite=False)
    except SessionError:
        raise
    except FileNotFoundError as error:
        raise SessionError(f"{path} cannot be read: there is no such file.") from error
    except OSError as error:
        raise SessionError(f"{path} cannot be read: {error.strerror}.") from error
    except MemoryError as error:
        raise SessionError(f"{path} cannot be read: it needs more memory than there is.") from error
    except ValueError as error:  # of the text, its encoding, or a number with thousands of digits
        raise SessionError(f"{path} cannot be read: it is no JSON ({error}).") from error
    _refuse_odd_numbers(content, path)
    return content


def _text_of(path: Path) -> str:
    """Content of a regular file: a pipe may never end."""
    kind = what_is_there(path)
    if kind:
        raise SessionError(f"{path} cannot be read: it is {kind}.")
    with path.open("rb") as file:
        content = file.read(min(os.fstat(file.fileno()).st_size, _LARGEST) + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
    return content.decode("utf-8-sig")


def _refuse_odd_numbers(content: object, path: str | Path) -> None:
    """Refuse NaN and infinite numbers, which JSON does not have but Python reads; the field is named."""
    left = [("", content)]
    while left:
        place, value = left.pop()
        if isinstance(value, float) and not math.isfinite(value):
            where = place.removeprefix(".") or "it"
            raise SessionError(
                f"{path} cannot be read: {where}: {_SPELT[str(value)]} is no number."
            )
        if isinstance(value, dict):
            left += [(f"{place}.{key:.100}", inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [(f"{place}[{at}]", inner) for at, inner in enumerate(value)]


def session_of(content: object, name: str, volume_shape: Index3 | None = None) -> SavedSession:
    """Session in what `read_json` gave.

    Parameters
    ----------
    content : object
        Not trusted.
    name : str
        Of the file, for messages.
    volume_shape : tuple of int, optional
        As in `read_session`; errors too.
    """
    from napari_nninteractive.session_file.document import FORMAT, VERSION, Document, validated
    from napari_nninteractive.session_file.earlier import PANEL_FORMAT, EnginePrompts, PanelObjects

    kind = content.get("format") if isinstance(content, dict) else None
    if not isinstance(content, dict) or kind not in (FORMAT, PANEL_FORMAT):
        raise SessionError(
            f"{name} is no saved session: its field 'format' is not {FORMAT!r}. Choose another file."
        )
    version = content.get("format_version" if kind == FORMAT else "version")
    newest = VERSION if kind == FORMAT else 1
    if type(version) is not int or not 1 <= version <= newest:
        raise SessionError(
            f"{name} has format version {version!r}, but this program reads up to {newest}: update it."
        )
    try:
        if kind == PANEL_FORMAT:
            panel = validated(PanelObjects, content)
            return convert.from_panel(panel, _limit(panel.image, name, volume_shape))
        if version < VERSION:
            engine = validated(EnginePrompts, content)
            return convert.from_engine(engine, _limit(engine.image, name, volume_shape))
        record = validated(Document, content)
        return convert.from_document(record, _limit(record.image, name, volume_shape))
    except SessionError as error:
        raise SessionError(f"{name} is damaged: {error}.") from error
    except MemoryError as error:
        raise SessionError(f"{name} needs more memory than there is.") from error


def _limit(image: Any, name: str, volume_shape: Index3 | None) -> int:
    """Most voxels of a mask, for the image that is there where one is."""
    if volume_shape is None:
        return convert.voxel_limit(image.shape)
    if not holds_volume(image.shape, volume_shape):
        known = f"{image_name} " if (image_name := getattr(image, "name", "")) else ""
        raise ImageError(
            f"This is not the image of the saved session: {name} is of an image {known}with shape "
            f"{tuple(image.shape)}, but the one here has {volume_shape}: open that image first."
        )
    return convert.voxel_limit(volume_shape)


def holds_volume(shape: Sequence[int], volume_shape: Index3) -> bool:
    """Whether an image, with any axes of time and channels, may hold a volume.

    Parameters
    ----------
    shape : sequence of int
        Of the image.
    volume_shape : tuple of int
        (z, y, x); z is 1 for a slice, which the image may have no axis for.
    """
    volumes = [tuple(volume_shape)[flat:] for flat in range(1 + (volume_shape[0] == 1))]
    return any(wanted in combinations(shape, len(wanted)) for wanted in volumes)
