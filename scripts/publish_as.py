"""Choose the name and the address under which the project is published.

    python scripts/publish_as.py NAME --repository https://github.com/SOMEONE/SOMETHING

The name is that of `pip install NAME`; napari wants its manifest, and each command in it, to bear the same. The package
that is imported, the program and the files that it writes keep their names. Run it again to choose others.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = Path("src/napari_nninteractive/napari.yaml")


def rename(root: Path, new: str) -> None:
    """Give the distribution another name, in pyproject.toml and in the napari manifest.

    Parameters
    ----------
    root : Path
        Top folder of the project.
    new : str
        The name.
    """
    project, manifest = root / "pyproject.toml", root / MANIFEST
    old = re.escape(_project(root)["name"])
    settings = project.read_text(encoding="utf-8")
    settings = re.sub(rf'^name = "{old}"$', f'name = "{new}"', settings, flags=re.MULTILINE)
    settings = re.sub(rf'"{old}\[', f'"{new}[', settings)
    settings = re.sub(
        rf'^{old} = (".*:napari\.yaml")$', rf"{new} = \1", settings, flags=re.MULTILINE
    )
    contributions = manifest.read_text(encoding="utf-8")
    contributions = re.sub(rf"^name: {old}$", f"name: {new}", contributions, flags=re.MULTILINE)
    contributions = re.sub(rf"\b(id|command): {old}\.", rf"\1: {new}.", contributions)
    project.write_text(settings, encoding="utf-8")
    manifest.write_text(contributions, encoding="utf-8")


def move(root: Path, new: str) -> None:
    """Give the repository another address, in every entry of `[project.urls]` that begins with it.

    Parameters
    ----------
    root : Path
        Top folder of the project.
    new : str
        The address.
    """
    project = root / "pyproject.toml"
    settings = project.read_text(encoding="utf-8")
    old = _project(root)["urls"]["Repository"]
    project.write_text(settings.replace(f'= "{old}', f'= "{new}'), encoding="utf-8")


def _project(root: Path) -> dict[str, Any]:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project: dict[str, Any] = settings["project"]
    return project


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: letters, digits, - and _ make a name")
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r'https://[^\s"]+', text):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with https://")
    return text.rstrip("/")


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", metavar="NAME", type=_name, help="of the distribution")
    parser.add_argument("--repository", metavar="URL", type=_address, help="of the repository")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    rename(chosen.root, chosen.name)
    if chosen.repository:
        move(chosen.root, chosen.repository)
    print(f"{chosen.name}: install it again (pip install -e .), so that napari finds it.")


if __name__ == "__main__":
    main()
