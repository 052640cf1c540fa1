"""No connection to the network but the one download that is asked for: library and command line run without sockets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fixtures.model_folder import write_model_folder

from napari_nninteractive.io import Geometry, ImageFile, write_mask

# An audit hook sees what every module of Python does, however it came by its socket.
GUARD = """
import sys
TRIED = []
def guard(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.connect",
                 "socket.sendto", "socket.sendmsg", "urllib.Request", "ftplib.connect", "smtplib.connect"):
        address = arguments[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else arguments
        if isinstance(address, str | bytes):  # of a Unix socket: inside this machine
            return
        TRIED.append(f"{event} {address}")
        raise OSError("no network in this test")
sys.addaudithook(guard)
"""

LIBRARY = """
from pathlib import Path
import numpy as np
import napari_nninteractive as nni
from napari_nninteractive.io import Geometry, ImageFile, read_image, write_mask
folder = Path(sys.argv[1])
image = np.random.default_rng(0).random((8, 40, 40)).astype(np.float32)
for model in ("builtin", str(folder / "model")):
    session = nni.InferenceSession.from_pretrained(model, device="cpu")
    session.set_image(image)
    session.add(nni.Point((4, 20, 20)))
    session.add(nni.BoxPrompt((4, 4, 4), (5, 30, 30)))
    session.save(folder / "s.json")
like = ImageFile(image, Geometry.from_zyx((1.0, 1.0, 1.0)), "mm")
for ending in (".nii.gz", ".nrrd", ".mha", ".tif", ".ome.tif", ".zarr"):
    write_mask(folder / f"m{ending}", session.mask[...], like)
    read_image(folder / f"m{ending}").data[...]
for registered in nni.engine.registry.registered():
    nni.engine.registry.is_downloaded(registered.id)
    nni.engine.registry.licence_of(registered.id)
"""

COMMANDS = """
import importlib, io
from napari_nninteractive.cli.main import COMMANDS, main
folder = sys.argv[1]
model = f"{folder}/model"
for name in COMMANDS:
    main([name, "--help"])
expected = {
    ("--version",): 0,
    ("info", "--model", model, "--device", "cpu"): 0,
    ("models", "list"): 0,
    ("models", "check", model): 0,
    ("models", "download", "nnInteractive_v1.0"): 2,
    ("segment", f"{folder}/image.nii.gz", "-o", f"{folder}/out.nrrd", "--model", model, "--point", "2,20,20"): 0,
    ("segment", f"{folder}/image.nii.gz", "-o", f"{folder}/x.nrrd", "--model", "nnInteractive_v1.0", "--point",
     "2,20,20"): 2,
    ("segment", "https://example.invalid/image.nii.gz", "-o", f"{folder}/y.nrrd", "--point", "2,20,20"): 2,
    ("demo", "-o", f"{folder}/demo"): 0,
}
for words, code in expected.items():
    found = main(list(words))
    print(found == code, found, words[:2], file=sys.stderr)
"""

PANEL = """
import os
folder = sys.argv[1]
os.environ["XDG_STATE_HOME"] = os.environ["NAPARI_NNINTERACTIVE_CACHE"] = folder
sys.path.insert(0, os.environ["TESTS"])
import numpy as np
from pathlib import Path
from fixtures.mouse import wait_until
from fixtures.panels import WindowlessUser
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
from napari_nninteractive.workspace.workspace import Workspace, estimate_cost
app = QApplication([])
image = np.random.default_rng(0).random((8, 40, 40)).astype(np.float32)
shown = WindowlessUser(ViewerModel(), image, Workspace(estimate=estimate_cost))
parts, view = shown.panel.parts, shown.panel.view
shown.click((4, 20, 20))
for tool in ("box", "scribble", "lasso"):
    shown.choose(tool)
    shown.drag([(4, 5, 5), (4, 5, 15), (4, 15, 15), (4, 15, 5)])
shown.press("N")
shown.paint_objects(2, [(6, 30, 30), (6, 30, 34)])
for act in (view.prompts.undo, view.prompts.redo, view.objects.edit, view.objects.delete, view.drawing.run):
    shown.push(act)
parts.files.autosave()
parts.files.save(folder + "/s.json")
parts.files.save_table(folder + "/t.csv")
for ending in (".nii.gz", ".nrrd", ".tif", ".zarr"):
    parts.files.save_objects(folder + "/o" + ending)
shown.wait()
parts.files.open(folder + "/s.json")
shown.wait()
parts.files.recover()
shown.wait()
for name in [name for _, name in view.source.model._items if name]:
    parts.models.choose(name)  # one that is not here asks for its licence
    shown.wait()
parts.models.choose_folder(folder + "/model")
shown.wait()
shown.choose("point")
shown.click((2, 10, 10))
shown.close_panel()
print(sorted(p.name for p in Path(folder).iterdir() if p.name[:2] in ("s.", "t.", "o.")))
"""


def run(code: str, folder: Path, tmp_path: Path) -> tuple[str, str]:
    """Output and errors of a process that notes each attempt at the network, and fails it."""
    done = subprocess.run(
        [sys.executable, "-c", f"{GUARD}{code}\nprint('TRIED', TRIED)", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "TESTS": str(Path(__file__).parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model_folder(tmp_path / "model")
    mask = np.random.default_rng(0).integers(0, 2, (4, 40, 40)).astype(np.uint8)
    like = ImageFile(mask, Geometry.from_zyx((1.0, 1.0, 1.0)), "mm")
    write_mask(tmp_path / "image.nii.gz", mask, like)
    return tmp_path


def test_the_library_asks_for_no_network(folder: Path, tmp_path: Path) -> None:
    out, _ = run(LIBRARY, folder, tmp_path)
    assert out.splitlines()[-1] == "TRIED []"


def test_the_commands_ask_for_no_network(folder: Path, tmp_path: Path) -> None:
    out, errors = run(COMMANDS, folder, tmp_path)
    assert out.splitlines()[-1] == "TRIED []"
    assert [line for line in errors.splitlines() if line.startswith("False")] == [], errors


def test_the_panel_asks_for_no_network(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("napari")
    out, _ = run(PANEL, folder, tmp_path)
    assert out.splitlines()[-2:] == [
        "['o.nii.gz', 'o.nrrd', 'o.tif', 'o.zarr', 's.json', 't.csv']",
        "TRIED []",
    ]


def test_the_download_that_is_asked_for_does(folder: Path, tmp_path: Path) -> None:
    # So the guard sees what there is to see.
    words = '["models", "download", "nnInteractive_v1.0", "--accept-licence"]'
    code = f"""
import os
os.environ["NAPARI_NNINTERACTIVE_CACHE"] = sys.argv[1]
from napari_nninteractive.cli.main import main
assert main({words}) == 2
"""
    out, errors = run(code, folder, tmp_path)
    assert "socket.getaddrinfo" in out.splitlines()[-1]
    assert "cannot be reached" in errors
