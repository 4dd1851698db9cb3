"""At start: a prototype's database in place of ours is taken over, and the console says what came of it."""

from autodialer.commands.accounts import say, say_administrator
from autodialer.config import Settings
from autodialer.takeover.takeover import take_over


def take_over_prototype(settings: Settings) -> None:
    """Take a prototype's database over, if there is one. Raises SettingsError, Unavailable as `take_over`."""
    done = take_over(settings)
    if done is None:
        return
    for sentence in done.sentences():
        say(sentence)
    if done.admin_password:
        say_administrator(done.admin, done.admin_password)
