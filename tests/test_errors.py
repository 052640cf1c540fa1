"""Errors say what is wrong, and what to do in the words of whoever reads them."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import napari_nninteractive
from napari_nninteractive import errors
from napari_nninteractive.cli.remedies import ON_THE_COMMAND_LINE, said
from napari_nninteractive.errors import (
    Advice,
    DeviceMemoryError,
    ImageError,
    NNInteractiveError,
    Remedy,
)
from napari_nninteractive.plugin.view import messages
from napari_nninteractive.plugin.view.messages import IN_THE_PANEL
from napari_nninteractive.remedies import IN_PYTHON

SOURCE = Path(napari_nninteractive.__file__).parent
TABLES = {"python": IN_PYTHON, "command line": ON_THE_COMMAND_LINE, "panel": IN_THE_PANEL}
OPTION = re.compile(r"(?<![\w-])--[a-z]")
ARGUMENT = re.compile(r"\b[a-z_]+=(?:'|True|False|None|\{number\})")
CLASSES = [getattr(errors, n) for n in errors.__all__ if n.endswith("Error") or n == "Cancelled"]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_remedy_has_words_for_every_reader(table: Mapping[Remedy, str]) -> None:
    assert set(table) == set(Remedy)
    for remedy, words in table.items():
        text = Advice(remedy, name="a{b}", number=7).worded(table)
        # They follow a colon and are followed by a full stop.
        assert not words[0].isupper(), remedy
        assert text[-1] not in " .:", remedy
        assert text == words.replace("{name}", "a{b}").replace("{number}", "7")


def test_no_reader_is_told_of_what_another_has() -> None:
    for remedy in Remedy:
        assert not OPTION.search(IN_PYTHON[remedy]), remedy
        assert not OPTION.search(IN_THE_PANEL[remedy]), remedy
        assert not ARGUMENT.search(IN_THE_PANEL[remedy]), remedy
        assert not ARGUMENT.search(ON_THE_COMMAND_LINE[remedy]), remedy


def test_one_error_in_the_words_of_three_readers() -> None:
    error = ImageError("a.tif has 3 channels.", Advice(Remedy.CHOOSE_CHANNEL, number=2))
    assert error.remedy is Remedy.CHOOSE_CHANNEL
    assert error.message == "a.tif has 3 channels."
    assert str(error) == (
        "a.tif has 3 channels: choose one with channel=0 to channel=2, or save one as a file of its own."
    )
    assert said(error) == (
        "a.tif has 3 channels: choose one with --channel 0 to --channel 2, or, where a command has no such option, "
        "save one as a file of its own."
    )
    assert messages.error(error) == "a.tif has 3 channels: save one as a file of its own."


def test_an_error_without_a_remedy_is_its_message_to_everyone() -> None:
    error = ImageError("The image is empty, {so} to say.")
    assert (error.remedy, error.advice) == (None, None)
    assert {str(error), said(error), messages.error(error)} == {"The image is empty, {so} to say."}
    assert (str(NNInteractiveError()), said(NNInteractiveError())) == ("", "")
    assert messages.error(NNInteractiveError()) == "NNInteractiveError"


def test_errors_of_others_come_through_as_they_are() -> None:
    assert said(ValueError("no --such thing")) == "no --such thing"
    assert messages.error(OSError("no disk")) == "no disk"


@pytest.mark.parametrize("cls", CLASSES)
def test_the_remedy_goes_along(cls: type[NNInteractiveError]) -> None:
    error = cls("There is no {model}.", Advice(Remedy.DOWNLOAD_MODEL, name="x", number=3))
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is cls
        assert other.message == error.message
        assert other.advice == error.advice
        assert str(other) == str(error)
    with pytest.raises(cls) as caught:
        raise error from ValueError("before")
    assert caught.value.advice == error.advice


def test_a_remedy_alone_is_advice_without_a_name() -> None:
    error = DeviceMemoryError("Too little.", Remedy.FREE_DEVICE_MEMORY)
    assert error.advice == Advice(Remedy.FREE_DEVICE_MEMORY)


def modules() -> list[Path]:
    found = [p for p in SOURCE.rglob("*.py") if p.relative_to(SOURCE).parts[0] != "cli"]
    assert len(found) > 100
    return found


def texts(path: Path) -> list[tuple[int, str]]:
    """Strings of a module with their lines, without those that nothing reads: docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    idle = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    return [
        (n.lineno, n.value)
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in idle
    ]


def test_only_the_command_line_speaks_of_its_options() -> None:
    found = [f"{p.name}:{n}: {t}" for p in modules() for n, t in texts(p) if OPTION.search(t)]
    assert found == []


def test_only_one_table_speaks_of_arguments() -> None:
    rest = [p for p in modules() if p != SOURCE / "remedies.py"]
    found = [f"{p.name}:{n}: {t}" for p in rest for n, t in texts(p) if ARGUMENT.search(t)]
    assert found == []


def test_options_and_arguments_in_strings_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '"""--doc"""\nx = f"{1} use --device cpu"\ny = "a--b"\nz = "device=\'cpu\'"\n'
    )
    got = texts(tmp_path / "a.py")
    assert [n for n, t in got if OPTION.search(t)] == [2]
    assert [n for n, t in got if ARGUMENT.search(t)] == [4]
