"""The state machine: people, drivers, deaths and damage around one OUTPUT; after every step the oracle looks."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.sequences.commands import Ended, Settings, run_upscale
from tests.sequences.disk import DAMAGES
from tests.sequences.documents import same
from tests.sequences.draws import REFUSED, budgets, contents, ends, flags, fractions, guest_flags, numbers
from tests.sequences.inputs import CONTENTS, NAMES, Inputs
from tests.sequences.judge import Before, judged
from tests.sequences.mortal import Driver, mortal
from tests.sequences.oracle import Damage, Look, Oracle, is_still_to_do
from tests.sequences.places import places
from tests.sequences.steady import same_folder, steady
from tests.sequences.toy import quick

MOST_DAMAGES = 2
MOST_GENERATIONS = 6


class Sequences(RuleBasedStateMachine):
    """See the module. `endpoint_url` is that of a real server for S3; without one there is one in the process."""

    endpoint_url: ClassVar[str | None] = None
    sinks: ClassVar[tuple[Any, ...]] = ("files", "parquet", "webdataset")
    """To draw from."""
    damaged: ClassVar[str] = ""
    """What the keys begin with that may be damaged."""
    steps: ClassVar[Counter[str]] = Counter()
    """How often each kind of step was taken, over all runs of this process."""
    codes: ClassVar[Counter[int]] = Counter()
    """How often commands ended with each exit code."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._root = self._stack.enter_context(same_folder())
        self.oracle: Oracle
        self.last: Look

    def teardown(self) -> None:
        """Leave nothing behind."""
        self._stack.close()

    @initialize(
        s3=st.booleans(),
        sink=st.integers(0, 2),
        dedup=st.booleans(),
        large_images=st.sampled_from((False, False, False, True)),
        names=st.lists(st.tuples(st.sampled_from(NAMES), contents), min_size=1, max_size=6),
    )
    def begin(self, s3: bool, sink: int, dedup: bool, large_images: bool, names: list[tuple[str, int]]) -> None:
        """An INPUT with some images, and an OUTPUT that is not there yet."""
        self._stack.enter_context(steady())
        source, output = self._stack.enter_context(places(self._root, s3, self.endpoint_url))
        self._stack.enter_context(quick(large_images))
        self._stack.enter_context(mortal())
        inputs = Inputs(source)
        for name, number in names:
            inputs.put(name, CONTENTS[number])
        endpoint = self.endpoint_url if s3 else None
        chosen = self.sinks[sink % len(self.sinks)]
        self.oracle = Oracle(inputs, output, Settings(source.url, output.url, chosen, dedup, endpoint))
        self.last = self.oracle.look()
        self._count("begin")

    @rule(budget=budgets, flags=flags)
    def upscale(self, budget: str, flags: dict[str, Any]) -> None:
        """Run, or run again, to the end."""
        self._count("upscale")
        self._run(budget, flags, Driver())

    @rule(budget=budgets, flags=flags, at=numbers, end=ends)
    def upscale_and_end(self, budget: str, flags: dict[str, Any], at: int, end: Any) -> None:
        """Run until it is killed or told to stop."""
        self._count("upscale,", end)
        self._run(budget, flags, Driver(at, end))

    @rule(
        budget=budgets,
        flags=guest_flags,
        at=numbers,
        other=guest_flags,
        other_at=st.integers(0, 25),
        end=ends,
        then=st.integers(0, 30),
    )
    def two_drivers(
        self,
        budget: str,
        flags: dict[str, Any],
        at: int,
        other: dict[str, Any],
        other_at: int,
        end: Any,
        then: int,
    ) -> None:
        """A second run takes place before a write of the first; both may be killed."""
        self._count("two drivers")
        guests: list[Ended] = []

        def guest() -> None:
            guests.append(self._upscale(self._budget(budget, other), other, Driver(other_at, end)))

        host = Driver(then, end, joined_at=at, guest=guest)
        self._run(budget, flags, host, guests)

    @precondition(lambda self: len(self.last.documents.records) < 6)
    @rule(number=st.integers(0, 7), content=contents)
    def add_image(self, number: int, content: int) -> None:
        """Put an image into INPUT, perhaps in the place of another."""
        self._count("add image")
        self.oracle.inputs.put(NAMES[number], CONTENTS[content])

    @rule(number=st.integers(0, 7), content=contents)
    def change_image(self, number: int, content: int) -> None:
        """Put another image of the same size into the place of one."""
        self._count("change image")
        inputs = self.oracle.inputs
        names = sorted(inputs.now)
        if names:
            name = names[number % len(names)]
            inputs.put(name, inputs.mate(name, content))

    @rule(number=st.integers(0, 7))
    def mend_image(self, number: int) -> None:
        """Put a sound image into the place of a broken one."""
        self._count("mend image")
        inputs = self.oracle.inputs
        failed = sorted(set(self.last.failed) & set(inputs.now))
        if failed:
            inputs.put(failed[number % len(failed)], CONTENTS[number])

    @rule(number=st.integers(0, 7))
    def remove_image(self, number: int) -> None:
        """Take an image out of INPUT."""
        self._count("remove image")
        names = sorted(self.oracle.inputs.now)
        if names:
            self.oracle.inputs.remove(names[number % len(names)])

    @precondition(lambda self: self.last.needed and len(self.oracle.damages) < MOST_DAMAGES)
    @rule(where=fractions, kind=st.sampled_from(sorted(DAMAGES)), at=fractions)
    def damage(self, where: float, kind: str, at: float) -> None:
        """Damage a file of OUTPUT, or take it away."""
        output, documents = self.oracle.output, self.last.documents
        keys = [key for key in self.last.tree if key.startswith(self.damaged)]
        if not keys:
            return
        key = keys[int(where * len(keys))]
        before = output.read(key)
        if not before or key in {damage.key for damage in self.oracle.damages}:
            return
        after = DAMAGES[kind](before, at)
        self._count(f"damage, {kind}")
        matters = (
            key in self.last.needed and not same(key, before, after) and not self._is_undone(key, before, after)
        )
        sidecar = documents.sidecar(key) if matters else frozenset()
        if after is None:
            output.remove(key)
        else:
            output.write(key, after)
        if matters:
            self.oracle.touched.add(key)
            self.oracle.damages.append(Damage(key, before, after, sidecar))
        self.last = self.oracle.look()
        self._assert_none(self.last.findings, f"damaged {key}: {kind}")

    @precondition(lambda self: self.oracle.damages or len(self.last.documents.generations) >= MOST_GENERATIONS)
    @rule()
    def begin_again(self) -> None:
        """Throw OUTPUT away."""
        self._count("begin again")
        for key in self.oracle.output.names():
            self.oracle.output.remove(key)
        self.oracle.damages.clear()
        self.oracle.added.clear()
        self.oracle.touched.clear()
        self.last = self.oracle.look()

    def _is_undone(self, key: str, before: bytes, after: bytes | None) -> bool:
        """Whether what is gone is as if it had never been, so that it is just done again."""
        if after is not None:
            return False
        documents = self.last.documents
        generation = next(
            (g for g in documents.generations if key.startswith(f"plan/g{g['number']:04d}/shards")), None
        )
        if is_still_to_do(key, before, self.last.tree) or (
            generation and not documents.revisions(generation["number"])
        ):
            return True
        return documents.is_unused(key)

    def _run(self, budget: str, flags: dict[str, Any], driver: Driver, guests: list[Ended] | None = None) -> None:
        if self.last.documents.complete and flags.get("add_budget") != REFUSED:
            flags = {name: value for name, value in flags.items() if name != "add_budget"}
        budget = self._budget(budget, flags)
        before = Before(self.last, tuple(self.oracle.damages), flags, budget)
        ended = self._upscale(budget, flags, driver)
        self.last = self.oracle.look()
        told = f"upscale {budget} {flags} {driver.writes} writes: {ended.code} {ended.error}"
        Sequences.codes[ended.code] += 1
        findings = [*self.last.findings, *judged(before, ended, self.last, self.oracle, guests)]
        self._assert_none(findings, told)

    def _budget(self, drawn: str, flags: dict[str, Any]) -> str:
        """The one that the run has, if it has one and takes no other."""
        known = self.last.documents.budgets
        return known[0] if known and "extend" not in flags else drawn

    def _upscale(self, budget: str, flags: dict[str, Any], driver: Driver) -> Ended:
        if "add_budget" in flags:
            self.oracle.added.append(flags["add_budget"])
        return run_upscale(self.oracle.settings, budget, driver, **flags)

    def _count(self, *words: str) -> None:
        Sequences.steps[" ".join(words)] += 1

    def _assert_none(self, findings: Any, told: str) -> None:
        found = "\n".join(findings)
        assert not found, f"{found}\n({told}; damages: {[damage.key for damage in self.oracle.damages]})"
