"""Models of the user's as rungs."""
