"""Some hundred sequences, the same ones every time; ``make chaos`` takes an hour of others."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sequences.__main__ import run
from tests.sequences.machine import Sequences

SEQUENCES = 40
STEPS = 30


def chosen(sequences: int) -> settings:
    """The same sequences in each run."""
    return settings(
        max_examples=sequences,
        stateful_step_count=STEPS,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def counted(machine: type[Sequences], sequences: int) -> int:
    """Run sequences; how many steps they had."""
    before = Sequences.steps.total()
    run_state_machine_as_test(machine, settings=chosen(sequences))
    return Sequences.steps.total() - before


@pytest.mark.slow
def test_whatever_is_done_to_an_output_its_rows_are_true() -> None:
    steps = counted(Sequences, SEQUENCES)
    print(f"{steps:,} steps")
    assert steps > 10 * SEQUENCES


@pytest.mark.slow
def test_on_a_server_too(s3_endpoint: str) -> None:
    served = type("Served", (Sequences,), {"endpoint_url": s3_endpoint})
    assert counted(served, 4) > 20


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_for_an_hour(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--chaos") != "full":
        pytest.skip("an hour of sequences is for `make chaos`")
    assert run(start=1_000, steps=10**9, minutes=60) == 0
