"""How long tests wait for the world outside. A slow or busy machine sets TEST_TIME_FACTOR=3 rather than failing.

The factor stretches what a test *allows*: deadlines, and upper bounds of what may be measured. Spans that the product
promises, and the clocks that tests move by hand, stay as they are.
"""

import os

FACTOR = float(os.environ.get("TEST_TIME_FACTOR", "1"))


def at_most(seconds: float) -> float:
    """So many seconds on a quiet machine; more where the factor says so."""
    return seconds * FACTOR
