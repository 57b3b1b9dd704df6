"""The house rules: imports go down, heavy libraries stay on their floors, files and signatures stay short."""

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import fusioncli

ROOT = Path(fusioncli.__file__).parent
FLOORS = {
    "cli": 5,
    "workflows": 4,
    "models": 3,
    "metrics": 3,
    "report": 3,
    "io": 2,
    "ops": 2,
    "core": 1,
    "config": 1,
    "errors": 0,
    "types": 0,
    "__init__": 0,
}
BARRED = {
    "core": {"torch", "rasterio", "skimage", "h5py", "typer", "rich"},
    "config": {"torch", "rasterio", "skimage", "h5py", "typer", "rich"},
    "io": {"torch", "skimage", "typer", "rich"},
    "ops": {"rasterio", "typer", "rich"},
    "models": {"rasterio", "typer", "rich"},
    "metrics": {"rasterio", "typer", "rich"},
    "report": {"rasterio", "torch", "typer", "rich"},
    "workflows": {"typer", "rich"},
    "__init__": {"torch", "rasterio", "numpy"},
    "errors": {"torch", "rasterio", "numpy"},
}
CORE_LIBRARIES = {"numpy", "scipy", "affine"}
LONGEST_MODULE = 350
MOST_PARAMETERS = 6


@dataclass(frozen=True)
class Import:
    """One import statement's module, and where it stands."""

    name: str
    line: int

    @property
    def root(self):
        return self.name.split(".")[0]

    @property
    def package(self):
        """The part of ours that is imported: "io", "errors", … ("__init__" for the top)."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 and parts[1] in FLOORS else "__init__"


def modules():
    return sorted(ROOT.rglob("*.py"))


def package_of(path):
    """The floor's name of a file."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """All imports of a module, those inside functions and for type checkers included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            if node.module == "fusioncli":
                yield from (Import(f"fusioncli.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield Import(node.module or "", node.lineno)


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(), ids=named)
def test_imports_go_down(path):
    """Within a package anything goes; siblings of one floor do not know each other."""
    home = package_of(path)
    assert home in FLOORS, f"{home} has no floor"
    for imported in imports(path):
        if imported.root == "fusioncli" and imported.package != home:
            where = f"{named(path)}:{imported.line} imports {imported.name}"
            assert FLOORS[imported.package] < FLOORS[home], f"{where}: not below floor {FLOORS[home]}"


@pytest.mark.parametrize("path", modules(), ids=named)
def test_libraries_stay_on_their_floors(path):
    home = package_of(path)
    for imported in imports(path):
        assert imported.root not in BARRED.get(home, set()), f"{named(path)}:{imported.line} imports {imported.name}"
        if home == "core":
            known = CORE_LIBRARIES | sys.stdlib_module_names | {"fusioncli"}
            assert imported.root in known, f"{named(path)}:{imported.line} imports {imported.name}"


@pytest.mark.parametrize("path", modules(), ids=named)
def test_modules_and_signatures_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            counted = [argument.arg for argument in every if argument.arg not in ("self", "cls")]
            assert len(counted) <= MOST_PARAMETERS, f"{named(path)}:{node.lineno} {node.name} takes {len(counted)}"


def test_every_floor_is_seen():
    """The rules above look at something."""
    assert {"cli", "workflows", "models", "metrics", "io", "ops", "core"} <= {package_of(path) for path in modules()}
    assert any(imported.name == "fusioncli.core.tiling" for imported in imports(ROOT / "workflows" / "engine.py"))


@pytest.mark.parametrize("verb", [[], ["pansharpen"], ["align"]], ids=lambda verb: " ".join(verb) or "fusion")
def test_help_loads_neither_torch_nor_rasterio(verb):
    loaded = modules_after(f"from fusioncli.cli.main import main; assert main({[*verb, '--help']!r}) == 0")
    assert "fusioncli.cli.main" in loaded
    assert not loaded & {"torch", "rasterio", "scipy", "skimage", "matplotlib"}


@pytest.mark.parametrize("package", ["io", "core"])
def test_floors_without_torch(package):
    loaded = modules_after(f"import {', '.join(names_in(package))}")
    assert names_in(package) <= loaded
    assert "torch" not in loaded
    assert ("rasterio" in loaded) == (package == "io")


def test_floors_without_rasterio():
    names = names_in("models") | names_in("metrics") | names_in("ops")
    loaded = modules_after(f"import {', '.join(names)}")
    assert names <= loaded
    assert "torch" in loaded and "rasterio" not in loaded


def names_in(package):
    """Dotted names of a package's modules."""
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / package).rglob("*.py")]
    return {".".join(["fusioncli", *path.parts]) for path in paths if path.name != "__init__"}


def modules_after(program):
    """What a fresh interpreter has loaded once the program is done."""
    tail = "\nimport json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program + tail], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))
