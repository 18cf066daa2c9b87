"""Measurements of tracklib beside its peers: `python -m tests.benchmarks` from the root of the checkout."""
