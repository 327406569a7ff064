"""The harness is no distribution: it is found from the root of the checkout, as `python -m benchmarks` finds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
