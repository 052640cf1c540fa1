"""The package as it is installed: metadata, manifest, entry points, and what an import drags in."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from fixtures.markdown import links
from fixtures.model_folder import write_model_folder
from fixtures.wheels import build_wheel

import napari_nninteractive
from napari_nninteractive._distribution import distribution_name

ROOT = Path(__file__).resolve().parent.parent
NAME = distribution_name()
QT = ("qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "napari", "vispy", "magicgui")
# Imported beside an open viewer, triton can crash the process, and the other two import it.
UNWANTED = ("triton", "torchvision", "nnunetv2.training.nnUNetTrainer", *QT)
DECOYS = ("triton", "torchvision")
# What nnunetv2 and the readers of files can drag in, and no click needs.
HEAVY = (
    "PIL",
    "SimpleITK",
    "acvl_utils",
    "batchgeneratorsv2",
    "blosc2",
    "dask",
    "einops",
    "graphviz",
    "huggingface_hub",
    "imagecodecs",
    "imageio",
    "matplotlib",
    "nibabel",
    "pandas",
    "requests",
    "scipy.signal",
    "scipy.stats",
    "seaborn",
    "skimage",
    "sklearn",
    "tensorboard",
    "tifffile",
    "timm",
    "torch._inductor",
    "zarr",
)
# The one module of this package that nnU-Net's function needs.
FILES_AND_FOLDERS = [
    "batchgenerators",
    "batchgenerators.utilities",
    "batchgenerators.utilities.file_and_folder_operations",
]


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
    [
        "",
        ".errors",
        ".core.prompts",
        ".core.volume",
        ".core.rasterize",
        ".core.plan",
        ".files",
        ".simulation.images.scenes",
        ".simulation.images.samples",
        ".simulation.users.mixture",
    ],
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


def test_a_first_click_loads_only_what_it_needs(tmp_path: Path) -> None:
    code = """
import numpy as np
import napari_nninteractive as nni

session = nni.InferenceSession(nni.load_model("builtin", "cpu"))
session.set_image(np.random.default_rng(0).random((20, 20, 20)))
assert session.add(nni.Point((10, 10, 10))).forwards > 0
"""
    loaded = loaded_after(code, (*HEAVY, *UNWANTED, "batchgenerators"), tmp_path)
    assert loaded == FILES_AND_FOLDERS


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


def test_the_name_is_that_of_the_project() -> None:
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("no sources")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == NAME


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this state, unpacked away from this folder."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def built(wheel: Path) -> importlib.metadata.Distribution:
    (distribution,) = importlib.metadata.distributions(name=NAME, path=[str(wheel)])
    return distribution


def test_the_built_in_model_is_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    model = wheel / "napari_nninteractive" / "models" / "builtin"
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
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    folder, parameters = run.stdout.split()
    assert Path(folder) == model
    assert int(parameters) > 100_000


def test_the_hub_reads_the_range_of_pythons(built: importlib.metadata.Distribution) -> None:
    """It takes one lower bound, and makes nonsense of an upper one: 3.14 - 0.1 is "3.04"."""
    assert re.fullmatch(r">=3\.\d+", built.metadata["Requires-Python"])


def test_people_find_it_by_what_they_type(built: importlib.metadata.Distribution) -> None:
    """The hub searches names, summary and categories, and not the description."""
    summary = built.metadata["Summary"]
    assert len(summary) <= 200
    words = set(re.findall(r"\w+", summary.lower()))
    wanted = "3d annotation cell click cpu interactive medical microscopy nucleus segmentation"
    assert set(wanted.split()) <= words


def test_links_of_the_project(built: importlib.metadata.Distribution) -> None:
    pairs = [entry.split(", ", 1) for entry in built.metadata.get_all("Project-URL") or ()]
    urls = dict(pairs)
    assert set(urls) == {"Homepage", "Repository", "Documentation", "Issues", "Changelog"}
    assert all(url.startswith(urls["Repository"]) for url in urls.values())
    assert urls["Repository"].startswith("https://")


def test_links_and_pictures_of_the_description_are_absolute(
    built: importlib.metadata.Distribution,
) -> None:
    text = (built.read_text("METADATA") or "").split("\n\n", 1)[1]
    assert text.startswith("# napari-nninteractive")
    assert built.metadata["Description-Content-Type"] == "text/markdown"
    repository = built.metadata.get_all("Project-URL")[0].split(", ")[1]
    found = re.findall(r"(!?)\[[^\]]*\]\(([^)#\s]+)", text)
    assert all(target.startswith("https://") for _, target in found)
    places = {
        "!": f"{repository}/raw/v{built.version}/",
        "": f"{repository}/blob/v{built.version}/",
    }
    ours = [t.removeprefix(places[kind]) for kind, t in found if t.startswith(repository)]
    assert sorted(ours) == sorted(links("README.md"))
    assert [path for path in ours if not (ROOT / path).is_file()] == []
    assert not re.search(r"<img|<a ", text)


def test_systems_and_pythons_are_those_that_were_tried(
    built: importlib.metadata.Distribution,
) -> None:
    classifiers = built.metadata.get_all("Classifier") or []
    systems = [c for c in classifiers if c.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]
    assert "Framework :: napari" in classifiers


def test_the_manifest_says_what_the_plugin_is_and_does(wheel: Path) -> None:
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(wheel / "napari_nninteractive" / "napari.yaml")
    assert [category.value for category in manifest.categories] == ["Annotation", "Segmentation"]
    offered = manifest.contributions
    assert offered.widgets
    assert offered.sample_data
    (reader,) = offered.readers or ()
    assert {"*.nii.gz", "*.nrrd", "*.mha"} <= set(reader.filename_patterns)
    endings = {e for writer in offered.writers or () for e in writer.filename_extensions}
    assert {".nii.gz", ".nrrd", ".mha", ".tif", ".zarr"} <= endings
