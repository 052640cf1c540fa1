"""A real program is killed (SIGKILL) at seeded moments of every phase; at most the seconds that are promised are lost.

6 times here; `tox -e kill` does it 60 times (NNI_KILLS).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_nninteractive.session_file.files import read_session
from napari_nninteractive.session_file.values import SavedSession
from napari_nninteractive.workspace.files.recovery import RecoveryFiles

if sys.platform == "win32":
    pytest.skip("signals of POSIX", allow_module_level=True)

KILLS = int(os.environ.get("NNI_KILLS", "6"))
PHASES = ("click", "autosave", "recover", "save", "export", "switch", "open")
TESTS = Path(__file__).resolve().parents[1]

# Each click is one object; what is in a recovery file is told, and the phase goes on until the program is killed.
PROGRAM = """
import itertools, json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
folder, phase, own = Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
import numpy as np
from fixtures.mouse import spin, wait_until
from fixtures.panels import WindowlessUser
from napari.components import ViewerModel
from napari_nninteractive.plugin import timers
from qtpy.QtWidgets import QApplication
timers.SAVE_AFTER, timers.SAVE_AT_LAST = 100, 300
app = QApplication([])
image = np.random.default_rng(0).random((12, 40, 60)).astype(np.float32)
shown = WindowlessUser(ViewerModel(), image, None)
files, client = shown.panel.parts.files, shown.client
def tell(**what):
    print(json.dumps(what), flush=True)
if phase == "recover" and files.offer:
    files.recover()
    wait_until(lambda: shown.status == "Recovered.")
    tell(kept=sorted(shown.voxels()))
tell(phase="ready")
places = itertools.product(range(1, 12, 3), range(4, 40, 8), range(4, 60, 8))
for n, place in enumerate(places):
    shown.click(place)
    client.next_object()
    shown.wait()
    if phase in ("autosave", "click", "recover"):
        files.autosave()
        wait_until(lambda: not client.busy)
    elif phase == "save":
        files.save(str(own / "saved.nni.json"))
    elif phase == "export":
        files.save_objects(str(own / "saved.nii.gz"))
    elif phase == "open" and n == 2:
        files.save(str(own / "saved.nni.json"))
        shown.wait()
    elif phase == "open" and n > 2:
        files.open(str(own / "saved.nni.json"))
    elif phase == "switch" and n == 2:
        shown.viewer.add_image(image[:6], name="second")
    elif phase == "switch" and n > 2:
        shown.panel.link.choose(shown.viewer.layers["second"])
        shown.wait()
        shown.panel.link.choose(shown.image)
    shown.wait()
    files.autosave()
    wait_until(lambda: not client.busy)
    tell(kept=sorted(shown.voxels()))
"""


def start(phase: str, folder: Path, own: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", PROGRAM, str(TESTS), str(folder), phase, str(own)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def told_until_killed(program: subprocess.Popen[str], seconds: float) -> list[dict[str, list[int]]]:
    """Let a program go on for a while after it is ready, then kill it."""
    assert program.stdout is not None
    lines = []
    while not lines or "phase" not in lines[-1]:
        line = program.stdout.readline()
        assert line, "it ended before it was ready"
        lines.append(json.loads(line))
    time.sleep(seconds)
    program.send_signal(signal.SIGKILL)
    rest, _ = program.communicate(timeout=60)
    return [*lines, *(json.loads(line) for line in rest.splitlines() if line.endswith("}"))]


def labels_of(session: SavedSession) -> set[int]:
    return {label for frame in session.frames for label, one in frame.objects.items() if one.shown}


@pytest.mark.parametrize("number", range(KILLS))
def test_what_was_kept_comes_back_after_a_kill(number: int, tmp_path: Path) -> None:
    phase = PHASES[number % len(PHASES)]
    moment = random.Random(number).uniform(0, 1.5)
    state, own = tmp_path / "state", tmp_path / "own"
    own.mkdir()
    kept: set[int] = set()
    # What is to be recovered must have been there first.
    for name in ("autosave", "recover") if phase == "recover" else (phase,):
        for told in told_until_killed(start(name, state, own), moment):
            kept |= set(told.get("kept", ()))
    lost = RecoveryFiles(state / "napari-nninteractive").lost()
    found = [labels_of(read_session(path, (12, 40, 60))) for path in lost]
    assert any(kept <= labels for labels in found) or not kept, (phase, moment, kept, found)
    for path in own.iterdir():
        if path.suffix == ".json" and path.name[0] != ".":
            assert json.loads(path.read_text())["frames"], "whole or not there"
