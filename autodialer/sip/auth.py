"""The credentials of one call: which challenges were answered, with which nonce, and whether to try again."""

from autodialer.sip.digest import authorize, choose, parse_challenges
from autodialer.sip.hop import Hop
from autodialer.sip.message import Response
from autodialer.sip.nonces import Nonce, Space
from autodialer.sip.stack import Stack

_HEADERS = {"www-authenticate": "Authorization", "proxy-authenticate": "Proxy-Authorization"}
_MAX_TRIES = 2
"""Digest tries of one request; one more when the password was right and only the nonce too old."""

NO_CREDENTIALS = "the gateway asks for a user name and password, and none are set"
NO_USABLE_CHALLENGE = "the gateway asks for a kind of authentication that is not supported"
REFUSED = "the gateway refused the user name or password"


class Authenticator:
    """Answers the challenges of all requests of one call (RFC 3261 section 22); what they teach is the trunk's."""

    def __init__(self, stack: Stack, credentials: tuple[str, str] | None) -> None:
        self._stack = stack
        self._credentials = credentials
        self._answered: dict[Space, Nonce] = {}
        """What this call was asked."""
        self.start_request()

    def start_request(self) -> None:
        """A new request begins: it may be challenged afresh, though what is known is sent along."""
        self._asked: dict[Space, Nonce] = {}
        """What this request was asked: it is answered with that nonce and with no newer one."""
        self._tries = 0
        self._stale_used = False
        self._is_ahead = False
        """It left with a nonce that this call was not asked for."""

    def is_challenged(self, response: Response, hop: Hop) -> bool:
        """Whether `learn` has something to take in from a response to a request that went to `hop`.

        Some servers take a nonce that they have not set in this very call for a replay and answer 403. That is found
        out once a server: the request leaves again without credentials, and then each begins without.
        """
        if response.code in (401, 407):
            return True
        if not self._is_ahead or self._tries:
            return False
        # A 100 tells nothing: a server may send it before it looks at credentials.
        if 180 <= response.code < 300:
            self._stack.nonces.learn_ahead(hop.host, taken=True)
        return response.code == 403 and self._stack.nonces.takes_ahead(hop.host) is None

    def learn(self, response: Response, hop: Hop) -> str | None:
        """Take in a challenge. None: send the request again; else one sentence that says why that is useless."""
        if self._credentials is None:
            return NO_CREDENTIALS
        if response.code == 403:
            self._stack.nonces.learn_ahead(hop.host, taken=False)
            self._answered.clear()
            self._is_ahead = False
            return None
        chosen = {
            (header, challenge.realm): challenge
            for name, header in _HEADERS.items()
            for challenge in choose(parse_challenges(response.headers.get(name, [])))
        }
        if not chosen:
            return NO_USABLE_CHALLENGE
        # Asked again, the same password is wrong again, unless the server says that only the nonce was too old. It may
        # say so once: more often would be a loop.
        again = bool(chosen.keys() & self._asked.keys())
        stale = all(challenge.stale for challenge in chosen.values()) and not self._stale_used
        if (again and not stale) or self._tries >= _MAX_TRIES + stale:
            return REFUSED
        self._stale_used = self._stale_used or again
        self._tries += 1
        for space, challenge in chosen.items():
            nonce = self._stack.nonces.learn(hop.host, space, challenge, self._stack.token())
            self._asked[space] = self._answered[space] = nonce
        return None

    def tries_again(self, response: Response, hop: Hop) -> bool:
        """Whether to send the request again, now that this response came from `hop`."""
        return self.is_challenged(response, hop) and self.learn(response, hop) is None

    def lines(self, method: str, uri: str, hop: Hop) -> tuple[str, ...]:
        """Authorization and Proxy-Authorization header lines for a request that leaves now for `hop`."""
        if self._credentials is None:
            return ()
        ahead = self._stack.nonces.ahead(hop.host)
        # The right-hand one wins: a nonce that this very request was asked to use, then the server's newest, then the
        # call's earlier one.
        nonces = self._answered | ahead | self._asked
        self._is_ahead = any(nonce is not self._answered.get(space) for space, nonce in ahead.items())
        return tuple(f"{space[0]}: {self._answer(nonce, method, uri)}" for space, nonce in nonces.items())

    def _answer(self, nonce: Nonce, method: str, uri: str) -> str:
        assert self._credentials is not None
        username, password = self._credentials
        return authorize(
            nonce.challenge,
            username=username,
            password=password,
            method=method,
            uri=uri,
            nonce_count=self._stack.nonces.count(nonce),
            cnonce=nonce.cnonce,
        )
