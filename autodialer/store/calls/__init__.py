"""The calls that were made, their traces, and their tables."""
