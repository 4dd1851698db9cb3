"""A slice: the people of an ended campaign that a follow-up campaign is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from autodialer.model.states import Disposition


class People(StrEnum):
    """The slices that have a name."""

    ALL = "all"
    """Everybody that the campaign is for."""
    UNREACHED = "unreached"
    """Those that neither the campaign nor those that it follows have reached."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Conditions on the outcome of a person. A person who was called has to meet all that are said."""

    dispositions: tuple[Disposition, ...] = ()
    """How the person's last call ended; empty: anyhow."""
    keys: tuple[str, ...] = ()
    """Keys of which the person pressed one, in whatever call; empty: any or none."""
    heard_below: float | None = None
    """The person heard less of the sound than this share of it, 0 to 1, in the call that heard the most."""
    heard_above: float | None = None
    """The person heard this share or more."""
    never_called: bool = False
    """Also those who were never called; without another condition they alone."""

    @property
    def wants_called(self) -> bool:
        """Whether it holds people who were called."""
        return bool(self.dispositions or self.keys) or self.heard_below is not None or self.heard_above is not None

    def as_json(self) -> dict[str, Any]:
        """The conditions that are said, under their names."""
        said: dict[str, Any] = {
            "dispositions": [each.value for each in self.dispositions],
            "keys": list(self.keys),
            "never_called": self.never_called,
        }
        shares = {"heard_below": self.heard_below, "heard_above": self.heard_above}
        return {name: value for name, value in said.items() if value} | {
            name: share for name, share in shares.items() if share is not None
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Slice":
        """The other way round."""
        known = {name: value for name, value in said.items() if name in ("heard_below", "heard_above", "never_called")}
        dispositions = tuple(Disposition(each) for each in said.get("dispositions", ()))
        return cls(dispositions=dispositions, keys=tuple(said.get("keys", ())), **known)


Only = People | Slice
"""Which people of a campaign another one is for."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The people of a campaign that is not for its whole callbase: drawn once from an ended campaign."""

    from_campaign_id: UUID
    only: Only
    people: int
    """How many have been found."""
    is_complete: bool
    """False: the search goes on; those that are found can be called already."""


def only_as_json(only: Only) -> dict[str, Any] | str:
    """As clients and the store have it."""
    return only.value if isinstance(only, People) else only.as_json()


def only_from_json(said: Mapping[str, Any] | str) -> Only:
    """The other way round. Raises ValueError for a word that names no people."""
    return People(said) if isinstance(said, str) else Slice.from_json(said)
