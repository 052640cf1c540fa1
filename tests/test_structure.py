"""The script that measures the source code's structure, on packages made up for it."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("grimp", reason="comes with import-linter, of the extra dev")

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "structure.py"

if not SCRIPT.is_file():
    pytest.skip("the script is not here", allow_module_level=True)


@pytest.fixture(scope="module")
def structure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("structure_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "made_up"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Made up."""\n')
    return folder


def write(package: Path, path: str, text: str) -> None:
    file = package / path
    for folder in [f for f in file.parents if package in f.parents]:
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "__init__.py").touch()
    file.write_text(text)


def function(lines: int, name: str = "f") -> str:
    return f"def {name}() -> None:\n" + "    pass\n" * (lines - 1)


def test_lines_of_modules(structure: ModuleType, package: Path) -> None:
    for name, lines in {"a": 10, "b": 148, "c": 401, "d": 149, "e": 3}.items():
        write(package, f"{name}.py", "x = 1\n" * lines)
    modules = structure.read(package)
    assert structure.median_module(modules)[1:] == ("148.5 lines", "below 150", ())
    assert structure.largest_module(modules, {}).broken == ("c.py: 401 lines",)
    assert structure.largest_module(modules, {"c.py": "why"}).broken == ()
    assert structure.largest_module(modules, {"c.py": "why"}).value == "149 lines"
    idle = structure.largest_module(modules, {"c.py": "why", "b.py": "why", "gone.py": "why"})
    assert idle.broken == ("b.py: no longer so large",)
    write(package, "f.py", "x = 1\n" * 151)
    write(package, "g.py", "x = 1\n" * 150)
    write(package, "h.py", "x = 1\n" * 150)
    assert structure.median_module(structure.read(package)).broken == ("the median is 150",)


def test_lines_of_functions(structure: ModuleType, package: Path) -> None:
    write(package, "a.py", "\n".join(function(n, f"f{n}") for n in (*range(2, 11), 28)))
    found = structure.usual_function(structure.read(package))
    assert (found.value, found.broken) == ("10 lines", ())
    write(package, "b.py", function(40))
    found = structure.usual_function(structure.read(package))
    assert found.value == "28 lines"
    assert found.broken == (
        "2 of 11 are not; the longest:",
        "b.py:1 f: 40 lines",
        "a.py:64 f28: 28 lines",
    )


def test_annotations(structure: ModuleType, package: Path) -> None:
    write(
        package,
        "a.py",
        """
class A:
    def fine(self, a: int, /, b: str, *c: int, d: bool, **e: float) -> None: ...
    @classmethod
    def also(cls) -> None: ...
    async def part(self, a, *b, c: int): ...
key = lambda x: x
""",
    )
    found = structure.annotated(structure.read(package))
    assert found.value == "72.7 %"
    assert found.broken == ("a.py:6 part: a", "a.py:6 part: b", "a.py:6 part: return")
    write(package, "a.py", "def f(a: int) -> int: ...\n")
    assert structure.annotated(structure.read(package)).broken == ()


def test_any_counts_in_the_plugin_only(structure: ModuleType, package: Path) -> None:
    write(package, "core.py", "def f(a: Any, b: Any) -> Any: ...\n")
    typed = ", ".join(f"a{i}: int" for i in range(12))
    write(package, "plugin/a.py", f"def f({typed}, b: list[Any]) -> Any: ...\n")
    write(package, "plugin/view/b.py", "def g(self, x: Any) -> None: ...\n")
    found = structure.any_in_plugin(structure.read(package))
    assert (found.value, found.broken) == ("7.1 %", ())
    write(package, "plugin/view/b.py", "def g(x: Any, y: typing.Any) -> None: ...\n")
    found = structure.any_in_plugin(structure.read(package))
    assert found.value == "13.3 %"
    assert found.broken == ("plugin/view/b.py:1 g: x", "plugin/view/b.py:1 g: y")


def test_groups(structure: ModuleType, package: Path) -> None:
    for number in range(11):
        write(package, f"engine/m{number}.py", "")
        write(package, f"plugin/view/m{number}.py", "")
    for number in range(10):
        write(package, f"workspace/m{number}.py", "")
    found = structure.groups(structure.read(package))
    assert found.value == "11 modules"
    assert found.broken == ("plugin/view: 11 modules",)
    (package / "plugin/view/m0.py").unlink()
    assert structure.groups(structure.read(package)).broken == ()


def test_private_names_of_others(structure: ModuleType, package: Path) -> None:
    write(
        package,
        "engine.py",
        "class A:\n    __slots__ = ()\n    def _ours(self): self._also = os._x\n",
    )
    write(
        package,
        "plugin/a.py",
        """
from napari._qt.widgets import Dialog
from napari.layers import Labels
import napari.utils._proxies as p
from made_up.engine import _ours
from . import _own
def f(layer, other: A):
    layer._slice_dims()
    other._ours(), other._also, layer.__class__, layer._replace(a=1)
    getattr(layer, "_set_view_slice", None)
    getattr(layer, name)
    _local = layer.data
    _local._local
""",
    )
    write(package, "cli.py", "from napari import Viewer\nViewer()._window\n")
    found = structure.private_attributes(structure.read(package))
    assert sorted(found.broken) == [
        "cli.py:2 _window",
        "plugin/a.py:10 _set_view_slice",
        "plugin/a.py:2 napari._qt.widgets.Dialog",
        "plugin/a.py:4 napari.utils._proxies",
        "plugin/a.py:8 _slice_dims",
    ]
    assert found.value == "5"


def test_circles(structure: ModuleType, package: Path) -> None:
    write(package, "__init__.py", "from made_up.a import x\n")
    write(package, "a.py", "import made_up\nfrom made_up.b import y\n")
    write(package, "b.py", "from made_up.c import z\n")
    write(package, "c.py", "import json\n")
    assert structure.circles(package).broken == ()
    late = "def f() -> None:\n    from made_up.a import x\n"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import made_up.b\n"
    write(package, "c.py", late + typed)
    found = structure.circles(package)
    assert len(found.broken) == int(found.value) >= 1
    for circle in found.broken:
        stations = [station.removeprefix("made_up.") for station in circle.split(" → ")]
        assert stations[0] == stations[-1]
        assert set(pairwise(stations)) <= {("a", "b"), ("b", "c"), ("c", "a"), ("c", "b")}
    write(package, "c.py", "import made_up.d\n")
    write(package, "d.py", typed)
    (circle,) = structure.circles(package).broken
    assert set(circle.split(" → ")) == {"made_up.b", "made_up.c", "made_up.d"}
    assert len(circle.split(" → ")) == 4


def test_what_is_printed(structure: ModuleType, package: Path, capsys: Any) -> None:
    write(package, "a.py", function(5))
    assert structure.main([str(package)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert all(line.startswith("ok   ") for line in lines)
    write(package, "a.py", "def f(a): ...\n")
    assert structure.main([str(package)]) == 1
    said = capsys.readouterr().out
    assert "FAIL annotated: 0.0 % (rule: 100 %)\n       a.py:1 f: a\n" in said
