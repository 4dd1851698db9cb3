"""Every limit of the tests' patience is stretched by TEST_TIME_FACTOR: literal seconds are found in the sources."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import timing
from tests.timing import at_most

TESTS = Path(__file__).parent
WAITS = frozenset({"acquire", "communicate", "join", "result", "settimeout", "wait"})
"""Methods of the standard library whose only argument is how long they wait."""
LIMITS = frozenset({"limit_s", "timeout_ms", "timeout_s"})
"""Parameters of the tests' own functions, which stretch them themselves."""
CLOCKS = ("monotonic()", "perf_counter()", "process_time()", "time.time()")
SHORT_S = 1.0
"""Less is a step of a loop, or a silence that the test wants to see."""


def is_fixed(node: ast.expr, least: float = 0.0) -> bool:
    """Whether this is a bare number of seconds."""
    return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value >= least  # type: ignore[operator]


def is_stretched(node: ast.expr) -> bool:
    """Whether this is `at_most(...)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "at_most"


def fixed_waits(call: ast.Call) -> Iterator[str]:
    """`timeout=5`, `process.wait(5)`; and `timeout_s=at_most(5)`, which would be stretched twice."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else None
    waits = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
    waits += call.args if method in WAITS and len(call.args) == 1 else []
    if any(is_fixed(wait, SHORT_S) for wait in waits):
        yield "write at_most(seconds)"
    if any(keyword.arg == "timeout_s" and is_stretched(keyword.value) for keyword in call.keywords):
        yield "timeout_s is stretched by the function: give plain seconds"


def fixed_bounds(comparison: ast.Compare) -> Iterator[str]:
    """`time.monotonic() - began < 5`."""
    bounds = zip(comparison.ops, comparison.comparators, strict=True)
    upper = [bound for how, bound in bounds if isinstance(how, ast.Lt | ast.LtE)]
    if any(map(is_fixed, upper)) and any(clock in ast.unparse(comparison) for clock in CLOCKS):
        yield "assert order or counts, or write at_most(seconds)"


def unstretched(function: ast.FunctionDef) -> Iterator[str]:
    """`def wait_for(self, *, timeout_s)` that neither stretches its time nor hands it to a function that does."""
    for name in LIMITS & {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}:
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        stretched = any(map(is_stretched, calls))
        handed_on = any(
            keyword.arg in LIMITS and name in ast.unparse(keyword.value) for call in calls for keyword in call.keywords
        )
        kept = any(f"self.{prefix}{name} = {name}" in ast.unparse(function) for prefix in ("", "_"))
        if not (stretched or handed_on or kept):
            yield f"{name} is not stretched: write at_most({name})"


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Line and remedy."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            found = fixed_waits(node)
        elif isinstance(node, ast.Compare):
            found = fixed_bounds(node)
        elif isinstance(node, ast.FunctionDef):
            found = unstretched(node)
        else:
            continue
        yield from ((node.lineno, fault) for fault in found)


@pytest.mark.slow
def test_no_limit_of_the_tests_is_a_fixed_number_of_seconds() -> None:
    sources = [path for path in sorted(TESTS.rglob("*.py")) if path != Path(__file__)]
    found = [
        f"{path.relative_to(TESTS.parent)}:{line}: {fault}"
        for path in sources
        for line, fault in faults(path.read_text())
    ]
    assert len(sources) > 100 and found == []


@pytest.mark.parametrize(
    "source",
    [
        "process.wait(5)",
        "subprocess.run(command, timeout=60)",
        "listener.settimeout(1.5)",
        "assert time.monotonic() - began < 2.0",
        "assert 1 < time.process_time() - began <= 3",
        "def wait_for(*, timeout_s):\n    event.wait(timeout_s)",
        "wait_until(ready, timeout_s=at_most(5))",
    ],
)
def test_a_fixed_limit_is_found(source: str) -> None:
    assert len(list(faults(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "process.wait(at_most(5))",
        "asked.wait(0.01)",
        "''.join('ab')",
        "departures.join('call', 2)",
        "assert time.monotonic() - began > 2.0",
        "def wait_for(*, timeout_s):\n    event.wait(at_most(timeout_s))",
        "def wait_for(*, timeout_s):\n    wait_until(ready, timeout_s=timeout_s)",
    ],
)
def test_what_is_stretched_or_no_limit_is_left_alone(source: str) -> None:
    assert list(faults(source)) == []


def test_the_factor_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "FACTOR", 3.0)
    assert at_most(2.0) == 6.0
