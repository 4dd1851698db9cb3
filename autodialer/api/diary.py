"""The diary of a campaign as it goes out: a code and details for programs, an English sentence for people."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from autodialer.api.present import Json, time
from autodialer.model.diary import DiaryEvent, DiaryLine

Details = Mapping[str, Any]


def present_line(line: DiaryLine) -> Json:
    """A line."""
    merged = {"times": line.times, "last_at": time(line.last_at)} if line.times > 1 else {}
    again = f" It happened {line.times} times, last at {line.last_at:%Y-%m-%d %H:%M:%S} UTC." if merged else ""
    return {
        "at": time(line.at),
        "event": line.event.value,
        "by": line.by,
        "message": SENTENCES[line.event](line.details, f" by {line.by}" if line.by else "") + again,
        "details": {**line.details, **merged},
    }


def _created(details: Details, by: str) -> str:
    origin = details.get("of")
    return f"Made{by} from campaign {origin}." if origin else f"Made{by}."


def _paused(details: Details, by: str) -> str:
    if details.get("rule") == "pause_after":
        return f"Paused: as many people ({details['people']}) as pause_after says have been called."
    return f"Paused{by}."


def _resumed(details: Details, by: str) -> str:
    if details.get("rule") == "call_put_back":
        return "Goes on: a call that was counted for pause_after could not leave."
    return f"Resumed{by}."


def _stopped(details: Details, by: str) -> str:
    return f"Stopped{by}; live calls were hung up." if details.get("hangup") else f"Stopped{by}."


def _finished(details: Details, _by: str) -> str:
    if details.get("rule") == "ends_at":
        return "Finished: its end, ends_at, has come."
    return "Finished: every subscriber has been dealt with."


def _changed(details: Details, by: str) -> str:
    changes = [f"{name} from {_shown(old)} to {_shown(new)}" for name, (old, new) in details["changes"].items()]
    return f"Changed{by}: {'; '.join(changes)}."


def _shown(value: Any) -> str:
    if value in (None, {}, []):
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _closed(details: Details, _by: str) -> str:
    until = f" until {details['until']}" if details.get("until") else ""
    if details.get("limit") == "before_start":
        return f"Waits for its start, starts_at{until}."
    return f"The calling window is closed{until}."


def _of_trunk(what: str) -> Callable[[Details, str], str]:
    def sentence(details: Details, _by: str) -> str:
        cause = f": {details['cause'].rstrip('.')}" if details.get("cause") else ""
        return f"Trunk {details['name']} {what}{cause}."

    return sentence


def _imported(details: Details, _by: str) -> str:
    return f"The import of the callbase ended: {details['imported']} subscribers, {details['rejected']} rows rejected."


SENTENCES: Mapping[DiaryEvent, Callable[[Details, str], str]] = {
    DiaryEvent.CREATED: _created,
    DiaryEvent.STARTED: lambda _details, by: f"Started{by}.",
    DiaryEvent.PAUSED: _paused,
    DiaryEvent.RESUMED: _resumed,
    DiaryEvent.STOPPED: _stopped,
    DiaryEvent.FINISHED: _finished,
    DiaryEvent.CHANGED: _changed,
    DiaryEvent.ARCHIVED: lambda _details, by: f"Archived{by}.",
    DiaryEvent.UNARCHIVED: lambda _details, by: f"Taken out of the archive{by}.",
    DiaryEvent.IMPORT_ENDED: _imported,
    DiaryEvent.IMPORT_FAILED: lambda details, _by: f"The import of the callbase failed: {details['error']}",
    DiaryEvent.WINDOW_CLOSED: _closed,
    DiaryEvent.WINDOW_OPENED: lambda _details, _by: "The calling window is open.",
    DiaryEvent.TRUNK_RESTED: _of_trunk("rests"),
    DiaryEvent.TRUNK_CAME_BACK: _of_trunk("is back"),
    DiaryEvent.TRUNK_UNREGISTERED: _of_trunk("is not registered with its provider"),
    DiaryEvent.TRUNK_REGISTERED: _of_trunk("is registered again"),
}
