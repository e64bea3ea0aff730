"""Benchmarks: each file is a command that prints ratios measured in one run."""
