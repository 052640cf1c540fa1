"""The pages of the documentation: Python runs, commands are such that the program takes them, links lead somewhere."""

from __future__ import annotations

import ast
import re
import shlex
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fixtures.markdown import CARD, PAGES, ROOT, blocks, commands, fences, links, text_of
from fixtures.model_folder import write_model_folder

import napari_nninteractive as nni
from napari_nninteractive.cli.main import PROGRAM, build_parser

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs" / "index.md").is_file(), reason="the documentation is not here"
)

WITH_PYTHON = [page for page in PAGES if page != "README.md" and blocks(page, "python")]
WITH_COMMANDS = [page for page in PAGES if commands(page)]
LANGUAGES = {"", "bash", "bibtex", "python", "text", "{eval-rst}", "{toctree}"}
SHAPE = (40, 140, 140)


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Be in a folder with a small stack; what pages take for granted, by its name."""
    image = np.random.default_rng(0).normal(100, 5, SHAPE)
    for centre in ((16, 48, 48), (16, 20, 20), (20, 70, 30)):
        at = np.indices(SHAPE) - np.array(centre).reshape(3, 1, 1, 1)
        image += 100 * ((at**2).sum(0) < 9**2)
    image = image.round().astype(np.uint16)
    metadata = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "stack.tif", image, imagej=True, metadata=metadata)
    monkeypatch.chdir(tmp_path)
    # One step instead of the minute that a page gives it.
    monkeypatch.setattr(nni, "learn", partial(nni.learn, steps=1))
    model = nni.load_model(write_model_folder(tmp_path / "model"), "cpu")
    return {"__name__": "page", "model": model, "volume": image}


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_python_runs(page: str, names: dict[str, Any]) -> None:
    """All blocks of a page, one after the other, as a reader would."""
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)


def test_what_the_page_on_python_makes_is_right(names: dict[str, Any], capsys: Any) -> None:
    for block in blocks("docs/python.md", "python"):
        exec(block, names)
    assert np.unique(names["labels"]).tolist() == [0, 1, 2, 3]
    for number, centre in enumerate(((16, 48, 48), (16, 20, 20), (20, 70, 30)), start=1):
        assert names["labels"][centre] == number
        assert 1000 < (names["labels"] == number).sum() < 6000
    assert tifffile.imread("mask.tif").shape == SHAPE
    said = capsys.readouterr().out
    assert "cancelled" in said
    assert "outside" in said


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_the_program_takes_the_commands(page: str) -> None:
    """Parsed, not run: they train for an hour, download, or want a volume of the reader's own."""
    parser = build_parser()
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if PROGRAM in words[:-1]:
            arguments = words[words.index(PROGRAM) + 1 :]
            assert parser.parse_args(arguments).command == arguments[0], line


@pytest.mark.parametrize("page", PAGES)
def test_the_program_takes_what_the_text_quotes(page: str, capsys: Any) -> None:
    """A quotation may leave out what a command cannot do without, but name no option that there is not."""
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    parser = build_parser()
    for quoted in re.findall(rf"`{PROGRAM} ([^`…]*)`", prose):
        arguments = quoted.split()
        if len(arguments) == 1:  # names a command, whose arguments come elsewhere
            arguments.append("--help")
        code = 0
        try:
            parser.parse_args(arguments)
        except SystemExit as end:
            code = end.code
        incomplete = "arguments are required" in capsys.readouterr().err
        assert code == 0 or incomplete, quoted


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_the_scripts_that_are_called_are_there(page: str) -> None:
    lines = [shlex.split(line, comments=True) for line in commands(page)]
    called = [
        following
        for words in lines
        for word, following in pairwise(words)
        if word in ("bash", "python") and following.endswith((".py", ".sh"))
    ]
    assert [path for path in called if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    assert [path for path in links(page) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_code_hides_in_a_block_without_a_language(page: str) -> None:
    """Else none of the tests above would see it."""
    for language, text in fences(page):
        assert language in LANGUAGES
        if not language:
            assert not re.search(rf"^({PROGRAM}|pip|python|import|from) ", text, re.MULTILINE)


def test_every_public_name_is_in_the_reference() -> None:
    pages = "\n".join(text_of(page) for page in PAGES if page.startswith("docs/api/"))
    listed = set(re.findall(r"auto(?:class|function|exception):: (\w+)$", pages, re.MULTILINE))
    errors = {name for name in nni.__all__ if isinstance(getattr(nni, name), type)} & {
        name for name in vars(nni.errors) if name[0].isupper()
    }
    assert set(nni.__all__) - errors - {"__version__"} <= listed
    assert "automodule:: napari_nninteractive.errors" in pages


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_every_page_is_on_the_site(page: str) -> None:
    name = Path(page).relative_to("docs").with_suffix("").as_posix()
    trees = [
        f"{Path(other).parent.relative_to('docs').as_posix()}/{entry}".removeprefix("./")
        for other in PAGES
        if other.startswith("docs/")
        for tree in blocks(other, "{toctree}")
        for entry in tree.split()
    ]
    assert name == "index" or name in trees


def test_pages_from_elsewhere_are_there() -> None:
    """The site shows the README, the changelog and the card of the model, each held once."""
    settings = ast.parse((ROOT / "docs" / "conf.py").read_text(encoding="utf-8"))
    (pages,) = (
        ast.literal_eval(node.value)
        for node in settings.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_PAGES"
    )
    assert set(pages) >= {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", CARD}
    for file, page in pages.items():
        (named,) = re.findall(r"<!-- all of (\S+) -->", text_of(f"docs/{page}"))
        assert (ROOT / "docs" / named).resolve() == ROOT / file
