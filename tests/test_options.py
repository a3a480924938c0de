"""The options of Python and of the command line are the fields of the specs: same names, types and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from arm_batch import pipeline
from arm_batch.api.jobs import upscale
from arm_batch.api.options import Patterns, Where
from arm_batch.api.plans import plan
from arm_batch.cli.plan import plan_command
from arm_batch.cli.upscale import upscale as upscale_command
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.image_options import Reading, Writing
from arm_batch.core.selection.selection import Selection
from arm_batch.spec import DryRunSpec, JobSpec, PlanSpec, Resume

SPECS = (PlanSpec, Reading, Writing, Selection, Resume)
"""Specs inside others, whose fields are options of their own."""

NO_OPTION = {"limits", "large_images"}
"""Fields that only tests set."""

CALLED = {
    "column": "image_column",
    "adopt": "plan",
}
"""Fields whose options have another name."""

OF_TERMINALS = ("plot", "json", "log", "quiet", "to", "allow_failures", "dry_run", "config")
"""Options that Python has no use for: it has the result, and what it is told on the way."""

TEXT = str | None
READ_FROM: dict[str, Any] = {
    "input": Where,
    "output": Where,
    "plan": Where | None,
    "plan_out": Where | None,
    "budget": TEXT,
    "add_budget": TEXT,
    "sample": TEXT,
    "min_size": TEXT,
    "skip_larger_than": TEXT,
    "float_range": TEXT,
    "frames": str,
    "include": Patterns,
    "exclude": Patterns,
}
"""What the options are written as whose fields hold what was read."""


def option_types(spec: type[Any], called: dict[str, str]) -> dict[str, Any]:
    """Types of the options that a spec and the specs inside it ask for."""
    found: dict[str, Any] = {}
    hints = get_type_hints(spec)
    for field in fields(spec):
        name, kind = called.get(field.name, field.name), hints[field.name]
        if kind in SPECS:
            found |= option_types(kind, CALLED)
        elif field.name not in NO_OPTION:
            found[name] = READ_FROM.get(name, kind)
    return found


def types_of(function: Callable[..., Any], *besides: str) -> dict[str, Any]:
    hints = get_type_hints(function)
    return {name: kind for name, kind in hints.items() if name not in {"return", *besides}}


def defaults_of(function: Callable[..., Any], *besides: str) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters
    return {name: p.default for name, p in parameters.items() if name not in besides}


def as_typed(kind: Any) -> Any:
    """What the command line takes for a type of Python's options: only text, and patterns one by one."""
    known = {Where: str, Where | None: TEXT, Patterns: list[str] | None}
    return known.get(kind, kind)


def test_types_of_upscale_are_those_of_its_spec() -> None:
    asked = option_types(JobSpec, CALLED) | {"target_psnr": float | None}
    assert types_of(upscale, "progress", "stop") == asked


def test_types_of_plan_are_those_of_its_spec() -> None:
    wanted = option_types(DryRunSpec, {"output": "plan_out"})
    # A plan goes by the format alone.
    assert types_of(plan, "progress", "stop") | {"quality": int, "strip_metadata": bool} == wanted


@pytest.mark.parametrize(("function", "command"), [(upscale, upscale_command), (plan, plan_command)])
def test_the_command_line_takes_what_python_takes(
    function: Callable[..., Any], command: Callable[..., Any]
) -> None:
    ours, theirs = types_of(function, "progress", "stop"), types_of(command, *OF_TERMINALS)
    if "output" in theirs:
        # Or with -o.
        assert theirs.pop("output") == TEXT
        ours.pop("output")
    assert {name: as_typed(kind) for name, kind in ours.items()} == renamed(theirs)
    given, typed = defaults_of(function, "progress", "stop"), renamed(defaults_of(command, *OF_TERMINALS))
    typed.pop("output", None)
    given.pop("output", None)
    assert {name: None if value == () else value for name, value in given.items()} == typed


def renamed(options: dict[str, Any]) -> dict[str, Any]:
    """``--no-profiling`` switches off what Python's `profiling` says."""
    found = dict(options)
    if "no_profiling" in found:
        value = found.pop("no_profiling")
        found["profiling"] = value if value is bool else not value
    return found


def test_defaults_are_those_of_the_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(pipeline, "upscale", lambda spec, *_: asked.append(spec))
    monkeypatch.setattr(pipeline, "plan", lambda spec, *_: asked.append(spec))
    upscale("in", tmp_path)
    plan("in")
    of_plan = PlanSpec(input="in")
    run = JobSpec(plan=of_plan, output=str(tmp_path), budget=parse_budget("100%"))
    assert asked == [run, DryRunSpec(plan=of_plan)]
