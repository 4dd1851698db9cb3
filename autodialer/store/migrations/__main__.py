"""Write the next migration from what the tables have become: python -m autodialer.store.migrations what-changes."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from autodialer.store.migrations import FOLDER, make_config, migrate
from autodialer.store.sql.engine import make_engine


def main(arguments: list[str]) -> int:
    """Compare a database that all migrations made with the tables; the difference is the new migration, to be read."""
    if len(arguments) != 1:
        sys.stderr.write("python -m autodialer.store.migrations WHAT-CHANGES\n")
        return 2
    newest = max(int(path.name[1:5]) for path in (FOLDER / "versions").glob("v*.py"))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'db.sqlite3'}"
        migrate(url)
        engine = make_engine(url, synchronous="NORMAL", busy_timeout_s=1.0)
        with engine.connect() as connection:
            made = command.revision(
                make_config(connection), message=arguments[0], autogenerate=True, rev_id=f"{newest + 1:04}"
            )
        engine.dispose()
    scripts = made if isinstance(made, list) else [made]
    sys.stderr.writelines(f"{script.path}\n" for script in scripts if script is not None)
    sys.stderr.write("Read it, and add by hand what cannot be seen from the tables: triggers, and data.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
