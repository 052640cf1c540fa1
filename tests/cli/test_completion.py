"""Completion scripts: what a shell offers after some words."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from napari_nninteractive.cli.main import COMMANDS, _available, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_script_names_commands_and_options(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--print-completion", shell]) == 0
    text = capsys.readouterr().out
    for name in _available():
        assert name in text
    assert "negative-scribble" in text


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    if shutil.which("bash") is None:
        pytest.skip("no bash on this machine")
    assert main(["--print-completion", "bash"]) == 0
    path = tmp_path / "completion.bash"
    path.write_text(capsys.readouterr().out)
    return path


def offered(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words, which may be empty."""
    line = ["napari-nninteractive", *words]
    asked = " ".join(f"'{w}'" for w in line)
    code = f"""
compopt() {{ :; }}  # works only while a person completes
source '{script}'
COMP_WORDS=({asked}); COMP_CWORD={len(line) - 1}
COMP_LINE="${{COMP_WORDS[*]}}"; COMP_POINT=${{#COMP_LINE}}
function=$(complete -p napari-nninteractive | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
"$function" napari-nninteractive "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    run = subprocess.run(
        ["bash", "--norc", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=script.parent,
    )
    return set(run.stdout.split())


def test_bash_offers_commands_options_choices_and_files(script: Path) -> None:
    assert offered(script, "") == set(_available())
    assert offered(script, "s") == {n for n in COMMANDS if n.startswith("s")}
    assert offered(script, "segment", "--negative-") == {
        "--negative-point",
        "--negative-box",
        "--negative-scribble",
        "--negative-lasso",
    }
    assert offered(script, "segment", "--precision", "") == {"auto", "fp32", "bf16", "fp16", "int8"}
    assert offered(script, "demo", "--sample", "v") == {"vessels"}
    assert offered(script, "models", "") == {"list", "download", "licence", "check"}
    (script.parent / "stack.tif").write_bytes(b"")
    assert "stack.tif" in offered(script, "segment", "st")
