"""What the sources import is declared, and what is declared is there, with a lower bound that it meets."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from napari_nninteractive.io import read_image

ROOT = Path(__file__).resolve().parent.parent
OWN = "napari_nninteractive"
# Module: distribution, where the names differ, whether or not it is installed.
DISTRIBUTIONS = {"skimage": "scikit-image", "torch.utils.tensorboard": "tensorboard"}
# Declared for what others do with them on our behalf.
NOT_IMPORTED = {
    "imagecodecs",  # tifffile's LZW
    "magicgui",
    "pydantic",
}
EXTRAS = {"openvino": "fast", "tensorboard": "training", "zarr": "zarr"}

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="the sources are not here"
)


def project() -> dict[str, list[str]]:
    """Requirements by extra; the project's own are under ""."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": table["dependencies"], **table["optional-dependencies"]}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(r).name) for r in requirements}


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Modules that a file imports, and whether it does at once."""
    at_once = {id(node) for node in ast.iter_child_nodes(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, id(node) in at_once
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "import_module"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value, False


def imported() -> dict[str, list[tuple[Path, bool]]]:
    """Files that import each distribution, and whether they do at once."""
    found: dict[str, list[tuple[Path, bool]]] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for module, at_once in imports(ast.parse(path.read_text(encoding="utf-8"))):
            top = module.split(".")[0]
            # _typeshed is what type checkers bring, and is there for them alone.
            if top in (OWN, "_typeshed") or top in sys.stdlib_module_names:
                continue
            name = canonicalize_name(DISTRIBUTIONS.get(module) or DISTRIBUTIONS.get(top, top))
            found.setdefault(name, []).append((path.relative_to(ROOT), at_once))
    return found


def test_every_import_is_declared() -> None:
    declared = names(project()[""])
    missing = {n: files for n, files in imported().items() if n not in declared | EXTRAS.keys()}
    assert missing == {}


def test_what_only_an_extra_brings_is_declared_there_and_imported_late() -> None:
    declared = project()
    found = imported()
    for name, extra in EXTRAS.items():
        assert name in names(declared[extra])
        assert [path for path, at_once in found[name] if at_once] == []


def test_every_declaration_is_used() -> None:
    assert names(project()[""]) - imported().keys() <= NOT_IMPORTED


@pytest.mark.parametrize("text", sorted(r for part in project().values() for r in part))
def test_every_declaration_has_a_lower_bound_that_is_met(text: str) -> None:
    requirement = Requirement(text)
    if canonicalize_name(requirement.name) == canonicalize_name(OWN):
        assert requirement.extras <= project().keys()
        return
    assert any(s.operator == ">=" for s in requirement.specifier), text
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed")
    assert requirement.specifier.contains(version, prereleases=True), version


def test_torch_is_new_enough_to_read_weights_safely() -> None:
    (torch,) = (Requirement(r) for r in project()[""] if Requirement(r).name == "torch")
    assert not torch.specifier.contains("2.5.1")
    assert not torch.specifier.contains("2.9.0")
    assert torch.specifier.contains("2.6.0")
    assert torch.specifier.contains("2.10.0")


def test_pydantic_is_at_least_what_napari_asks_for() -> None:
    (ours,) = (Requirement(r) for r in project()[""] if Requirement(r).name == "pydantic")
    asked = [Requirement(r) for r in importlib.metadata.requires("napari") or []]
    (napari,) = (r for r in asked if r.name == "pydantic")
    (lowest,) = (s.version for s in ours.specifier if s.operator == ">=")
    assert napari.specifier.contains(lowest)


def test_a_tiff_compressed_with_lzw_is_read(tmp_path: Path) -> None:
    """Microscopes write it, and tifffile alone cannot read it."""
    import tifffile

    image = np.arange(210, dtype=np.uint8).reshape(5, 6, 7)
    tifffile.imwrite(tmp_path / "image.tif", image, compression="lzw", photometric="minisblack")
    assert np.array_equal(read_image(tmp_path / "image.tif").data, image)
