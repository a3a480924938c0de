"""``arm-batch budget`` and ``--budget pool:...`` as a person meets them: one clear line each."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import numpy as np
import pytest

from arm_batch.budget.quota import SharedQuota
from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.cli import exit_codes
from arm_batch.core.allocation.budget import human_flops
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.quota.grants import Demand
from arm_batch.storage.open import open_store
from tests.archives import ALONE, make_archive
from tests.core.tables import COSTS, census_of, table
from tests.test_cli import run


def test_create_show_add_close(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path)]
    assert run(capsys, "budget", "create", "p", "5PFLOP", *store)[:2] == (
        0,
        f"use it with --budget pool:{tmp_path}/p\n",
    )
    assert "p: 5.00 PFLOP\n" in run(capsys, "budget", "show", "p", *store)[1]
    assert run(capsys, "budget", "add", "p", "1PFLOP", *store)[1] == "p holds 6.00 PFLOP\n"
    assert run(capsys, "budget", "close", "p", *store)[1] == "p is closed\n"
    assert "p: 6.00 PFLOP, closed\n" in run(capsys, "budget", "show", "p", *store)[1]
    told = {"name": "p", "closed": True, "total": 6 * 10**15, "granted": 0, "spent": 0, "under_way": 0, "jobs": {}}
    assert json.loads(run(capsys, "budget", "show", "p", "--json", *store)[1]) == told


def test_over_s3(s3_endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1").create_bucket(Bucket="budgets")
    store = ["--store", "s3://budgets/here", "--endpoint-url", s3_endpoint]
    assert run(capsys, "budget", "create", "p", "5PFLOP", *store)[0] == 0
    assert run(capsys, "budget", "create", "p", "5PFLOP", *store)[0] == exit_codes.USAGE
    run(capsys, "budget", "add", "p", "500TFLOP", *store)
    assert "p: 5.50 PFLOP\n" in run(capsys, "budget", "show", "p", *store)[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "taken", "5PFLOP"], "there is a pool at"),
        (["create", "a/b", "5PFLOP"], "cannot name a pool"),
        (["create", "p", "0%"], "more than nothing"),
        (["create", "p", "40%"], "a pool holds FLOPs"),
        (["create", "p", "90min"], "a pool holds FLOPs"),
        (["create", "p", "pool:x"], "a pool holds FLOPs"),
        (["create", "p", "0.1FLOP"], "a pool holds FLOPs"),
        (["create", "p", "nan"], "budget 'nan'"),
        (["create", "p", "40"], "cannot read the budget"),
        (["create", "p", "5XFLOP"], "unknown unit"),
        (["add", "taken", "40%"], "a pool holds FLOPs"),
        (["add", "taken", "0FLOP"], "more than nothing"),
        (["add", "unknown", "5PFLOP"], "there is no pool at"),
        (["show", "unknown"], "there is no pool at"),
        (["close", "unknown"], "there is no pool at"),
        (["release", "unknown", "job"], "there is no pool at"),
        (["release", "taken", "job"], "knows no job job"),
    ],
)
def test_what_makes_no_sense_is_2_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    run(capsys, "budget", "create", "taken", "5PFLOP", "--store", str(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(capsys, "budget", *arguments, "--store", str(tmp_path))
    assert (code, out) == (exit_codes.USAGE, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_negative_amount_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "budget", "create", "p", "--store", str(tmp_path), "--", "-3PFLOP")
    assert code == exit_codes.USAGE
    assert "more than nothing" in err


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("unknown", "there is no pool at"),
        ("no name", "names no pool"),
        ("closed", "is closed"),
        ("small", "less than the"),
        ("objective", "make psnr best, this one image-psnr"),
    ],
)
def test_a_job_that_a_pool_refuses_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str, told: str
) -> None:
    archive = make_archive(tmp_path / "in")
    store = ["--store", str(tmp_path)]
    run(capsys, "budget", "create", "p", "1KFLOP" if case == "small" else "5PFLOP", *store)
    if case == "closed":
        run(capsys, "budget", "close", "p", *store)
    pool = {"unknown": f"pool:{tmp_path}/q", "no name": "pool:"}.get(case, f"pool:{tmp_path}/p")
    arguments = ["upscale", str(archive), *ALONE, "--budget", pool]
    if case == "objective":
        assert run(capsys, *arguments, str(tmp_path / "first"), "--objective", "psnr")[0] == 0
    code, out, err = run(capsys, *arguments, str(tmp_path / "out"))
    assert (code, out) == (exit_codes.USAGE, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_job_tells_of_its_pool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_archive(tmp_path / "in")
    run(capsys, "budget", "create", "p", "5PFLOP", "--store", str(tmp_path))
    budget = f"pool:{tmp_path}/p"
    code, out, _ = run(
        capsys,
        "upscale",
        str(archive),
        str(tmp_path / "out"),
        *ALONE,
        "--budget",
        budget,
    )
    assert code == 0
    assert budget in out
    shown = run(capsys, "budget", "show", "p", "--store", str(tmp_path))[1]
    assert ": done, spent" in shown


def test_what_an_abandoned_job_holds_is_released(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(str(tmp_path / "p"))
    QuotaJournal(store).create("p", 10**6)
    lut = table(6)
    histogram = ShardHistogram.of(census_of("image-psnr", lut, [np.zeros(100, np.intp)]))
    pool = SharedQuota(store)
    grant = pool.register("gone", "image-psnr", Demand(lut=lut, costs=COSTS, portions=(histogram, histogram)))
    pool.begin("gone", 0, 1000, 0, grant)
    where = ["--store", str(tmp_path)]
    shown = run(capsys, "budget", "show", "p", *where)[1]
    assert f"job gone: granted {human_flops(grant)}, spent 0.00 FLOP, under way 1.00 KFLOP\n" in shown
    for free in (grant - 1000, 0):
        told = run(capsys, "budget", "release", "p", "gone", *where)
        assert told[:2] == (0, f"{human_flops(free)} of gone go back to p\n")
    assert (
        "job gone: released, spent 0.00 FLOP, under way 1.00 KFLOP\n"
        in run(capsys, "budget", "show", "p", *where)[1]
    )
    assert pool.state().granted == 1000
