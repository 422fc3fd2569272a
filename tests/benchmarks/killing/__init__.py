"""Parts of `tests.benchmarks.kills`: attempts that are killed, the places they deliver to, what is found there."""
