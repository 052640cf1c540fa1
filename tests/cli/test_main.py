"""The program as a whole: help, errors in one line, exit codes, and what is loaded when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from typing import Any

import pytest

from napari_nninteractive import __version__
from napari_nninteractive.cli import entry, segment
from napari_nninteractive.cli import main as cli
from napari_nninteractive.errors import ImageError

HEAVY = ("torch", "nnunetv2", "napari", "SimpleITK", "tifffile", "matplotlib", "zarr")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "segment" in out
    assert cli.main([]) == 0
    assert capsys.readouterr().out == out


@pytest.mark.parametrize("name", [n for n in cli.COMMANDS if n in cli._available()])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"usage: napari-nninteractive {name}" in out
    assert len(out.splitlines()) > 5


@pytest.mark.parametrize("words", [["--help"], ["segment", "--help"], ["segment"], ["--version"]])
def test_words_only_load_nothing_heavy(words: list[str]) -> None:
    code = (
        f"import json, sys; from napari_nninteractive.cli.main import main; main({words!r});"
        "print(); print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(run.stdout.splitlines()[-1])
    assert [m for m in HEAVY if m in loaded] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"napari-nninteractive {__version__}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["segmnt"], "invalid choice: 'segmnt'"),
        (["segment"], "required: IMAGE"),
        (
            ["segment", "a.tif", "-o", "b.tif", "--nope"],
            "unrecognized arguments: --nope; see napari-nninteractive segment --help",
        ),
        (
            ["models", "list", "--nope"],
            "unrecognized arguments: --nope; see napari-nninteractive models list --help",
        ),
        (["segment", "a.tif", "-o", "b.tif", "--point", "1e300,1,1"], "farther out than any image"),
        (["segment", "a.tif", "-o", "b.tif", "--point", "-1,2,3"], "coordinates count from 0"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err
    assert "--help" in captured.err


class TestErrors:
    """What a command raises."""

    WORDS = ("segment", "a.tif", "-o", "b.tif", "--point", "1,2,3")

    @pytest.mark.parametrize(
        ("error", "line"),
        [
            (ImageError("two\n  lines"), "napari-nninteractive: error: two lines"),
            (
                FileNotFoundError(2, "No such file", "x.tif"),
                "napari-nninteractive: error: No such file: x.tif. Check its name and folder.",
            ),
            (
                PermissionError(13, "Permission denied", "ro/x"),
                "napari-nninteractive: error: Permission denied: ro/x. Choose another place, or change who may write "
                "there.",
            ),
            (
                FileExistsError(17, "File exists", "x"),
                "napari-nninteractive: error: File exists: x. Choose another name.",
            ),
            (OSError(99999, "odd"), "napari-nninteractive: error: odd."),
            (ImageError(f"at {10**300}"), "napari-nninteractive: error: at 1.00e300"),
            (OSError("odd"), "napari-nninteractive: error: odd"),
        ],
    )
    def test_known_errors_are_one_line(
        self, error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        def fail(_args: object) -> int:
            raise error

        monkeypatch.setattr(segment, "run", fail)
        assert cli.main(self.WORDS) == 2
        assert capsys.readouterr().err.splitlines() == [line]
        for words in (["--debug", *self.WORDS], [*self.WORDS, "--debug"]):
            assert cli.main(words) == 2
            assert "Traceback" in capsys.readouterr().err

    def test_interrupt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(_args: object) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(segment, "run", stop)
        assert cli.main(self.WORDS) == 130

    def test_mistakes_of_ours_are_not_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_args: object) -> int:
            raise ZeroDivisionError

        monkeypatch.setattr(segment, "run", fail)
        with pytest.raises(ZeroDivisionError):
            cli.main(self.WORDS)


def test_a_reader_that_has_gone_is_no_error() -> None:
    """As in `models list | head`: what is written then goes nowhere, quietly."""
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run(
        [sys.executable, "-m", "napari_nninteractive.cli.main", "models", "list"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    os.close(write)
    assert run.stderr == ""
    assert run.returncode == 141


@pytest.mark.parametrize("where", ["while it is loaded", "while it runs"])
def test_an_early_interrupt_is_quiet(
    where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    if where == "while it runs":
        monkeypatch.setattr(cli, "main", stop)
    else:
        module = types.ModuleType(cli.__name__)
        module.__getattr__ = stop  # type: ignore[method-assign]
        monkeypatch.setitem(sys.modules, cli.__name__, module)
    assert entry.main() == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_entry_hands_on_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [cli.PROGRAM, "segmnt"])
    assert entry.main() == 2
