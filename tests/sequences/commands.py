"""`arm-batch` in this process: what it is told, and how it ends."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer

from arm_batch.cli import exit_codes
from arm_batch.cli.inspect import status_command, verify_command
from arm_batch.cli.upscale import upscale
from arm_batch.errors import ArmBatchError, StoppedError, UsageError
from tests.sequences.mortal import Driver, Killed, driven
from tests.sequences.toy import SCALE, SHIPPED

KILLED = -9
TRACEBACK = 70


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code, or `KILLED`, or `TRACEBACK`.
        out: what it told.
        error: what it complained of, without images that failed.
    """

    code: int
    out: str
    error: str


@dataclass(frozen=True)
class Settings:
    """What all commands on an output have in common."""

    input: str
    output: str
    sink: Any
    dedup: bool
    endpoint_url: str | None


def run_upscale(settings: Settings, budget: str, driver: Driver, **flags: Any) -> Ended:
    """``arm-batch upscale``, by a driver that may die."""

    def command() -> None:
        upscale(
            input=settings.input,
            output=settings.output,
            budget=budget,
            scale=SCALE,
            ladder=SHIPPED,
            sink=settings.sink,
            executor="inline",
            workers=1,
            dedup=settings.dedup,
            endpoint_url=settings.endpoint_url,
            **flags,
        )

    with driven(driver):
        return _ended(command)


def run_verify(settings: Settings) -> Ended:
    """``arm-batch verify``."""
    return _ended(lambda: verify_command(settings.output, settings.endpoint_url))


def run_status(settings: Settings) -> Ended:
    """``arm-batch status``."""
    return _ended(lambda: status_command(settings.output, settings.endpoint_url))


def _ended(command: Callable[[], None]) -> Ended:
    out, error = io.StringIO(), io.StringIO()
    code, told = 0, ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        # As `arm_batch.cli.main` does.
        try:
            command()
        except typer.Exit as end:
            code = end.exit_code
        except Killed:
            code = KILLED
        except UsageError as failure:
            code, told = exit_codes.USAGE, str(failure)
        except StoppedError as failure:
            code, told = exit_codes.UNDONE, str(failure)
        except ArmBatchError as failure:
            code, told = exit_codes.CRASH, str(failure)
        except Exception:
            code, told = TRACEBACK, traceback.format_exc()
    return Ended(code, out.getvalue(), told or error.getvalue())
