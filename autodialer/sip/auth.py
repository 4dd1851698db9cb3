"""The credentials of one call: which challenges were answered, with which nonce, and whether to try again."""

from dataclasses import dataclass

from autodialer.sip.digest import Challenge, authorize, choose, parse_challenges
from autodialer.sip.message import Response
from autodialer.sip.stack import Stack

_HEADERS = {"www-authenticate": "Authorization", "proxy-authenticate": "Proxy-Authorization"}
_MAX_TRIES = 2
"""Digest tries of one request; one more when the password was right and only the nonce too old."""

NO_CREDENTIALS = "the gateway asks for a user name and password, and none are set"
NO_USABLE_CHALLENGE = "the gateway asks for a kind of authentication that is not supported"
REFUSED = "the gateway refused the user name or password"


@dataclass(kw_only=True, slots=True)
class _Answered:
    challenge: Challenge
    cnonce: str
    count: int = 0


class Authenticator:
    """Answers challenges of all requests of one call (RFC 3261 section 22)."""

    def __init__(self, stack: Stack, credentials: tuple[str, str] | None) -> None:
        self._stack = stack
        self._credentials = credentials
        self._answered: dict[tuple[str, str], _Answered] = {}
        """Header of ours and realm -> what we answer there."""
        self.start_request()

    def start_request(self) -> None:
        """A new request begins: it may be challenged afresh, though what is known is sent along."""
        self._tried: set[tuple[str, str]] = set()
        self._tries = 0
        self._stale_used = False

    def learn(self, response: Response) -> str | None:
        """Take in a 401 or 407. None: send the request again; else one sentence that says why that is useless."""
        if self._credentials is None:
            return NO_CREDENTIALS
        chosen = [
            (header, challenge)
            for name, header in _HEADERS.items()
            for challenge in choose(parse_challenges(response.headers.get(name, [])))
        ]
        if not chosen:
            return NO_USABLE_CHALLENGE
        keys = {(header, challenge.realm) for header, challenge in chosen}
        stale = all(challenge.stale for _, challenge in chosen) and not self._stale_used
        if (keys & self._tried and not stale) or self._tries >= _MAX_TRIES + stale:
            return REFUSED
        self._stale_used = self._stale_used or bool(keys & self._tried)
        self._tried |= keys
        self._tries += 1
        for header, challenge in chosen:
            self._answered[header, challenge.realm] = _Answered(challenge=challenge, cnonce=self._stack.token())
        return None

    def lines(self, method: str, uri: str) -> tuple[str, ...]:
        """Authorization and Proxy-Authorization header lines for a request that leaves now."""
        if self._credentials is None or not self._answered:
            return ()
        username, password = self._credentials
        lines = []
        for (header, _), answered in self._answered.items():
            answered.count += 1
            value = authorize(
                answered.challenge,
                username=username,
                password=password,
                method=method,
                uri=uri,
                nonce_count=answered.count,
                cnonce=answered.cnonce,
            )
            lines.append(f"{header}: {value}")
        return tuple(lines)
