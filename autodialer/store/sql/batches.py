"""How bulk writes are cut up, so that a claim never waits long for one."""

BATCH_ROWS = 500
"""Most rows a transaction changes."""
PAUSE_S = 0.005
"""Between the transactions of a bulk change, so that others get the write lock in between."""
