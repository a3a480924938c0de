from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.selection.sample import parse_sample
from arm_batch.core.selection.selection import Selection
from arm_batch.errors import UsageError

PATHS = sorted(f"{folder}/{number:03d}.png" for folder in "ab" for number in range(50))


def chosen(selection: Selection, paths: list[str] = PATHS, taken: frozenset[str] = frozenset()) -> list[str]:
    return [paths[position] for position in selection.choose(paths, taken)]


def test_patterns() -> None:
    selection = Selection(include=("/a/", "*7.png"), exclude=("*17.png",))
    assert [p for p in ("a/1.png", "b/1.png", "b/7.png", "a/17.png", "b/17.png") if selection.admits(p)] == [
        "a/1.png",
        "b/7.png",
    ]
    assert Selection().admits("anything")


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (Selection(), ""),
        (Selection(include=("b c", "*", "*"), exclude=("x",)), "--include '*' --include 'b c' --exclude x"),
        (Selection(limit=3, seed=5), "--limit 3"),
        (Selection(sample=parse_sample("2%"), seed=5), "--sample 2% --seed 5"),
    ],
)
def test_text(selection: Selection, text: str) -> None:
    assert selection.text == text


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"include": ("",)}, {"exclude": ("[",)}])
def test_what_makes_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Selection(**wrong)  # type: ignore[arg-type]


def test_a_limit_takes_the_first() -> None:
    assert chosen(Selection(limit=3)) == PATHS[:3]
    assert chosen(Selection(limit=1000)) == PATHS


def test_a_sample_follows_from_its_seed_and_is_drawn_from_within_the_limit() -> None:
    first, again, other = (chosen(Selection(sample=parse_sample("10%"), seed=seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first) == len(other) == 10
    assert set(chosen(Selection(limit=20, sample=parse_sample("50%")))) < set(PATHS[:20])


def test_draws_hit_every_image_alike() -> None:
    hits = dict.fromkeys(PATHS, 0)
    for seed in range(1000):
        for path in chosen(Selection(sample=parse_sample("10"), seed=seed)):
            hits[path] += 1
    # Binomial with mean 100 and standard deviation 9.5: none of a hundred is five of them away.
    assert 52 < min(hits.values()) <= max(hits.values()) < 148


limits = st.none() | st.integers(1, 12)
samples = st.none() | st.sampled_from(["2", "5", "20%", "100%"]).map(parse_sample)
few = st.sets(st.integers(0, 15)).map(lambda numbers: sorted(f"{n:02d}" for n in numbers))


@given(limits, samples, few, few)
def test_an_archive_that_grows_never_goes_beyond_what_was_asked_for(limit, sample, before, more) -> None:  # type: ignore[no-untyped-def]
    selection = Selection(limit=limit, sample=sample)
    taken = frozenset(chosen(selection, before))
    now = sorted({*before, *more})
    added = chosen(selection, now, taken)
    assert not taken & set(added)
    assert added == sorted(added)
    # It is as many as a fresh start would have taken, and never one that was taken already.
    assert len(taken) + len(added) >= len(chosen(selection, now)) or set(now[:limit]) <= taken | set(added)
    assert len(taken) + len(added) <= max(len(taken), len(chosen(selection, now)))
    if before == now:
        assert not added
