"""Figures of the source code's structure, and whether they keep to what the project asks of itself.

    python scripts/structure.py

Prints one line for each figure, and under it what breaks the rule; ends with 1 if anything does.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import math
import statistics
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import grimp

SOURCE = Path(__file__).resolve().parent.parent / "src" / "napari_nninteractive"

MEDIAN_MODULE = 150  # lines
LARGEST_MODULE = 400  # lines
USUAL_FUNCTION = 28  # lines; nine of ten functions are shorter
ANY_IN_PLUGIN = 0.08  # of the arguments
GROUP = 10  # modules in one folder
GROUPED = ("plugin", "workspace")  # the other folders are as large as their subject

# The modules that may be larger, and why.
LARGE = {
    "core/prompts.py": "what a user draws, one small frozen class each; half of it is docstrings",
    "workspace/client.py": "one class: each thing that a user does is a short method, and so is what comes of it",
    "engine/session.py": "one public class, every method short; half of it is docstrings",
}

# Private by their spelling, public by their documentation.
PUBLIC_ANYWAY = {"_asdict", "_exit", "_fields", "_make", "_replace"}


class Module(NamedTuple):
    """A source file: its path from the top of the package, with forward slashes, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """Lines of the file."""
        return len(self.text.splitlines())


class Figure(NamedTuple):
    """A figure, the rule that it follows, and what breaks the rule; nothing does where it is kept."""

    name: str
    value: str
    rule: str
    broken: tuple[str, ...]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def read(package: Path) -> list[Module]:
    """All modules of a package."""
    modules = []
    for file in sorted(package.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        modules.append(Module(file.relative_to(package).as_posix(), text, ast.parse(text)))
    return modules


def figures(package: Path) -> list[Figure]:
    """Every figure of a package; its parent folder is put on the path of modules to find its imports."""
    modules = read(package)
    return [
        median_module(modules),
        largest_module(modules),
        usual_function(modules),
        annotated(modules),
        any_in_plugin(modules),
        groups(modules),
        private_attributes(modules),
        circles(package),
    ]


def median_module(modules: list[Module]) -> Figure:
    """Lines of the module in the middle; those of three lines or fewer hold nothing and do not count."""
    lines = [m.lines for m in modules if m.lines > 3]
    median = statistics.median(lines) if lines else 0
    broken = () if median < MEDIAN_MODULE else (f"the median is {median:g}",)
    return Figure("median module", f"{median:g} lines", f"below {MEDIAN_MODULE}", broken)


def largest_module(modules: list[Module], large: dict[str, str] = LARGE) -> Figure:
    """Lines of the largest module that has no reason to be so large; a reason that is not needed is one too many."""
    lines = {m.path: m.lines for m in modules}
    others = [n for path, n in lines.items() if path not in large]
    over = [f"{p}: {n} lines" for p, n in lines.items() if n > LARGEST_MODULE and p not in large]
    idle = [f"{p}: no longer so large" for p in large if 0 < lines.get(p, 0) <= LARGEST_MODULE]
    rule = f"at most {LARGEST_MODULE}, but for {len(large)} with a reason"
    return Figure("largest module", f"{max(others, default=0)} lines", rule, (*over, *idle))


def usual_function(modules: list[Module]) -> Figure:
    """Lines that nine of ten functions do not exceed, docstrings included, decorators not."""
    functions = sorted(
        (_length(f), f"{m.path}:{f.lineno} {f.name}") for m in modules for f in _functions(m.tree)
    )
    ninth = functions[math.ceil(0.9 * len(functions)) - 1][0] if functions else 0
    long = [f"{where}: {n} lines" for n, where in reversed(functions) if n >= USUAL_FUNCTION]
    broken: tuple[str, ...] = ()
    if len(long) > 0.1 * len(functions):
        broken = (f"{len(long)} of {len(functions)} are not; the longest:", *long[:10])
    return Figure("nine of ten functions", f"{ninth} lines", f"below {USUAL_FUNCTION}", broken)


def annotated(modules: list[Module]) -> Figure:
    """Share of arguments and returned values with a type; `self` and `cls` need none."""
    missing, count = [], 0
    for module in modules:
        for function in _functions(module.tree):
            slots = [(a.arg, a.annotation) for a in _arguments(function)]
            slots.append(("return", function.returns))
            count += len(slots)
            missing += [
                f"{module.path}:{function.lineno} {function.name}: {name}"
                for name, annotation in slots
                if annotation is None
            ]
    share = 1 - len(missing) / count if count else 1
    return Figure("annotated", f"{100 * share:.1f} %", "100 %", tuple(missing))


def any_in_plugin(modules: list[Module], folder: str = "plugin") -> Figure:
    """Share of arguments of the plugin whose type is `Any`."""
    arguments = [
        (m.path, f.name, a)
        for m in modules
        if m.path.startswith(f"{folder}/")
        for f in _functions(m.tree)
        for a in _arguments(f)
    ]
    found = [
        f"{path}:{a.lineno} {name}: {a.arg}"
        for path, name, a in arguments
        if a.annotation is not None and ast.unparse(a.annotation) in ("Any", "typing.Any")
    ]
    share = len(found) / len(arguments) if arguments else 0.0
    broken = tuple(found) if share >= ANY_IN_PLUGIN else ()
    rule = f"below {100 * ANY_IN_PLUGIN:g} %"
    return Figure(f"arguments that are Any in {folder}", f"{100 * share:.1f} %", rule, broken)


def groups(modules: list[Module]) -> Figure:
    """Modules in the fullest folder of those that are grouped; what only opens a folder does not count."""
    folders: dict[str, int] = {}
    for module in modules:
        folder, _, name = module.path.rpartition("/")
        if folder.split("/")[0] in GROUPED and name != "__init__.py":
            folders[folder] = folders.get(folder, 0) + 1
    broken = tuple(f"{folder}: {n} modules" for folder, n in folders.items() if n > GROUP)
    rule = f"at most {GROUP} in each folder of {' and '.join(GROUPED)}"
    return Figure("largest group", f"{max(folders.values(), default=0)} modules", rule, broken)


def private_attributes(modules: list[Module]) -> Figure:
    """Private names of napari, Qt and others, where napari is imported or the module belongs to the plugin.

    A private name that this package defines nowhere must be another's.
    """
    own = {name for m in modules for name in _defined(m.tree)} | PUBLIC_ANYWAY
    found = [
        f"{m.path}:{line} {name}"
        for m in modules
        if m.path.startswith("plugin/") or any(p[0] == "napari" for p, _ in _imports(m.tree))
        for line, name in (*_private_uses(m.tree, own), *_private_imports(m.tree))
    ]
    return Figure("private names of napari", str(len(found)), "none", tuple(found))


def circles(package: Path) -> Figure:
    """Modules that import each other in a circle, be it for types only or inside a function.

    The package itself is left out: it hands names on when they are first used.
    """
    name = package.name
    sys.path.insert(0, str(package.parent))
    importlib.invalidate_caches()
    try:
        graph = grimp.build_graph(name, cache_dir=None)
    finally:
        sys.path.remove(str(package.parent))
    imports = {
        module: graph.find_modules_directly_imported_by(module) - {name}
        for module in graph.modules - {name}
    }
    broken = tuple(" → ".join(circle) for circle in _circles(imports))
    return Figure("circles of imports", str(len(broken)), "none", broken)


def _circles(imports: dict[str, set[str]]) -> Iterator[list[str]]:
    """A circle, then one of what is left without its first arrow, and so on."""
    left = {module: set(others) for module, others in imports.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            # Each module in it is imported by the one after it.
            circle = [str(module) for module in reversed(error.args[1])]
            left[circle[0]].discard(circle[1])
            yield circle
        else:
            return


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _arguments(function: Function) -> list[ast.arg]:
    a = function.args
    named = [*a.posonlyargs, *a.args]
    if named and named[0].arg in ("self", "cls"):
        named = named[1:]
    starred = [s for s in (a.vararg, a.kwarg) if s is not None]
    return [*named, *a.kwonlyargs, *starred]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _defined(tree: ast.AST) -> Iterator[str]:
    """Private names that a module defines: functions, classes, variables, attributes, slots, fields."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name


def _private_uses(tree: ast.AST, own: set[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                pass
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ):
                pass
            case _:
                continue
        if _is_private(name) and name not in own:
            yield node.lineno, name


def _private_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for parts, line in _imports(tree):
        if parts[0] in ("napari", "qtpy", "vispy") and any(_is_private(part) for part in parts):
            yield line, ".".join(parts)


def _imports(tree: ast.AST) -> Iterator[tuple[list[str], int]]:
    """What a module imports, name by name, and on which line; what is imported relatively is its own."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield alias.name.split("."), node.lineno
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    yield [*module.split("."), alias.name], node.lineno


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, measure and print; 1 if a rule is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", nargs="?", type=Path, default=SOURCE, help="its folder")
    found = figures(parser.parse_args(arguments).package.resolve())
    for figure in found:
        mark = "ok  " if not figure.broken else "FAIL"
        print(f"{mark} {figure.name}: {figure.value} (rule: {figure.rule})")
        for what in figure.broken:
            print(f"       {what}")
    return int(any(figure.broken for figure in found))


if __name__ == "__main__":
    sys.exit(main())
