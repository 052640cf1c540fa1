"""The program as a whole: help, errors in one line, exit codes, and what is loaded when."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from napari_nninteractive import __version__
from napari_nninteractive.cli import main as cli
from napari_nninteractive.cli import segment
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
        (["segment", "a.tif", "-o", "b.tif", "--nope"], "unrecognized arguments: --nope"),
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
                "napari-nninteractive: error: No such file: x.tif",
            ),
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
