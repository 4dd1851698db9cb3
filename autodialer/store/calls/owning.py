"""Whose a call is: kept with the call, so that a user's calls over all campaigns are found by an index."""

from collections.abc import Mapping

_HAND_OVER = """CREATE TRIGGER campaigns_handed_over AFTER UPDATE OF owner_key ON campaigns
WHEN NEW.owner_key <> OLD.owner_key
BEGIN
    UPDATE calls SET owner_key = NEW.owner_key WHERE campaign_key = NEW.key;
END"""

OWNING_TRIGGERS: Mapping[str, Mapping[str, str]] = {"sqlite": {"campaigns_handed_over": _HAND_OVER}}
"""Dialect -> name -> statement: a campaign that goes to another user takes its calls along."""
