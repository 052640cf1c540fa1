"""Files of a model hub: listed with their checksums, fetched piece by piece, resumed, never run.

Requests carry no token and nothing about the machine but the name of this program; no setting of the process changes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from napari_nninteractive import __version__
from napari_nninteractive.engine.results import CancelLike
from napari_nninteractive.errors import Cancelled, ModelError
from napari_nninteractive.limits import parse_json

__all__ = [
    "BytesCallback",
    "RemoteFile",
    "explained",
    "fetch",
    "list_files",
    "make_room",
    "read_text",
]

BytesCallback = Callable[[int], object]

# "identity": a compressed answer could not be continued in its middle.
_HEADERS = {"User-Agent": f"napari-nninteractive/{__version__}", "Accept-Encoding": "identity"}
_TIMEOUT = 20.0  # seconds without a byte
_ATTEMPTS = 5  # times that one call goes on after a break, as long as each brings something
MOST_TEXT = 1_000_000  # bytes of a licence
_MOST_LISTING = 1 << 25  # bytes of what lists the files
_SPARE = 50_000_000  # bytes that a download leaves free on the disk
_SAFE_PART = re.compile(r"[\w.+-]+")
_DIGEST = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository at one of its versions.

    Attributes
    ----------
    path : str
        Inside the repository, with "/"; no part of it leads out.
    size : int
        In bytes.
    digest : str
        SHA-256 of a large file; of a small one git's SHA-1, which counts a header in.
    url : str
        Where its content is.
    """

    path: str
    size: int
    digest: str
    url: str

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    def matches(self, path: Path) -> bool:
        """Whether a local file has this size and checksum."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        digest = hashlib.sha256() if len(self.digest) == 64 else _git_blob(self.size)
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
        return digest.hexdigest() == self.digest


def _git_blob(size: int) -> hashlib._Hash:
    """Start of the checksum under which git keeps a file: it finds damage, it is no protection against the hub."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def _transport_error() -> type[Exception]:
    """Error of the library that carries the requests, which one depends on the version of huggingface_hub."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(c for c in HfHubHTTPError.__mro__ if c.__name__ == "HTTPError")


@contextlib.contextmanager
def explained(remedy: str, room: str) -> Iterator[None]:
    """Turn errors of network and disk into a ModelError that says what to do.

    Parameters
    ----------
    remedy : str
        What to do where the hub cannot be reached.
    room : str
        What to do where the disk cannot take the files.
    """
    try:
        yield
    except (_transport_error(), OSError) as error:
        raise ModelError(_explain(error, remedy, room)) from error


def _explain(error: Exception, remedy: str, room: str) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"The model hub refused {response.url} (HTTP {response.status_code}). {remedy}"
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"The disk is full. {room}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}. {room}"
    return f"The model hub cannot be reached ({str(error) or type(error).__name__}). {remedy}"


def list_files(repository: str, endpoint: str | None = None) -> tuple[RemoteFile, ...]:
    """Files of the newest version of a repository.

    Parameters
    ----------
    repository : str
        "owner/name".
    endpoint : str, optional
        Address of the hub; the one that huggingface_hub is set to by default.

    Returns
    -------
    tuple of RemoteFile
        All of one version.

    Raises
    ------
    ModelError
        If the answer makes no sense. Other errors are those of the transport, for `explained`.
    """
    from huggingface_hub import constants

    base = (endpoint or constants.ENDPOINT).rstrip("/")
    listing = _content(f"{base}/api/models/{repository}", _MOST_LISTING, {"blobs": "true"})
    try:
        answer = parse_json(listing)
        version = quote(str(answer["sha"]), safe="")
        url = f"{base}/{repository}/resolve/{version}"
        return tuple(
            _file(entry, url) for entry in answer["siblings"] if _is_safe(entry["rfilename"])
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{base} gave an answer about {repository} that makes no sense ({error!r}): is it a model hub, or does a "
            "sign-in page of the network stand in front of it?"
        ) from error


def _is_safe(path: str) -> bool:
    """Whether it stays inside its folder on every system; files of other names are none of a model."""
    return all(_SAFE_PART.fullmatch(part) and part.strip(".") for part in path.split("/"))


def _file(entry: Mapping[str, Any], base: str) -> RemoteFile:
    path, large = entry["rfilename"], entry.get("lfs")
    size = large["size"] if large else entry["size"]
    digest = large["sha256"] if large else entry["blobId"]
    if not isinstance(size, int) or size < 0 or not _DIGEST.fullmatch(digest):
        raise ValueError(f"size or checksum of {path}")
    return RemoteFile(path, size, digest, f"{base}/{quote(path)}")


def read_text(file: RemoteFile) -> str:
    """Content of a small text file, such as a licence; errors as in `list_files`."""
    if file.size > MOST_TEXT:
        raise ModelError(f"{file.url} is too long for a text: {file.size} bytes.")
    return _content(file.url, MOST_TEXT).decode("utf-8", errors="replace")


def _content(url: str, most: int, params: Mapping[str, str] | None = None) -> bytes:
    """First bytes of an answer, `most` of them at most."""
    from huggingface_hub import get_session

    content = b""
    with get_session().stream(
        "GET", url, params=params, headers=_HEADERS, timeout=_TIMEOUT
    ) as response:
        response.raise_for_status()
        for piece in response.iter_bytes():
            content += piece
            if len(content) >= most:
                break
    return content[:most]


def make_room(folder: Path, total: int, room: str) -> None:
    """Make a folder for a download; its disk must take what is still to come.

    Parameters
    ----------
    folder : Path
        What is in it already counts.
    total : int
        Bytes of all files.
    room : str
        What to do where the disk is full.

    Raises
    ------
    ModelError
        If the disk has not that much left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    need, free = total - there + _SPARE, shutil.disk_usage(folder).free
    if need > free:
        raise ModelError(
            f"The download needs {need / 1e6:.0f} MB, but the disk of {folder.parent} has {free / 1e6:.0f} MB left. "
            f"{room}"
        )


def fetch(
    file: RemoteFile,
    target: Path,
    progress: BytesCallback | None = None,
    cancel: CancelLike | None = None,
) -> None:
    """Fetch a file, going on where an earlier call was interrupted.

    Parameters
    ----------
    file : RemoteFile
        What to fetch.
    target : Path
        Where to; it appears complete and checked, or not at all. What was fetched so far lies beside it.
    progress : callable, optional
        Called with the number of bytes that are there.
    cancel : CancelLike, optional
        Looked at with every piece.

    Raises
    ------
    ModelError
        If the content is not what the hub listed; nothing of it is kept. Other errors are those of transport and disk,
        for `explained`.
    Cancelled
        On request; what was fetched is kept.
    """
    if file.matches(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Named after the content, so that two versions are never mixed.
    partial = target.with_name(f"{target.name}.{file.digest[:16]}.partial")
    if partial.is_symlink():  # what it leads to is not ours
        partial.unlink()
    if not partial.is_file() or partial.stat().st_size > file.size:
        partial.write_bytes(b"")
    _fetch_rest(file, partial, progress, cancel)
    if not file.matches(partial):
        partial.unlink()
        raise ModelError(
            f"What was fetched from {file.url} is damaged or was changed on its way: size or checksum differ from what "
            "the hub lists. It was thrown away; start the download again, or use another network."
        )
    partial.replace(target)


def _fetch_rest(
    file: RemoteFile, partial: Path, progress: BytesCallback | None, cancel: CancelLike | None
) -> None:
    """Append until the size is reached; a break is bridged as long as each attempt brings something."""
    for attempt in range(_ATTEMPTS):
        before = partial.stat().st_size
        if before == file.size:
            return
        try:
            _append(file, partial, progress, cancel)
            return
        except _transport_error():
            if partial.stat().st_size <= before or attempt + 1 == _ATTEMPTS:
                raise


def _append(
    file: RemoteFile, partial: Path, progress: BytesCallback | None, cancel: CancelLike | None
) -> None:
    from huggingface_hub import get_session

    done = partial.stat().st_size
    headers = {**_HEADERS, "Range": f"bytes={done}-"} if done else _HEADERS
    with (
        get_session().stream("GET", file.url, headers=headers, timeout=_TIMEOUT) as response,
        partial.open("ab") as out,
    ):
        if (
            response.status_code == 416
        ):  # less than listed, and all of it is here: found by its size
            return
        response.raise_for_status()
        if response.status_code != 206 and done:  # the server does not go on in the middle
            out.truncate(0)
            done = 0
        for piece in response.iter_bytes():
            if cancel is not None and cancel.is_set():
                raise Cancelled("The download was cancelled; started again, it goes on from here.")
            out.write(piece)
            done += len(piece)
            if progress is not None:
                progress(min(done, file.size))
            if done > file.size:  # more than listed: found by its size
                return
