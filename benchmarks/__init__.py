"""The performance harness: `python -m benchmarks [--quick] [names…]`."""
