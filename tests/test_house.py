"""The figures that CONTRIBUTING names: how large a room, a module and a function may be, and how complex."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import arm_batch

ROOT = Path(arm_batch.__file__).parent
LARGEST_ROOM, MODULE_LINES, FUNCTION_LINES, COMPLEXITY = 0.18, 250, 40, 11

OPTION_LISTS = {
    "api/jobs.py:upscale",
    "api/plans.py:plan",
    "cli/evaluate.py:evaluate_command",
    "cli/ladder.py:build_command",
    "cli/models.py:train_command",
    "cli/plan.py:plan_command",
    "cli/upscale.py:upscale",
}
"""Functions that are long because what a person can ask for is long."""

BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case, ast.Lambda)


def lines() -> dict[str, int]:
    return {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.name}", node


def length(function: ast.FunctionDef) -> int:
    """Lines without those of the docstring."""
    assert function.end_lineno is not None
    docstring = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - (0 if docstring is None else docstring.count("\n") + 1)


def complexity(function: ast.AST) -> int:
    """McCabe's, in which every condition of an `and` and every `for` and `if` of a comprehension counts, too."""
    found = 1
    for node in ast.walk(function):
        if isinstance(node, BRANCHES):
            found += 1
        elif isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            found += 1 + len(node.ifs)
        if isinstance(node, (ast.For, ast.While, ast.Try)):
            found += bool(node.orelse)
    return found


def test_no_room_and_no_module_is_too_large() -> None:
    counted = lines()
    rooms = Counter[str]()
    for name, count in counted.items():
        rooms[name.partition("/")[0]] += count
    room, most = rooms.most_common(1)[0]
    assert most < LARGEST_ROOM * sum(counted.values()), f"{room}/ holds {most} of {sum(counted.values())} lines"
    assert {name: count for name, count in counted.items() if count > MODULE_LINES} == {}


def test_no_function_is_too_long_but_lists_of_options() -> None:
    long = {name for name, function in functions() if length(function) > FUNCTION_LINES}
    assert long == OPTION_LISTS


def test_no_function_is_too_complex() -> None:
    assert {name: c for name, function in functions() if (c := complexity(function)) > COMPLEXITY} == {}
