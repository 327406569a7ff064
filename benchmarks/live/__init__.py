"""Benchmarks against a real API server on the same machine: `python -m benchmarks --live`."""
