"""`python main.py rotate-key`: another key for the access tokens, while the service runs or not."""

from contextlib import closing

from autodialer.clock import Clock
from autodialer.commands.accounts import say
from autodialer.config import Settings
from autodialer.errors import Unavailable
from autodialer.store import Secrets, Store, migrate
from autodialer.web.signing_keys import KEY_FILE, rotate


def rotate_key(settings: Settings, *, forget: bool) -> int:
    """Make a new key; with `forget` the tokens signed by the old one end at once. The exit status."""
    clock = Clock()
    migrate(settings.url)
    with closing(Store(settings.url, secrets=Secrets(settings.keys))) as store:
        try:
            key = rotate(settings.keys, clock.utcnow(), forget=forget)
        except OSError as exc:
            raise Unavailable(f"{settings.keys / KEY_FILE} cannot be written ({exc.strerror}).") from exc
        # By nobody: the console knows no user of the API.
        store.audit.append(None, "keys.rotate", details={"kid": key.kid, "forget": forget})
    say(f"Access tokens are now signed by the key {key.kid}; a running service takes it at its next token.")
    if forget:
        say("Those signed by the old key are refused; clients get new ones by their refresh tokens.")
    return 0
