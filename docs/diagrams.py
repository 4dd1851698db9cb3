"""Draws docs/states.md from the tables that the code runs on. `make diagrams` writes it; `--check` compares."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import autodialer.environment  # noqa: E402, F401 -- it may end the program with a message

# isort: split
from autodialer import model  # noqa: E402
from autodialer.sip import call, refer, registration, transaction  # noqa: E402

TARGET = ROOT / "docs" / "states.md"
HEAD = """# State machines

Drawn by `make diagrams` from the tables in the code; do not edit.
"""
Arrows = Iterable[tuple[str, str, str]]


def from_transitions(transitions: Mapping[str, frozenset[str]]) -> Arrows:
    """Arrows of a table of allowed transitions."""
    return [(str(source), str(target), "") for source, targets in transitions.items() for target in sorted(targets)]


def from_table(table: Mapping[tuple[str, str], tuple[tuple[object, ...], str]]) -> Arrows:
    """Arrows of a table of happenings, those between the same two states drawn as one."""
    happenings: dict[tuple[str, str], list[str]] = {}
    for (source, happening), (_actions, target) in table.items():
        happenings.setdefault((str(source), str(target)), []).append(happening)
    return [(source, target, ", ".join(names)) for (source, target), names in happenings.items()]


def draw(title: str, first: str, arrows: Arrows) -> str:
    """One section with a Mermaid state diagram."""
    lines = [f"    [*] --> {first}"]
    lines += [f"    {source} --> {target}" + (f": {label}" if label else "") for source, target, label in arrows]
    return "\n".join([f"## {title}", "", "```mermaid", "stateDiagram-v2", *lines, "```", ""])


def document() -> str:
    """All diagrams."""
    sections = [
        draw("Campaign", "draft", from_transitions(model.CAMPAIGN_TRANSITIONS)),
        draw("Call job", "queued", from_transitions(model.JOB_TRANSITIONS)),
        draw("Subscriber within a campaign", "pending", from_transitions(model.SUBSCRIBER_TRANSITIONS)),
        draw("Outbound call", "Calling", from_table(call.TABLE)),
        draw("Transfer (REFER)", "Trying", from_table(refer.TABLE)),
        draw("Registration", "Registering", from_table(registration.TABLE)),
    ]
    for machine in (
        transaction.InviteClient,
        transaction.NonInviteClient,
        transaction.InviteServer,
        transaction.NonInviteServer,
    ):
        title = f"{machine.__name__}: {(machine.__doc__ or '').splitlines()[0]}"
        sections.append(draw(title, machine.FIRST, from_table(machine.TABLE)))
    return "\n".join([HEAD, *sections])


def main() -> int:
    """Write the document, or with `--check` say whether it is up to date."""
    text = document()
    if "--check" not in sys.argv:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print("docs/states.md is not what the tables say; run `make diagrams`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
