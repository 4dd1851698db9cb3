"""What a client shows in its Authorization header: an access token or an API key, told apart by how they begin."""

import logging

from autodialer.errors import Unavailable
from autodialer.model import SCOPES_OF
from autodialer.store import Store
from autodialer.store.accounts.api_keys import MARK, is_well_formed
from autodialer.web.caller import Caller
from autodialer.web.tokens import AccessTokens, bearer_token, refused

logger = logging.getLogger(__name__)


class Credentials:
    """Finds the caller of a request."""

    def __init__(self, store: Store, tokens: AccessTokens) -> None:
        self._store = store
        self.tokens = tokens

    def check(self, authorization: str, *, address: str | None) -> Caller:
        """The sender of an Authorization header. Raises Unauthorized."""
        text = bearer_token(authorization)
        if not text.startswith(MARK):
            return self.tokens.check(text, address=address)
        holder = self._store.api_keys.holder(text) if is_well_formed(text) else None
        if holder is None:
            raise refused("There is no such API key: it was mistyped, revoked or has expired, or its user has gone.")
        if holder.is_use_due:
            try:
                self._store.api_keys.write_use(holder.key_id)
            except Unavailable as exc:
                # To know the time of the last use is not worth a refused request; the next one writes it.
                logger.warning("the use of API key %s could not be written down: %s", holder.key_id, exc)
        scopes = holder.scopes & frozenset(SCOPES_OF[holder.user.role])
        return Caller(user=holder.user, family_id=None, address=address, scopes=scopes, key_id=holder.key_id)

    def check_form(self, authorization: str) -> None:
        """A quick look at an Authorization header, without the store. Raises Unauthorized for what cannot be good."""
        text = bearer_token(authorization)
        if text.startswith(MARK):
            if not is_well_formed(text):
                raise refused()
        else:
            self.tokens.check_signature(text)
