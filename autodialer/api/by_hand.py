"""The subscribers left to be called by hand, and what is told of each to the person who calls."""

from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from autodialer.model import Disposition, SubscriberState
from autodialer.model.admission import (
    EXCLUDED_CAP,
    EXCLUDED_DELETED,
    EXCLUDED_DNC,
    EXCLUDED_DOUBTFUL,
    EXCLUDED_ERASED,
    EXCLUDED_WINDOW,
    NUMBER_REMOVED,
)

EVENING = 17
"""By the clock of the person: a call before that is followed by one in the evening, a later one by one at noon."""


class Language(StrEnum):
    """Of the words in a table."""

    EN = "en"
    RU = "ru"


BY_HAND_COLUMNS = {
    Language.EN: (
        ("name", "number", "second_number", "attempts", "last_outcome", "last_call", "when_to_try", "zone", "comment"),
        ("id",),
    ),
    Language.RU: (
        (
            "Имя",
            "Номер",
            "Второй номер",
            "Попыток",
            "Чем закончилось",
            "Последний звонок",
            "Когда звонить",
            "Часовой пояс",
            "Комментарий",
        ),
        ("id",),
    ),
}
"""Headers: what stands before the columns of the callbase, and what stands after them."""
LAST_CALL = 5
"""Place of the column with a time."""

_NEVER, _ANY = "never", "any"
_OUTCOMES: dict[str, dict[Language, str]] = {
    Disposition.ANSWERED: {
        Language.EN: "picked up, but heard too little",
        Language.RU: "снял трубку, но дослушал мало",
    },
    Disposition.MACHINE: {Language.EN: "an answering machine", Language.RU: "ответил автоответчик"},
    Disposition.BUSY: {Language.EN: "the line was busy", Language.RU: "занято"},
    Disposition.NO_ANSWER: {Language.EN: "rang and nobody answered", Language.RU: "никто не ответил"},
    Disposition.REJECTED: {Language.EN: "the callee declined", Language.RU: "сбросил звонок"},
    Disposition.INVALID_NUMBER: {Language.EN: "no such number", Language.RU: "такого номера нет"},
    Disposition.CONGESTION: {Language.EN: "the provider was overloaded", Language.RU: "перегрузка у провайдера"},
    Disposition.FAILED: {
        Language.EN: "the call could not be placed",
        Language.RU: "дозвониться не удалось: сбой связи",
    },
    Disposition.CANCELLED: {Language.EN: "we hung up before an answer", Language.RU: "звонок отменён до ответа"},
    Disposition.INTERRUPTED: {Language.EN: "the call was cut off here", Language.RU: "звонок оборвался у нас"},
    EXCLUDED_DOUBTFUL: {
        Language.EN: "not called: the number may be wrong",
        Language.RU: "не звонили: номер похож на ошибочный",
    },
    EXCLUDED_WINDOW: {
        Language.EN: "not called: outside the calling hours",
        Language.RU: "не звонили: вне времени звонков",
    },
    EXCLUDED_CAP: {
        Language.EN: "not called: called too often already",
        Language.RU: "не звонили: уже звонили слишком часто",
    },
    _NEVER: {Language.EN: "not called", Language.RU: "не звонили"},
}
_TRY: dict[str, dict[Language, str]] = {
    Disposition.BUSY: {Language.EN: "now", Language.RU: "сейчас"},
    Disposition.INVALID_NUMBER: {Language.EN: "check the number first", Language.RU: "сначала проверить номер"},
    Disposition.REJECTED: {Language.EN: "once, another day", Language.RU: "один раз, в другой день"},
    _ANY: {Language.EN: "in the calling hours", Language.RU: "в часы звонков"},
}
_HOURS = {
    Language.EN: ("from 18 to 20 o'clock there", "from 11 to 13 o'clock there"),
    Language.RU: ("с 18 до 20 по местному времени", "с 11 до 13 по местному времени"),
}
_BARRED = (EXCLUDED_DNC, EXCLUDED_ERASED, EXCLUDED_DELETED, NUMBER_REMOVED)
"""Reasons for which nobody may call, or there is no number to call."""


def may_be_called_by_hand(state: str | None, reason: str | None, *, is_barred: bool, has_ended: bool) -> bool:
    """Whether a subscriber was not reached, may be called at all, and will not be called by the campaign itself."""
    if is_barred or reason in _BARRED:
        return False
    if state in (SubscriberState.EXHAUSTED, SubscriberState.EXCLUDED):
        return True
    return has_ended and state in (None, SubscriberState.PENDING, SubscriberState.IN_PROGRESS)


def outcome_in_words(disposition: str | None, reason: str | None, language: Language) -> str:
    """How the last call ended, or why there was none."""
    return _OUTCOMES.get(disposition or reason or _NEVER, _OUTCOMES[_NEVER])[language]


def when_to_try(
    disposition: str | None, last_at: str | None, person_zone: str | None, zone: ZoneInfo, language: Language
) -> str:
    """A proposal: at another time of the person's day than the last call, where that rang without success.

    `last_at` is RFC 3339 in UTC; `zone` is taken for a person whose zone is unknown.
    """
    if disposition in (Disposition.NO_ANSWER, Disposition.MACHINE) and last_at:
        there = ZoneInfo(person_zone) if person_zone else zone
        hour = datetime.fromisoformat(last_at).astimezone(there).hour
        return _HOURS[language][hour >= EVENING]
    return _TRY.get(disposition or _ANY, _TRY[_ANY])[language]
