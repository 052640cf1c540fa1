"""The package as it is installed: metadata, manifest, entry points, and what an import drags in."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fixtures.model_folder import write_model_folder

import napari_nninteractive

ROOT = Path(__file__).resolve().parent.parent
NAME = "napari-nninteractive"
QT = ("qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "napari", "vispy", "magicgui")
# Imported beside an open viewer, triton can crash the process, and the other two import it.
UNWANTED = ("triton", "torchvision", "nnunetv2.training.nnUNetTrainer", *QT)
DECOYS = ("triton", "torchvision")


def loaded_after(code: str, unwanted: tuple[str, ...], decoys: Path) -> list[str]:
    """Run `code` in a new interpreter; return the unwanted modules, and modules in them, it loaded.

    Empty packages in `decoys` stand in front of the installed ones: importing one of those succeeds
    whether or not this machine has it, so that an attempt cannot go unnoticed.
    """
    for name in DECOYS:
        package = decoys / name
        package.mkdir()
        (package / "__init__.py").write_text("")
    report = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(decoys), *sys.path])},
    )
    assert run.returncode == 0, run.stderr
    modules = json.loads(run.stdout.splitlines()[-1])
    return [m for m in modules if any(m == u or m.startswith(f"{u}.") for u in unwanted)]


@pytest.mark.parametrize("module", ["triton", "torchvision", "qtpy", "napari.components"])
def test_the_probe_sees_an_import(module: str, tmp_path: Path) -> None:
    assert module in loaded_after(f"import {module}", UNWANTED, tmp_path)


@pytest.mark.parametrize(
    "module",
    ["", ".errors", ".core.prompts", ".core.volume", ".core.rasterize", ".core.plan", ".files"],
)
def test_import_loads_neither_torch_nor_qt(module: str, tmp_path: Path) -> None:
    unwanted = ("torch", "nnunetv2", *UNWANTED)
    assert loaded_after(f"import napari_nninteractive{module}", unwanted, tmp_path) == []


def test_prompts_in_a_file_are_read_without_torch(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps([{"type": "Point", "position": [1, 2, 3]}]))
    code = f"""
from pathlib import Path
import numpy as np
from napari_nninteractive.cli.prompt_args import Request, build_plan
from napari_nninteractive.io import Geometry, ImageFile

image = ImageFile(np.zeros((6, 7, 8)), Geometry.from_zyx((1.0, 1.0, 1.0)))
plan = build_plan([Request("prompts", True, Path({str(path)!r}))], image)
if len(plan) != 1:
    raise SystemExit(str(plan))
"""
    assert loaded_after(code, ("torch", "nnunetv2", *UNWANTED), tmp_path) == []


def test_engine_import_loads_nothing_that_clashes_with_opengl(tmp_path: Path) -> None:
    assert loaded_after("import napari_nninteractive.engine.session", UNWANTED, tmp_path) == []


def test_a_prediction_loads_nothing_that_clashes_with_opengl(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "model")
    code = f"""
import numpy as np
import napari_nninteractive as nni

session = nni.InferenceSession.from_pretrained({str(folder)!r}, device="cpu")
session.set_image(np.random.default_rng(0).random((20, 20, 20)))
out = session.add(nni.Point((10, 10, 10)))
assert out.forwards > 0
"""
    assert loaded_after(code, UNWANTED, tmp_path) == []


def test_version_is_that_of_the_distribution() -> None:
    assert napari_nninteractive.__version__ == importlib.metadata.version(NAME)


def test_public_names_resolve() -> None:
    assert napari_nninteractive.__all__
    for name in napari_nninteractive.__all__:
        assert getattr(napari_nninteractive, name) is not None
    assert set(napari_nninteractive.__all__) <= set(dir(napari_nninteractive))


def test_top_level_manifest_is_the_one_in_the_package() -> None:
    packaged = importlib.resources.files("napari_nninteractive") / "napari.yaml"
    top = ROOT / "napari.yaml"
    text = top.read_text(encoding="utf-8")
    if (
        not top.is_symlink()
    ):  # git without symbolic links writes the target's path into a plain file
        text = (ROOT / text.strip()).read_text(encoding="utf-8")
    assert text == packaged.read_text(encoding="utf-8")


def test_napari_finds_the_manifest() -> None:
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution(NAME)
    assert manifest.name == NAME
    assert manifest.package_version == napari_nninteractive.__version__


@pytest.mark.parametrize("group", ["console_scripts", "napari.manifest"])
def test_entry_point_is_declared(group: str) -> None:
    (entry,) = importlib.metadata.entry_points(group=group, name=NAME)
    assert entry.module.split(".")[0] == "napari_nninteractive"


def test_console_script_loads() -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name=NAME)
    assert callable(entry.load())


def test_the_built_in_model_is_in_the_wheel(tmp_path: Path) -> None:
    """Built, unpacked and loaded, away from this folder."""
    pytest.importorskip("hatchling")
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("no sources to build from")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "unpacked")
    model = tmp_path / "unpacked" / "napari_nninteractive" / "models" / "builtin"
    here = ROOT / "src" / "napari_nninteractive" / "models" / "builtin"
    names = sorted(p.relative_to(here) for p in here.rglob("*") if p.is_file())
    assert sorted(p.relative_to(model) for p in model.rglob("*") if p.is_file()) == names
    assert any(name.name.startswith("LICENSE") for name in names)
    code = (
        "import napari_nninteractive as n; m = n.load_model('builtin', 'cpu'); print(m.folder);"
        "print(sum(p.numel() for p in m.network.parameters()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "unpacked")},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    folder, parameters = run.stdout.split()
    assert Path(folder) == model
    assert int(parameters) > 100_000
