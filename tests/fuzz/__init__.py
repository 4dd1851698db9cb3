"""Hostile bytes at everything that reads the network: `make fuzz [SECONDS=600]`.

`targets` says what is attacked and what must hold, `attack` is one target under atheris in a process of its own, and
`python -m tests.fuzz` shares the time among them. What was found before is kept in tests/corpus/<target>/.
"""
