"""Say whether this state can be released under a tag, and if not, all that is in the way.

python scripts/check_release.py v0.1.0
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAKEN = "napari-nninteractive"  # on the package index this is the plugin of the method's authors


def problems(root: Path, tag: str) -> list[str]:
    """What stands against a release.

    Parameters
    ----------
    root : Path
        Top folder of the project.
    tag : str
        Tag of the release: "v" and the version.

    Returns
    -------
    list of str
        One sentence each; empty where nothing does.
    """
    project = tomllib.loads(_read(root, "pyproject.toml"))["project"]
    version = _found(r'^__version__ = "(.+)"$', _read(root, "src/napari_nninteractive/__init__.py"))
    cited = _found(r"^version: (.+)$", _read(root, "CITATION.cff"))
    name = re.sub(r"[-_.]+", "-", project["name"]).lower()
    address = project["urls"]["Repository"]
    heading = f"## [{version}]"
    checks = [
        (tag == f"v{version}", f"the tag is {tag}, but the version is {version}"),
        (cited == version, f"CITATION.cff has version {cited}, not {version}"),
        (heading in _read(root, "CHANGELOG.md"), f"CHANGELOG.md has no section {heading}"),
        (name != TAKEN, f"the name {TAKEN} belongs to others: choose one with publish_as.py"),
        (".invalid" not in address, "there is no address yet: publish_as.py NAME --repository URL"),
    ]
    return [words for fine, words in checks if not fine]


def notes(changelog: str, version: str) -> str:
    """The section of a version in the changelog, without its heading; empty where there is none."""
    start = rf"^## \[{re.escape(version)}\][^\n]*\n"
    found = re.search(rf"{start}(.*?)(?=^## |^\[|\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def _read(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else "?"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line; print what is in the way, or the changelog's section; 1 if something is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tag", metavar="TAG")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    found = problems(chosen.root, chosen.tag)
    for words in found:
        print(f"error: {words}", file=sys.stderr)
    if not found:
        print(notes(_read(chosen.root, "CHANGELOG.md"), chosen.tag.removeprefix("v")))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
