"""Benchmarks: what the build and the harness cost, as ratios measured side by side."""
