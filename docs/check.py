"""Checks the documents: links and files lead somewhere, and every word of the model and every setting is explained.

Run by `make check`; prints what is wrong and ends with 1.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import autodialer.environment  # noqa: E402, F401 -- it may end the program with a message

# isort: split
from autodialer import model  # noqa: E402
from autodialer.config import WHAT_IT_TAKES  # noqa: E402

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
TARGET = re.compile(r"`make ([a-z-]+)")
FILE = re.compile(r"(?<![\w./*-])((?:[\w-]+/)+(?:[\w-]+\.py)?)(?![\w/*<.])")
"""A module or folder of the repository; those of the package may be named without `autodialer/`."""


def tracked_documents() -> list[Path]:
    """The Markdown files of the repository, new ones too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).exists()]


def broken_links(document: Path) -> list[str]:
    """Relative links of one document that lead nowhere."""
    targets = [
        link for link in LINK.findall(document.read_text()) if "://" not in link and not link.startswith("mailto:")
    ]
    return [
        f"{document.relative_to(ROOT)}: no such file: {link}"
        for link in targets
        if not (document.parent / link).exists()
    ]


def unknown_targets(document: Path) -> list[str]:
    """`make ...` commands that the Makefile does not have."""
    makefile = (ROOT / "Makefile").read_text()
    names = {name for name in TARGET.findall(document.read_text()) if not re.search(rf"^{name}:", makefile, re.M)}
    return [f"{document.relative_to(ROOT)}: the Makefile has no target {name}" for name in sorted(names)]


def missing_files(document: Path) -> list[str]:
    """Modules and folders that were moved or are gone; the changelog and replaced decisions may tell of old ones."""
    if document.name == "CHANGELOG.md" or "\nReplaced by [" in document.read_text():
        return []
    places = (ROOT, ROOT / "autodialer", document.parent)
    rooms = {entry.name for place in places[:2] for entry in place.iterdir() if entry.is_dir()}
    named = sorted({name for name in FILE.findall(document.read_text()) if name.split("/")[0] in rooms})
    return [
        f"{document.relative_to(ROOT)}: no such file: {name}"
        for name in named
        if not any((place / name).exists() for place in places)
    ]


def missing_words() -> list[str]:
    """States, dispositions and causes that the glossary does not explain, settings that deploy.md does not list."""
    glossary = (ROOT / "docs/glossary.md").read_text()
    deploy = (ROOT / "docs/deploy.md").read_text()
    enums = (model.Disposition, model.Cause, model.CampaignState, model.JobState, model.SubscriberState)
    words = sorted({str(member.value) for enum in enums for member in enum})
    return [f"docs/glossary.md: `{word}` is missing" for word in words if f"`{word}`" not in glossary] + [
        f"docs/deploy.md: `{setting}` is missing" for setting in WHAT_IT_TAKES if f"`{setting}`" not in deploy
    ]


def main() -> int:
    """Print every fault found; 0 when there is no fault."""
    faults = missing_words()
    for document in tracked_documents():
        faults += broken_links(document) + missing_files(document) + unknown_targets(document)
    print("\n".join(faults) or "documents: links, files, commands, words and settings are right")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
