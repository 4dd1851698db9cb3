"""The API: one attribute a subject, one method of it an operation. No HTTP in here.

Typed values come in, the JSON's values go out. What changes something writes to the audit in the same transaction;
what makes something takes `once`, the client's Idempotency-Key: a repeated request gets the object of the first one.
"""

from autodialer.api.accounts import Accounts
from autodialer.api.api_keys import ApiKeys
from autodialer.api.callbases import Callbases
from autodialer.api.calls import Calls
from autodialer.api.campaigns import Campaigns
from autodialer.api.context import Context
from autodialer.api.idempotency import Once
from autodialer.api.notices import Notices
from autodialer.api.people import People
from autodialer.api.prototype import Prototype
from autodialer.api.reports import PeriodReports
from autodialer.api.second_factor import SecondFactor
from autodialer.api.sessions import Sessions
from autodialer.api.sounds import SoundFiles, Sounds
from autodialer.api.subscribers import Subscribers
from autodialer.api.tables import Tables
from autodialer.api.trunks import Trunks
from autodialer.api.webhooks import Webhooks
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.imports.imports import Imports
from autodialer.store import Store
from autodialer.web.credentials import Credentials
from autodialer.web.limiter import GuessLimiter
from autodialer.web.oauth import Passwords, TokenEndpoint
from autodialer.web.second_step import SecondStep
from autodialer.web.signing_keys import SigningKeys
from autodialer.web.tokens import AccessTokens


class Api:
    """The operations, on one store and one data folder."""

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        clock = clock or Clock()
        context = Context(settings=settings, store=store, clock=clock, once=Once(store))
        tokens = AccessTokens(store, SigningKeys(settings.keys, clock), issuer=settings.base_url, clock=clock)
        self.credentials = Credentials(store, tokens)
        limiter = GuessLimiter(clock)
        passwords, second_step = Passwords(store, limiter), SecondStep(store, limiter, clock)
        sound_files = SoundFiles(settings, store)
        self._imports = Imports(settings, store)

        self.accounts = Accounts(context, passwords, TokenEndpoint(store, tokens, passwords, second_step), sound_files)
        self.second_factor = SecondFactor(context, passwords, second_step)
        self.api_keys = ApiKeys(context)
        self.sessions = Sessions(context)
        self.trunks = Trunks(context)
        self.sounds = Sounds(context, sound_files)
        self.callbases = Callbases(context, self._imports)
        self.subscribers = Subscribers(context)
        self.campaigns = Campaigns(context, sound_files)
        self.reports = PeriodReports(context)
        self.calls = Calls(context)
        self.people = People(context, self._imports)
        self.tables = Tables(context)
        self.webhooks = Webhooks(context)
        self.notices = Notices(context)
        self.prototype = Prototype(context, self.accounts, sound_files)

    def imported_rows(self) -> dict[tuple[str, str], int]:
        """Rows of tables imported since the start, for the metrics; see `Imports.tally`."""
        return self._imports.tally

    def close(self) -> None:
        """End what goes on in the background."""
        self._imports.stop()
