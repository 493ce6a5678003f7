"""Packages import leftward only.

base → data → models → training → inference → evaluation → export → serving → api → commands.
"""

import ast
from configparser import ConfigParser
from pathlib import Path

import pytest

import mitozoo

ORDER = ("base", "data", "models", "training", "inference", "evaluation", "export", "serving", "api", "commands")
ROOT = Path(__file__).parents[1]


def layer(module):
    """Position of a module of ours in `ORDER`; None for the top package and for what is not ours."""
    parts = module.split(".")
    if parts[0] != "mitozoo" or len(parts) == 1:
        return None
    # The top package's public functions live in mitozoo.api.
    part = "api" if parts[1] in set(mitozoo.__all__) - set(ORDER) else parts[1]
    return ORDER.index(part) if part in ORDER else None


def imported(tree):
    """Every module that the code imports, at its top or inside a function, with the line; also by a constant name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            # `from mitozoo import api` and `from mitozoo.models import zoo` name modules too.
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "import_module" and node.args:
            name = node.args[0]
            name = name.values[0] if isinstance(name, ast.JoinedStr) and name.values else name
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value.rstrip("."), node.lineno


def violations(source, module):
    own = layer(module)
    found = []
    for name, line in imported(ast.parse(source)):
        other = layer(name)
        if own is not None and other is not None and other > own:
            found.append(f"{module}, line {line}: {ORDER[own]} imports {name}")
    return found


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_package_imports_leftward_only():
    paths = sorted((ROOT / "mitozoo").rglob("*.py"))
    assert len(paths) > 50
    assert [fault for path in paths for fault in violations(path.read_text(encoding="utf-8"), module_name(path))] == []


def test_every_package_has_a_place_in_the_order():
    packages = {path.parent.name for path in (ROOT / "mitozoo").glob("*/__init__.py")}
    assert packages <= set(ORDER)


@pytest.mark.parametrize(
    ("source", "module", "count"),
    [
        ("import numpy\nfrom mitozoo.base import errors", "mitozoo.data.x", 0),
        ("from mitozoo.data.dataset import Field", "mitozoo.base.points", 1),
        ("def f():\n    if True:\n        import mitozoo.commands.train", "mitozoo.export.x", 1),
        ("from mitozoo import export, base", "mitozoo.models.zoo", 1),
        ("from mitozoo import api", "mitozoo.commands.predict", 0),
        ("from mitozoo import api", "mitozoo.export.x", 1),
        ("from mitozoo import predict", "mitozoo.export.x", 1),
        ("import importlib\nimportlib.import_module(f'mitozoo.training.recipes.{name}')", "mitozoo.models.x", 1),
        ("import importlib\nimportlib.import_module('mitozoo.base.errors')", "mitozoo.models.x", 0),
        ("from mitozoo.models.registry import build", "mitozoo.training.loop", 0),
    ],
)
def test_the_check_itself(source, module, count):
    assert len(violations(source, module)) == count


def test_the_check_refuses_relative_imports():
    with pytest.raises(AssertionError, match="line 1: relative import"):
        violations("from . import x", "mitozoo.data.x")


def test_setup_cfg_lists_every_package():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(config["options"]["packages"].split())
    here = {module_name(path) for path in (ROOT / "mitozoo").rglob("__init__.py")}
    assert listed == here | {"mitozoo.zoo"}
