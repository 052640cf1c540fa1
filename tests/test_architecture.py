"""The architecture page names every module, and nothing that is not there."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SOURCE = ROOT / "src" / "napari_nninteractive"
MODULES = sorted(
    str(path.relative_to(SOURCE))
    for path in SOURCE.rglob("*.py")
    if path.name != "__init__.py" and path.parent != SOURCE
)


def named() -> set[str]:
    """Modules that rows of the table name; a row's later names may leave out the folder of its first."""
    found: set[str] = set()
    for row in re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([\w*./]+)`", row):
            folder = name.rpartition("/")[0] or folder
            where = name if "/" in name else f"{folder}/{name}".lstrip("/")
            if where.endswith("/"):
                found |= {m for m in MODULES if m.startswith(where)}
            elif "*" in where:
                found |= {str(p.relative_to(SOURCE)) for p in SOURCE.glob(where)}
            else:
                found.add(where)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_in_the_table(module: str) -> None:
    assert module in named() or module.startswith("cli/"), module


def test_the_table_names_only_what_is_there() -> None:
    assert [name for name in sorted(named()) if not (SOURCE / name).exists()] == []
