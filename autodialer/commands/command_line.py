"""The command line of main.py."""

import argparse
from collections.abc import Sequence


def read_command(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What main.py is told on its command line; a line without a command has `command=None`."""
    parser = argparse.ArgumentParser(
        prog="main.py", description="The outbound dialer. Without a command: run the service."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser("demo", help="show the whole main job without a provider")
    demo.add_argument("--exit", action="store_true", help="end after the report instead of staying up")
    commands.add_parser("serve", help="run the API alone")
    password = commands.add_parser("set-password", help="give a user a password")
    password.add_argument("login")
    password.add_argument("--reset-mfa", action="store_true", help="and take a lost second factor away")
    rotation = commands.add_parser(
        "rotate-key", help="sign access tokens by a new key; it happens by itself every 90 days"
    )
    rotation.add_argument("--forget", action="store_true", help="the old key was stolen: refuse what it signed at once")
    trace = commands.add_parser("trace", help="print the SIP messages of a call")
    trace.add_argument("call_id", metavar="ID", help="as GET /srv1/campaigns/{id}/calls tells it")
    plan = commands.add_parser("numbering-plan", help="take the Russian regulator's numbering plan, for time zones")
    plan.add_argument("file", metavar="FILE", nargs="?", help="a CSV as it is published; without one: what is there")
    backup = commands.add_parser("backup", help="write database, sounds and keys to a file, while the service runs")
    backup.add_argument("file", metavar="FILE", help="a new file; packed if its name ends with .gz or .tgz")
    restore = commands.add_parser("restore", help="put a backup in place, while the service is stopped")
    restore.add_argument("file", metavar="FILE", help="of `backup`, or a database kept before an upgrade")
    restore.add_argument("--force", action="store_true", help="move what is in place aside (it is kept)")
    commands.add_parser("doctor", help="say what of this machine helps or hinders the service")
    return parser.parse_args(arguments)
