"""What is done before a release: choosing a name and an address, and what is checked."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fixtures.wheels import build_wheel

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "https://example.org/somebody/something"
NEW = "some-other_name"

if not (ROOT / "scripts" / "publish_as.py").is_file():
    pytest.skip("the scripts are not here", allow_module_level=True)

PUBLISH = runpy.run_path(str(ROOT / "scripts" / "publish_as.py"))
CHECK = runpy.run_path(str(ROOT / "scripts" / "check_release.py"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project without the weights of the built-in model."""
    tree = tmp_path / "copy"
    tree.mkdir()
    files = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "CITATION.cff")
    for name in (*files, "CHANGELOG.md"):
        shutil.copy(ROOT / name, tree)
    ignore = shutil.ignore_patterns("__pycache__", "*.pth")
    shutil.copytree(ROOT / "src", tree / "src", ignore=ignore)
    return tree


def publish_as(tree: Path, *words: str) -> None:
    PUBLISH["main"]([*words, "--root", str(tree)])


def test_another_name_and_napari_finds_the_plugin_by_it(copy: Path, tmp_path: Path) -> None:
    """Built under another name: napari's manifest, its commands and the code agree on it."""
    publish_as(copy, NEW, "--repository", ADDRESS)
    wheel = build_wheel(copy, tmp_path / "built")
    code = f"""
import sys
sys.path.insert(0, {str(wheel)!r})
import importlib.metadata
from npe2 import PluginManifest
from napari_nninteractive._distribution import distribution_name
found = PluginManifest.from_distribution({NEW!r})
assert found.name == distribution_name() == {NEW!r}
commands = [c.id for c in found.contributions.commands]
assert all(c.startswith({NEW!r} + ".") for c in commands), commands
used = [found.contributions.widgets[0], *found.contributions.writers, *found.contributions.readers]
assert set(c.command for c in used) <= set(commands)
data = importlib.metadata.metadata({NEW!r})
extras = [line for line in data.get_all("Requires-Dist") if "nninteractive" in line]
assert extras == [], extras
assert "Repository, {ADDRESS}" in data.get_all("Project-URL")
assert "({ADDRESS}/raw/v" in data.get_payload()
assert "repository.invalid" not in data.as_string()
(ours,) = importlib.metadata.distributions(name={NEW!r}, path=[{str(wheel)!r}])
assert [e.name for e in ours.entry_points if e.group == "console_scripts"] == ["napari-nninteractive"]
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(wheel)},
    )
    assert run.returncode == 0, run.stderr


def test_there_and_back_is_where_it_was(copy: Path) -> None:
    names = ("pyproject.toml", "src/napari_nninteractive/napari.yaml")
    before = [(copy / name).read_text(encoding="utf-8") for name in names]
    project = tomllib.loads(before[0])["project"]
    publish_as(copy, NEW, "--repository", ADDRESS)
    between = [(copy / name).read_text(encoding="utf-8") for name in names]
    assert all(a != b for a, b in zip(before, between, strict=True))
    publish_as(copy, project["name"], "--repository", project["urls"]["Repository"])
    assert [(copy / name).read_text(encoding="utf-8") for name in names] == before


def test_nobody_is_told_to_install_what_others_publish_under_our_name() -> None:
    """An extra by the bare name would bring a stranger's package, as long as the name is theirs on the index."""
    by_name = re.compile(
        r"pip install [^`\n]*(napari-nninteractive|distribution_name\(\))(?!\[all\] @ git)"
    )
    pages = [ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("*.py")]
    found = [
        f"{page.name}: {line.strip()}"
        for page in pages
        for line in page.read_text(encoding="utf-8").splitlines()
        if by_name.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "words", [("no/name",), ("-x",), ("",), ("fine", "--repository", "git@host:a/b")]
)
def test_what_is_no_name_or_address_is_refused(copy: Path, words: tuple[str, ...]) -> None:
    before = (copy / "src/napari_nninteractive/napari.yaml").read_text(encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        publish_as(copy, *words)
    assert end.value.code == 2
    assert (copy / "src/napari_nninteractive/napari.yaml").read_text(encoding="utf-8") == before


def write_tree(folder: Path, **changes: str) -> Path:
    """A project that can be released as v1.2.3, but for the changes."""
    texts = {
        "name": "other",
        "address": ADDRESS,
        "version": "1.2.3",
        "cited": "1.2.3",
        "changelog": "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2027-01-31\n\n- Better.\n\n## [1.2.2]\n\n- Old.\n",
        **changes,
    }
    package = folder / "src" / "napari_nninteractive"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f'__version__ = "{texts["version"]}"\n')
    (folder / "CITATION.cff").write_text(f"cff-version: 1.2.0\nversion: {texts['cited']}\n")
    (folder / "CHANGELOG.md").write_text(texts["changelog"])
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{texts["name"]}"\nurls.Repository = "{texts["address"]}"\n'
    )
    return folder


@pytest.mark.parametrize(
    ("changes", "tag", "words"),
    [
        ({}, "v1.2.4", "the tag is v1.2.4, but the version is 1.2.3"),
        ({}, "1.2.3", "the tag is 1.2.3"),
        ({"cited": "1.2.2"}, "v1.2.3", "CITATION.cff has version 1.2.2, not 1.2.3"),
        ({"changelog": "## [Unreleased]\n"}, "v1.2.3", r"no section ## [1.2.3]"),
        ({"name": "napari_nnInteractive"}, "v1.2.3", "belongs to others"),
        ({"address": "https://repository.invalid/x"}, "v1.2.3", "no address yet"),
    ],
)
def test_each_thing_in_the_way_of_a_release_is_said(
    tmp_path: Path, capsys: Any, changes: dict[str, str], tag: str, words: str
) -> None:
    tree = write_tree(tmp_path, **changes)
    assert CHECK["main"]([tag, "--root", str(tree)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("error:") == 1


def test_a_release_gets_its_section_of_the_changelog(tmp_path: Path, capsys: Any) -> None:
    assert CHECK["main"](["v1.2.3", "--root", str(write_tree(tmp_path))]) == 0
    assert capsys.readouterr().out == "- Better.\n"


def test_the_version_is_said_everywhere_alike() -> None:
    """Whatever else is still in the way."""
    import napari_nninteractive

    tag = f"v{napari_nninteractive.__version__}"
    found = CHECK["problems"](ROOT, tag)
    assert [words for words in found if words.startswith(("the tag", "CITATION"))] == []
