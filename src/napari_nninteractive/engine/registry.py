"""Models by name: the one that comes with the package, those of a hub, and any folder.

All have the published folder format, so a name only stands for a folder. A model of a hub is downloaded when asked for,
after its licence was accepted, complete or not at all, into a cache folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from napari_nninteractive.engine import hub
from napari_nninteractive.engine.capabilities import read_capabilities, read_json
from napari_nninteractive.engine.results import CancelLike
from napari_nninteractive.errors import Advice, Cancelled, ModelError, Remedy

__all__ = [
    "BUILTIN",
    "CACHE_VARIABLE",
    "DownloadCallback",
    "RegisteredModel",
    "cache_folder",
    "download",
    "find",
    "folder_of",
    "is_downloaded",
    "licence_of",
    "licence_text",
    "registered",
    "resolve",
    "use_cache_folder",
]

BUILTIN = "builtin"
CACHE_VARIABLE = "NAPARI_NNINTERACTIVE_CACHE"
DownloadCallback = Callable[[int, int], object]

_BUILTIN_FOLDER = Path(__file__).resolve().parent.parent / "models" / "builtin"
_WEIGHTS = "fold_*/checkpoint_final.pth"
_WANTED = ("*.json", "LICENSE*", "*.md", "fold_*/checkpoint_final.pth")
_told_folder = ""  # by `use_cache_folder`


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model that has a name.

    Attributes
    ----------
    id : str
        The name.
    description : str
        One line.
    licence : str or None
        Name of the licence of its weights; None: written in its folder.
    licence_url : str or None
        Where the whole licence is.
    size : str
        Of the download, in words; "" where there is none.
    repository : str or None
        "owner/name" on the hub; None: comes with the package.
    folder : str
        Its folder in the repository.
    """

    id: str
    description: str
    licence: str | None = None
    licence_url: str | None = None
    size: str = ""
    repository: str | None = None
    folder: str = ""


_MODELS = (
    RegisteredModel(BUILTIN, "comes with this package; small, for microscopy"),
    RegisteredModel(
        "nnInteractive_v1.0",
        "published by the authors of the method; medical images; not for commercial use",
        licence="CC BY-NC-SA 4.0",
        licence_url="https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode",
        size="about 400 MB",
        repository="MIC-DKFZ/nnInteractive",
        folder="nnInteractive_v1.0",
    ),
)


def registered() -> tuple[RegisteredModel, ...]:
    """All models that have a name, the built-in one first."""
    return _MODELS


def find(model_id: str) -> RegisteredModel:
    """Model of a name.

    Raises
    ------
    ModelError
        If there is none, naming those that there are.
    """
    for model in _MODELS:
        if model.id == model_id:
            return model
    raise ModelError(f"There is no model named {model_id!r}: known are {_known()}.")


def _known() -> str:
    return ", ".join(model.id for model in _MODELS)


def use_cache_folder(folder: str | Path) -> None:
    """Keep downloads below a folder from now on, in this process; with "" in the usual place."""
    global _told_folder
    _told_folder = str(folder)


def cache_folder() -> Path:
    """Folder of the downloads, below the first of: the variable, what `use_cache_folder` was told, the user's cache."""
    named = os.environ.get(CACHE_VARIABLE) or _told_folder
    if named:
        return Path(named).expanduser().absolute() / "models"
    import platformdirs

    return platformdirs.user_cache_path("napari-nninteractive", appauthor=False) / "models"


def folder_of(model_id: str) -> Path:
    """Where the files of a named model are, or would be."""
    model = find(model_id)
    return _BUILTIN_FOLDER if model.repository is None else cache_folder() / model.id


def is_downloaded(model_id: str) -> bool:
    """Whether the files of a named model are on this machine."""
    folder = folder_of(model_id)
    return (folder / "plans.json").is_file() and any(folder.glob(_WEIGHTS))


def resolve(name: str | Path) -> Path:
    """Folder of a model.

    Parameters
    ----------
    name : str or Path
        Registered name, or a folder. A Path, or a string such as "./builtin", is always a folder.

    Returns
    -------
    Path
        A folder that is there.

    Raises
    ------
    ModelError
        If there is none, with what to do.
    """
    known = {model.id for model in _MODELS}
    if isinstance(name, str) and name in known:
        if is_downloaded(name):
            return folder_of(name)
        raise _missing(find(name))
    folder = Path(name)
    with contextlib.suppress(RuntimeError):  # no such user, so no such folder: said below
        folder = folder.expanduser()
    if not folder.is_dir():
        raise ModelError(
            f"There is no model folder {folder}: give a folder that holds plans.json and fold_0, or the name of a "
            f"registered model ({_known()})."
        )
    return folder


def _missing(model: RegisteredModel) -> ModelError:
    if model.repository is None:
        return ModelError(
            "This version comes without the weights of the built-in model.", Remedy.CHOOSE_MODEL
        )
    return ModelError(
        f"The model {model.id} is not downloaded ({model.size}, licence {model.licence}).",
        Advice(Remedy.DOWNLOAD_MODEL, name=model.id),
    )


def licence_of(model_id: str) -> str | None:
    """Name of the licence of a model's weights, without the network; None where it is not known."""
    model = find(model_id)
    if model.licence is not None:
        return model.licence
    path = folder_of(model_id) / "LICENSE"
    return _text(path).strip().partition("\n")[0] if path.is_file() else None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(hub.MOST_TEXT).decode("utf-8", errors="replace")


def licence_text(model_id: str, *, endpoint: str | None = None) -> str:
    """Licence of a model's weights in full: from its folder, else from the hub.

    Parameters
    ----------
    model_id : str
        Registered name.
    endpoint : str, optional
        Address of the hub.

    Returns
    -------
    str
        The text; where the hub has none beside the model, the licence's name and where it is.

    Raises
    ------
    ModelError
        If there is no such model, or the hub cannot be reached.
    """
    model = find(model_id)
    path = folder_of(model_id) / "LICENSE"
    if is_downloaded(model_id) and path.is_file():
        return _text(path)
    if model.repository is None:
        raise _missing(model)
    with hub.explained(_remedy(model), _room()):
        return _licence_on_hub(model, hub.list_files(model.repository, endpoint))


def _licence_on_hub(model: RegisteredModel, files: tuple[hub.RemoteFile, ...]) -> str:
    for path in (f"{model.folder}/LICENSE", "LICENSE"):
        for file in files:
            if file.path == path:
                return hub.read_text(file)
    return f"{model.licence}\n\nThe licence in full: {model.licence_url}\n"


def download(
    model_id: str,
    *,
    accept_licence: bool,
    progress: DownloadCallback | None = None,
    cancel: CancelLike | None = None,
    endpoint: str | None = None,
    force: bool = False,
) -> Path:
    """Download a model into the cache folder, complete or not at all.

    An interrupted download goes on where it was. Every file is checked against the size and checksum that the hub
    lists. Nothing that was downloaded is executed.

    Parameters
    ----------
    model_id : str
        Registered name.
    accept_licence : bool
        Whether the user has read and accepted the licence, see `licence_text`.
    progress : callable, optional
        Called with bytes done and in total.
    cancel : CancelLike, optional
        Stops the download soon after it is set, for example a `CancelToken`.
    endpoint : str, optional
        Address of the hub; the one that huggingface_hub is set to by default.
    force : bool
        Download again what is there, for example because it is damaged.

    Returns
    -------
    Path
        The model folder. If it is there already, nothing is done.

    Raises
    ------
    ModelError
        If the licence is not accepted, the hub cannot be reached, the disk is full, or what came is not a model.
    Cancelled
        On request.
    """
    model = find(model_id)
    if model.repository is None:
        return resolve(model_id)
    if is_downloaded(model_id) and not force:
        return folder_of(model_id)
    if not accept_licence:
        raise ModelError(
            f"The weights of {model.id} are under the licence {model.licence} ({model.licence_url}), which has to be "
            "accepted first.",
            Advice(Remedy.ACCEPT_LICENCE, name=model.id),
        )
    with hub.explained(_remedy(model), _room()):
        return _download(model, progress, cancel, endpoint)


def _download(
    model: RegisteredModel,
    progress: DownloadCallback | None,
    cancel: CancelLike | None,
    endpoint: str | None,
) -> Path:
    import filelock

    target = folder_of(model.id)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(target.with_name(f"{model.id}.lock"), timeout=0):
            partial = target.with_name(f"{model.id}.partial")
            if partial.is_symlink():  # what it leads to is not ours
                partial.unlink()
            _fetch_all(model, partial, progress, cancel, endpoint)
            _check(model, partial)
            if target.exists():
                shutil.rmtree(target)
            partial.replace(target)
    except filelock.Timeout as error:
        raise ModelError(
            f"Another program is downloading {model.id} at this moment: wait until it is done."
        ) from error
    return target


def _fetch_all(
    model: RegisteredModel,
    partial: Path,
    progress: DownloadCallback | None,
    cancel: CancelLike | None,
    endpoint: str | None,
) -> None:
    """Bring a folder to exactly the files that the hub lists, keeping what is there of them."""
    if cancel is not None and cancel.is_set():
        raise Cancelled("The download was cancelled before it began.")
    listed = hub.list_files(model.repository or "", endpoint)
    files = {partial / name: file for file in listed if (name := _wanted(model, file.path))}
    total = sum(file.size for file in files.values())
    hub.make_room(partial, total, _room())
    done = 0
    for path, file in sorted(files.items(), key=lambda item: item[1].size):

        def report(here: int, before: int = done) -> None:
            if progress is not None:
                progress(before + here, total)

        hub.fetch(file, path, report, cancel)
        done += file.size
        report(0, done)
    licence = partial / "LICENSE"
    if licence not in files:  # it stays with the weights
        licence.write_text(_licence_on_hub(model, listed), encoding="utf-8")
    for path in partial.rglob("*"):  # of an older version
        if path.is_file() and path not in files and path != licence:
            path.unlink()


def _wanted(model: RegisteredModel, path: str) -> str:
    """Name of a file inside the model folder; "" where it does not belong to a model."""
    if not path.startswith(f"{model.folder}/"):
        return ""
    name = path.removeprefix(f"{model.folder}/")
    fits = any(
        name.count("/") == pattern.count("/") and fnmatchcase(name, pattern) for pattern in _WANTED
    )
    return name if fits else ""


def _check(model: RegisteredModel, folder: Path) -> None:
    """Whether it can be a model at all; the weights are checked when they are loaded."""
    try:
        read_capabilities(folder)
        for name in ("plans.json", "dataset.json"):
            read_json(folder / name)
        if not any(folder.glob(_WEIGHTS)):
            raise ModelError(f"there is no {_WEIGHTS}")
    except ModelError as error:
        shutil.rmtree(folder)
        raise ModelError(
            f"What the hub holds as {model.repository}/{model.folder} is no model that can be used here: "
            f"{error.message} It was thrown away; a newer version of this program may know it."
        ) from error


def _remedy(model: RegisteredModel) -> str:
    return (
        "Check the connection and try again: what has come so far is kept. Or get the folder "
        f"{model.folder} of https://huggingface.co/{model.repository} on another machine, copy it here and give its "
        "path as the model."
    )


def _room() -> str:
    return f"Make room, or set the variable {CACHE_VARIABLE} to a folder that can take it."
