"""What users ask for, at random."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.sequences.inputs import CONTENTS

BUDGETS = ("50%", "20%", "100%", "70%", "50%", "20%", "300000FLOP", "1%")
"""Of which the last is too small for anything."""

REFUSED = "31%"
"""Is added to a budget also where nothing is left to do."""

budgets = st.sampled_from(BUDGETS)
shares = st.sampled_from(("30%", "70%", REFUSED))
contents = st.sampled_from(range(len(CONTENTS)))
numbers = st.integers(1, 25)
"""Of the write at which something happens."""
ends = st.sampled_from(("before", "after", "torn", "term"))
fractions = st.floats(0, 1, exclude_max=True)
flags = st.fixed_dictionaries(
    {},
    optional={
        "extend": st.just(True),
        "retry_failed": st.just(True),
        "repair": st.just(True),
        "add_budget": shares,
    },
)
guest_flags = st.fixed_dictionaries(
    {}, optional={"extend": st.just(True), "retry_failed": st.just(True), "add_budget": shares}
)
