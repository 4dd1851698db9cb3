"""Checks the words that people read against docs/prose.txt: documents, docstrings, comments, messages, swagger.yaml.

Run by `make check`; `python docs/prose.py count` prints the number of faults a folder.
"""

import ast
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 120
WRITTEN = ("docs/states.md", "docs/performance.md")
FENCE = re.compile(r"^\s*(```|~~~)")
CODE_SPAN = re.compile(r"`[^`]*`|https?://\S+|\]\([^)]*\)")
SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A pattern that is refused, and what to write instead."""

    pattern: re.Pattern[str]
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Text:
    """A run of prose in a file."""

    file: str
    line: int
    """Where it starts, from 1."""
    words: str


def rules() -> list[Rule]:
    """The word list; a line without two columns is an error of the list."""
    found = []
    for line in (ROOT / "docs/prose.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern, remedy = re.split(r"\t+| {2,}", line, maxsplit=1)
            found.append(Rule(pattern=re.compile(pattern, re.IGNORECASE | re.MULTILINE), remedy=remedy.strip()))
    return found


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository by name, new ones too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return sorted({ROOT / name for name in listed if (ROOT / name).is_file()})


def of_markdown(path: Path) -> Iterator[Text]:
    """Paragraphs outside code; a table row is a paragraph."""
    name, fenced, start, gathered = str(path.relative_to(ROOT)), False, 0, list[str]()
    for number, line in enumerate([*path.read_text().splitlines(), ""], 1):
        if FENCE.match(line):
            fenced = not fenced
        inside = fenced or FENCE.match(line) or line.startswith("    ")
        if gathered and (inside or not line.strip() or re.match(r"\s*([-*|#]|\d+\.) ?", line)):
            yield Text(file=name, line=start, words=" ".join(gathered))
            gathered = []
        if line.strip() and not inside:
            start = start if gathered else number
            gathered.append(CODE_SPAN.sub("X", line.strip()))


def of_python(path: Path) -> Iterator[Text]:
    """Docstrings (of attributes too), comments, and strings with a blank in them: messages."""
    name = str(path.relative_to(ROOT))
    tree = ast.parse(path.read_text())
    written = of_the_database(tree)
    for node in ast.walk(tree):
        if node in written:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield Text(file=name, line=node.lineno, words=CODE_SPAN.sub("X", " ".join(node.value.split())))
    with tokenize.open(path) as source:
        for token in tokenize.generate_tokens(source.readline):
            if token.type == tokenize.COMMENT:
                yield Text(file=name, line=token.start[0], words=CODE_SPAN.sub("X", token.string.lstrip("# ")))


def of_the_database(tree: ast.AST) -> set[ast.expr]:
    """Comments of tables and columns: they are part of the schema that databases have, and a word costs a migration."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {keyword.value for call in calls for keyword in call.keywords if keyword.arg == "comment"}


def of_contract(path: Path) -> Iterator[Text]:
    """The descriptions and summaries of the contract, line by line."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        yield Text(file=str(path.relative_to(ROOT)), line=number, words=CODE_SPAN.sub("X", line.strip()))


def faults(texts: Iterator[Text], known: list[Rule]) -> Iterator[str]:
    """One line a fault: file, line, sentence, remedy."""
    for text in texts:
        for sentence in SENTENCE.split(text.words):
            for rule in known:
                if rule.pattern.search(sentence):
                    yield f"{text.file}:{text.line}: {sentence[:160]}: {rule.remedy}"


def too_wide(path: Path) -> Iterator[str]:
    """Lines of a document over the width; tables, code and lines that are one long link or command excepted."""
    fenced = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and len(line) > WIDTH and not line.startswith(("|", "    ")) and " " in line.strip():
            yield f"{path.relative_to(ROOT)}:{number}: {len(line)} characters: at most {WIDTH}; wrap the line"


def documents() -> list[Path]:
    """Markdown by hand; others are written by programs (whose text is read as Python)."""
    return [path for path in tracked("*.md") if str(path.relative_to(ROOT)) not in WRITTEN]


def main(asked: str) -> int:
    """Print every fault; 1 when there is a fault."""
    known = rules()
    found = [fault for path in documents() for fault in [*faults(of_markdown(path), known), *too_wide(path)]]
    found += [fault for path in tracked("*.py") for fault in faults(of_python(path), known)]
    found += list(faults(of_contract(ROOT / "swagger.yaml"), known))
    if asked == "count":
        folders = Counter("/".join(fault.split(":")[0].split("/")[:-1][:2]) or fault.split(":")[0] for fault in found)
        print("\n".join(f"{number:5} {folder}" for folder, number in folders.most_common()))
        return 0
    print("\n".join(found) or "prose: no fault")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "all"))
