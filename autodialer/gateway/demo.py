"""`make demo`: the whole main job without a provider, over the API, as a user would do it."""

import csv
import shutil
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM, signal
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from autodialer.gateway.behaviour import DISPOSITIONS, Kind, behaviour_of
from autodialer.gateway.service import LOGIN, PASSWORD, ROOT, DemoFailed, Service

SUBSCRIBERS = 200
RECORDED = "12015550112"
"""A callee who listens to the end."""
SAMPLE = Path(__file__).with_name("sample.flac")
NAMES = ("Анна Смирнова", "John Miller", "Борис Кузнецов", "Maria Rossi", "Вера Попова", "Peter Novak", "Олег Волков")
RETRY = {
    "busy": {"after_s": 5, "times": 1},
    "no_answer": {"after_s": 5, "times": 0},
    "congestion": {"after_s": 3, "times": 1},
}
MEANINGS = {
    "answered": "picked up and heard the sound",
    "busy": "the line was busy",
    "no_answer": "rang and nobody answered",
    "rejected": "the callee declined",
    "invalid_number": "no such number",
    "congestion": "the carrier was overloaded",
    "failed": "could not be called; the call says why",
    "cancelled": "cancelled by us",
    "interrupted": "the dialer was stopped in the middle",
    "machine": "an answering machine",
}
LIMIT_S = 150.0


def run_demo(*, exit_at_end: bool, folder: Path = Path("demo")) -> int:
    """Run the demo in `folder`, which is emptied first; the exit status: 0 when every outcome is right."""
    console = Console()
    signal(SIGTERM, lambda *_: sys.exit(1))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with fake_carrier(folder / "heard.wav") as port, Service(folder) as service:
            campaign = set_up(service, port, folder, console)
            watch(service, campaign, console)
            right = show_report(service, campaign, folder, console)
            show_where_to_look(service, folder, console, stays=not exit_at_end)
            if not exit_at_end:
                threading.Event().wait()
    except KeyboardInterrupt:
        console.print("Ended.")
        return 0
    except DemoFailed as exc:
        console.print(str(exc), style="bold red", highlight=False)
        return 1
    return 0 if right else 1


@contextmanager
def fake_carrier(wav: Path) -> Iterator[int]:
    """The fake carrier as a process of its own; its UDP port."""
    command = [sys.executable, "-m", "autodialer.gateway.gateway", "--record", RECORDED, "--wav", str(wav.resolve())]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin and process.stdout
    try:
        line = process.stdout.readline()
        if not line:
            raise DemoFailed("The fake carrier did not start.")
        yield int(line)
    finally:
        process.stdin.close()
        process.wait(5)
        process.stdout.close()


def set_up(service: Service, port: int, folder: Path, console: Console) -> str:
    """Trunk, sound, callbase and a started campaign; the campaign's id."""
    console.print(f"service    http://{service.http}/  login {LOGIN}, password {PASSWORD}", highlight=False)
    settings = {"host": "127.0.0.1", "port": port, "username": "demo", "password": "demo"}
    trunk = service.post("/trunks", json={"name": "fake carrier", "max_channels": 50, "cps": 20, **settings})
    console.print(f"trunk      a fake carrier on UDP port {port}, 50 channels, 20 new calls a second")
    with SAMPLE.open("rb") as file:
        sound = service.post("/sounds", files={"file": (SAMPLE.name, file)}, data={"name": "sample"})
    console.print(f"sound      {SAMPLE.name}, {sound['duration_s']:.1f} s of speech in Russian and English")
    base = folder / "subscribers.csv"
    write_callbase(base)
    with base.open("rb") as file:
        form = {"name": "demo", "region": "US"}
        callbase = service.post("/callbases", files={"file": (base.name, file)}, data=form)
    told = ("rows", "imported", "duplicates", "rejected")
    console.print("callbase   " + ", ".join(f"{callbase[name]} {name}" for name in told))
    rules = {"cps": 20, "max_channels": 50, "ring_timeout_s": 6, "retry": RETRY}
    ids = {"trunk_ids": [trunk["id"]], "sound_id": sound["id"], "callbase_id": callbase["id"]}
    campaign = service.post("/campaigns", json={"name": "demo", **ids, **rules})
    service.post(f"/campaigns/{campaign['id']}/start")
    return str(campaign["id"])


def numbers() -> list[str]:
    """The subscribers' numbers: of a range that is kept for films in every area code, so that they belong to nobody."""
    return [f"1{area}55501{number:02d}" for area in (201, 202) for number in range(SUBSCRIBERS // 2)]


def write_callbase(path: Path) -> None:
    """The base as a user might have it: with a duplicate and two rows that are not numbers."""
    rows = [(NAMES[index % len(NAMES)], f"+{number}", f"flat {index + 1}") for index, number in enumerate(numbers())]
    rows += [("Anna again", f"+{numbers()[0]}", ""), ("office", "112", ""), ("unknown", "none", "")]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("имя", "телефон", "комментарий"), *rows])


def watch(service: Service, campaign: str, console: Console) -> None:
    """Show the campaign's progress until it is finished."""
    columns = (
        TextColumn("calling"),
        BarColumn(bar_width=40),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[live]} calls now, {task.fields[reached]} reached"),
        TimeElapsedColumn(),
    )
    deadline = time.monotonic() + LIMIT_S
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("calling", total=SUBSCRIBERS, live=0, reached=0)
        while True:
            state = service.get(f"/campaigns/{campaign}")
            counts = state["counts"]
            done = counts["reached"] + counts["exhausted"] + counts["excluded"]
            progress.update(bar, completed=done, live=state["active_calls"], reached=counts["reached"])
            if state["state"] == "finished":
                return
            if time.monotonic() > deadline:
                why = service.get(f"/campaigns/{campaign}/why")
                raise DemoFailed(f"The campaign is not finished after {LIMIT_S:.0f} s: {why['reasons']}")
            time.sleep(0.5)


def show_report(service: Service, campaign: str, folder: Path, console: Console) -> bool:
    """The report as a table, and whether each outcome is what the carrier caused."""
    report = service.get(f"/campaigns/{campaign}/report")
    calls = list(service.pages(f"/campaigns/{campaign}/calls"))
    table = Table(
        title=f"{report['calls']} calls to {SUBSCRIBERS} subscribers", title_style="bold", title_justify="left"
    )
    for heading, justify in (
        ("disposition", "left"),
        ("calls", "right"),
        ("share", "right"),
        ("what it means", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for disposition, count in sorted(report["dispositions"].items(), key=lambda item: -item[1]):
        table.add_row(disposition, str(count), f"{count / report['calls']:.0%}", MEANINGS[disposition])
    console.print()
    console.print(table)
    listened = f"{report['played_share_mean']:.0%}" if report["played_share_mean"] is not None else "-"
    console.print(f"answered {report['asr']:.0%} of calls, {report['acd_s']:.1f} s each, {listened} of the sound heard")
    wrong = differences(calls)
    if wrong:
        console.print(f"{len(wrong)} outcomes are not what the carrier caused:", style="bold red")
        for line in wrong[:10]:
            console.print(f"  {line}")
    else:
        console.print(f"{SUBSCRIBERS} of {SUBSCRIBERS} outcomes are as the carrier caused them", style="bold green")
    return not wrong


def differences(calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """Numbers whose last call does not say what the carrier did, each with both."""
    last = {str(call["number"]): call for call in calls}
    wrong = []
    for number in numbers():
        behaviour = behaviour_of(number)
        call = last.get(f"+{number}")
        said = call["disposition"] if call else "never called"
        expected = DISPOSITIONS[behaviour.kind]
        whole = behaviour.kind in (Kind.LISTEN, Kind.LATE)
        if said != expected:
            wrong.append(f"+{number}: {said} instead of {expected}")
        elif whole and call and call["played_share"] != 1:
            wrong.append(f"+{number}: heard only {call['played_s']} s")
    return wrong


def show_where_to_look(service: Service, folder: Path, console: Console, *, stays: bool) -> None:
    """What to try next."""
    wav = folder / "heard.wav"
    if not wav.exists():
        raise DemoFailed("The carrier recorded nothing.")
    console.print()
    with wave.open(str(wav)) as file:
        seconds = file.getnframes() / file.getframerate()
    console.print(f"what one callee heard   {wav}  ({seconds:.1f} s)", highlight=False)
    if not stays:
        return
    console.print(f"front page              http://{service.http}/", highlight=False)
    console.print(
        f"try the API             http://{service.http}/api/doc  (Authorize: {LOGIN} / {PASSWORD})", highlight=False
    )
    console.print(f"log of the service      {service.log}", highlight=False)
    console.print("a first real campaign   README.md: ten lines of curl, after `make run`", highlight=False)
    console.print("Ctrl-C ends the demo.")
