"""One page that tells of a run: what ran, where, for how long, and what its budget bought."""
