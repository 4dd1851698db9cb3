"""What the doctor says: a grade and a sentence."""

from dataclasses import dataclass

OK, NOTE, BAD = "ok", "note", "bad"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at."""

    grade: str
    """ok, note or bad."""
    sentence: str
    """What was found and, unless it is ok, what to do."""
