"""What people are told, in Russian and English: a title and a few plain sentences."""

from collections.abc import Callable, Mapping
from typing import Any

from autodialer.model.webhooks import EventKind

LANGUAGES = ("ru", "en")
Said = tuple[str, str]
"""Title and text."""
Data = Mapping[str, Any]


def sentence(kind: str, data: Data, language: str) -> Said | None:
    """What a notice says of an event; None: it is nothing that a person need be told."""
    said: Callable[[Data], Said | None] | None = _SENTENCES.get((kind, language))
    return said(data) if said else None


STALLED: Mapping[str, str] = {
    "dialer_down": "Процесс обзвона не запущен.",
    "sound_missing": "Файл записи пропал.",
    "callbase_failed": "База не загрузилась.",
    "callbase_empty": "В базе нет ни одного номера.",
    "trunk_unusable": "Транк нельзя использовать: проверьте его настройки.",
    "trunk_resting": "Звонки через транк не проходят.",
    "trunk_not_registered": "Провайдер не принимает регистрацию транка.",
}
"""Why a running campaign calls nobody until a person does something, by code; the English sentence is the report's."""


def stalled_sentence(campaign: str, code: str, message: str, language: str) -> Said:
    """What is said of a campaign that runs and calls nobody."""
    if language == "ru":
        return f"Кампания «{campaign}» не звонит", f"Она запущена, но звонков нет. {STALLED[code]}"
    return f"Campaign “{campaign}” has stopped dialing", f"It runs, but calls nobody. {message}"


def sample_sentence(language: str) -> Said:
    """What a test says."""
    if language == "ru":
        return "Проверка", "Это проверка: уведомления автообзвона сюда доходят."
    return "A test", "This is a test: the dialer's notices arrive here."


def _campaign_ru(data: Data) -> Said | None:
    counts, name = data["counts"], data["campaign"]
    done = f"Дозвонились до {counts['reached']} из {counts['total']}; не дозвонились до {counts['exhausted']}."
    by = f" ({data['by']})" if data["by"] else ""
    if data["state"] == "finished":
        return f"Кампания «{name}» завершена", f"Обзвон закончен. {done}"
    if data["state"] == "stopped":
        return f"Кампания «{name}» остановлена", f"Кампанию остановили{by}, больше она не звонит. {done}"
    if data["state"] == "paused":
        return f"Кампания «{name}» на паузе", f"Кампанию поставили на паузу{by}, новых звонков нет. {done}"
    return None


def _campaign_en(data: Data) -> Said | None:
    counts, name = data["counts"], data["campaign"]
    done = f"{counts['reached']} of {counts['total']} people were reached, {counts['exhausted']} were not."
    by = f" by {data['by']}" if data["by"] else ""
    if data["state"] == "finished":
        return f"Campaign “{name}” has finished", f"All calls are done. {done}"
    if data["state"] == "stopped":
        return f"Campaign “{name}” was stopped", f"It was stopped{by} and calls nobody any more. {done}"
    if data["state"] == "paused":
        return f"Campaign “{name}” is paused", f"It was paused{by} and makes no new calls. {done}"
    return None


def _trunk_ru(data: Data) -> Said:
    name, cause = data["trunk"], f" Причина: {data['cause']}." if data["cause"] else ""
    if data["state"] == "working":
        return f"Транк «{name}» снова работает", "Звонки через него опять идут."
    if data["state"] == "not_registered":
        return f"Транк «{name}» не регистрируется", f"Провайдер не принимает регистрацию, звонков нет.{cause}"
    return f"Транк «{name}» не работает", f"Звонки через него не проходят, обзвон приостановлен.{cause}"


def _trunk_en(data: Data) -> Said:
    name, cause = data["trunk"], f" The reason: {data['cause']}." if data["cause"] else ""
    if data["state"] == "working":
        return f"Trunk “{name}” works again", "Calls go through it again."
    if data["state"] == "not_registered":
        return (
            f"Trunk “{name}” is not registered",
            f"The provider refuses it, so nothing is dialled.{cause}",
        )
    return f"Trunk “{name}” does not work", f"Its calls fail, so it rests and nothing is dialled over it.{cause}"


def _import_ru(data: Data) -> Said | None:
    name = data["name"]
    if data["state"] == "failed":
        return f"Таблица «{name}» не загружена", f"Загрузка не удалась: {data['error']}"
    if not data["rejected"]:
        return None
    return (
        f"Таблица «{name}» загружена не вся",
        f"Строк: {data['rows']}. Загружено: {data['imported']}, отклонено: {data['rejected']}."
        " Список отклонённых строк с причинами — на странице загрузки.",
    )


def _import_en(data: Data) -> Said | None:
    name = data["name"]
    if data["state"] == "failed":
        return f"Table “{name}” was not imported", f"The import failed: {data['error']}"
    if not data["rejected"]:
        return None
    return (
        f"Table “{name}” was imported in part",
        f"Of {data['rows']} rows {data['imported']} were imported and {data['rejected']} rejected."
        " The list of rejected rows says why.",
    )


def _ceiling_ru(data: Data) -> Said:
    who = f"Транк «{data['name']}»" if data["of"] == "trunk" else f"Пользователь «{data['name']}»"
    what = "звонков" if data["ceiling"] == "max_calls_day" else "минут"
    return (
        f"Достигнут дневной предел {what}",
        f"{who} больше не звонит до завтра (по UTC). Звонков сегодня: {data['calls']}. Предел меняет администратор.",
    )


def _ceiling_en(data: Data) -> Said:
    who = f"Trunk “{data['name']}”" if data["of"] == "trunk" else f"User “{data['name']}”"
    what = "calls" if data["ceiling"] == "max_calls_day" else "minutes"
    return (
        f"The day's ceiling of {what} is reached",
        f"{who} calls nobody more until tomorrow (UTC). Calls of today: {data['calls']}."
        " An admin can raise the ceiling.",
    )


_SENTENCES: Mapping[tuple[str, str], Callable[[Data], Said | None]] = {
    (EventKind.CAMPAIGN_STATE, "ru"): _campaign_ru,
    (EventKind.CAMPAIGN_STATE, "en"): _campaign_en,
    (EventKind.TRUNK_STATE, "ru"): _trunk_ru,
    (EventKind.TRUNK_STATE, "en"): _trunk_en,
    (EventKind.IMPORT_ENDED, "ru"): _import_ru,
    (EventKind.IMPORT_ENDED, "en"): _import_en,
    (EventKind.CEILING_REACHED, "ru"): _ceiling_ru,
    (EventKind.CEILING_REACHED, "en"): _ceiling_en,
}
OF_NOTICES = frozenset(kind for kind, _ in _SENTENCES)
"""The events that people are told of."""
