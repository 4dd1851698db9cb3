"""Tells which numbers a set of patterns cannot tell apart, in about a microsecond a number.

phonenumbers describes numbers by regular expressions over digits and takes 20 to 100 us to say of what kind a number
is. Numbers that every one of these expressions treats alike get the same answer, so it needs to be asked once for all
of them. The expressions become one finite automaton; a number's class is the state that its digits lead to. The
automaton's states are made when a number first comes to them (subset construction; Aho, Sethi, Ullman, section 3.7).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

ANY_DIGIT = frozenset("0123456789")
_CLASS = re.compile(r"(?:[0-9](?:-[0-9])?)+")
_TIMES = re.compile(r"([0-9]{1,2})(?:,([0-9]{1,2}))?")
_CLASS_PART = re.compile(r"([0-9])(?:-([0-9]))?")


@dataclass
class _Node:
    """A state of the automaton that may be in several states at once."""

    steps: list[tuple[frozenset[str], int]] = field(default_factory=list)
    """Digits, and the node that they lead to."""
    free: list[int] = field(default_factory=list)
    """Nodes that are reached from here without a digit."""


class DigitPatterns:
    """The automaton of some patterns. Not for several threads at once."""

    def __init__(self, whole: Iterable[str], beginnings: Iterable[str] = ()) -> None:
        """`whole` patterns are compared with all digits of a number, `beginnings` with the first ones.

        Raises ValueError for a pattern of more than digits, classes, groups, alternatives and repetitions.
        """
        self._nodes = [_Node()]
        for pattern in whole:
            _Reader(pattern, self._nodes).read()
        for pattern in beginnings:
            end = _Reader(pattern, self._nodes).read()
            self._nodes[end].steps.append((ANY_DIGIT, end))
        self._numbers: dict[frozenset[int], int] = {}
        self._members: list[frozenset[int]] = []
        self._steps: list[dict[str, int]] = []
        self._number_of(self._closure({0}))

    def class_of(self, digits: str) -> int:
        """The class of a number; all patterns say the same of two numbers of one class."""
        state = 0
        for digit in digits:
            following = self._steps[state].get(digit)
            state = self._step(state, digit) if following is None else following
        return state

    def _step(self, state: int, digit: str) -> int:
        there = {to for node in self._members[state] for digits, to in self._nodes[node].steps if digit in digits}
        following = self._number_of(self._closure(there))
        self._steps[state][digit] = following
        return following

    def _number_of(self, members: frozenset[int]) -> int:
        number = self._numbers.setdefault(members, len(self._members))
        if number == len(self._members):
            self._members.append(members)
            self._steps.append({})
        return number

    def _closure(self, nodes: set[int]) -> frozenset[int]:
        waiting = list(nodes)
        while waiting:
            new = [node for node in self._nodes[waiting.pop()].free if node not in nodes]
            nodes.update(new)
            waiting += new
        return frozenset(nodes)


class _Reader:
    """Reads one pattern into nodes that hang on node 0 (Thompson's construction)."""

    def __init__(self, pattern: str, nodes: list[_Node]) -> None:
        self._pattern = pattern
        self._nodes = nodes
        self._at = 0

    def read(self) -> int:
        """The node at which the whole pattern has been matched."""
        end = self._alternatives(0)
        if self._at != len(self._pattern):
            raise self._unreadable()
        return end

    def _alternatives(self, start: int) -> int:
        end = self._new_node()
        while True:
            self._nodes[self._sequence(start)].free.append(end)
            if not self._take("|"):
                return end

    def _sequence(self, start: int) -> int:
        node = start
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            node = self._repeated(node)
        return node

    def _repeated(self, node: int) -> int:
        """One item as often as what follows it says: the item is read again for each time."""
        item_at, start = self._at, node
        node = self._item(start)
        least, most = self._times()
        following = self._at
        for time in range(most):
            if time:
                self._at, start = item_at, node
                node = self._item(start)
            if time >= least:
                self._nodes[start].free.append(node)
        self._at = following
        return node

    def _item(self, start: int) -> int:
        if self._take("(?:"):
            end = self._alternatives(start)
            if not self._take(")"):
                raise self._unreadable()
            return end
        end = self._new_node()
        self._nodes[start].steps.append((self._digits(), end))
        return end

    def _digits(self) -> frozenset[str]:
        if self._take(r"\d"):
            return ANY_DIGIT
        if self._take("["):
            return self._class()
        digit = self._pattern[self._at : self._at + 1]
        if digit not in ANY_DIGIT:
            raise self._unreadable()
        self._at += 1
        return frozenset(digit)

    def _class(self) -> frozenset[str]:
        text, bracket, _ = self._pattern[self._at :].partition("]")
        self._at += len(text) + 1
        if not bracket or not _CLASS.fullmatch(text):
            raise self._unreadable()
        digits: set[str] = set()
        for first, last in _CLASS_PART.findall(text):
            digits.update(str(digit) for digit in range(int(first), int(last or first) + 1))
        return frozenset(digits)

    def _times(self) -> tuple[int, int]:
        if self._take("?"):
            return 0, 1
        if not self._take("{"):
            return 1, 1
        text, bracket, _ = self._pattern[self._at :].partition("}")
        self._at += len(text) + 1
        times = _TIMES.fullmatch(text)
        if not bracket or not times:
            raise self._unreadable()
        least, most = int(times[1]), int(times[2] or times[1])
        if not least <= most or most == 0:
            raise self._unreadable()
        return least, most

    def _unreadable(self) -> ValueError:
        return ValueError(f"not a pattern of digits as far as it is known here: {self._pattern!r} at {self._at}")

    def _take(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _new_node(self) -> int:
        self._nodes.append(_Node())
        return len(self._nodes) - 1
