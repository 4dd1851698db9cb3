"""Statements that run at every tick of the dialer, compiled once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect
from sqlalchemy.sql.expression import UpdateBase


class Prepared:
    """A statement that changes rows, as its driver wants it.

    For each row of each execution, SQLAlchemy works out again which parameters there are and how to convert them; for
    statements of a few rows that costs more than the rows themselves.
    """

    def __init__(self, statement: UpdateBase, *, columns: Sequence[str] | None = None) -> None:
        """`columns` are those of an INSERT; an UPDATE names its parameters itself."""
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, Compiled] = {}

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> CursorResult[Any]:
        """Run it for each of the rows, of which there is at least one, in one go."""
        return self.run(connection, self.bind(connection.dialect, rows))

    def bind(self, dialect: Dialect, rows: Iterable[Mapping[str, Any]]) -> list[Any]:
        """The rows as the driver wants them: for bulk work, which does this before its transaction begins."""
        compiled = self._compiled_for(dialect)
        return [compiled.parameters(row) for row in rows]

    def run(self, connection: Connection, bound: list[Any]) -> CursorResult[Any]:
        """Run it for rows that `bind` made."""
        return connection.exec_driver_sql(self._compiled_for(connection.dialect).text, bound)

    def _compiled_for(self, dialect: Dialect) -> "Compiled":
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = Compiled(self._statement, self._columns, dialect)
        return compiled


class Compiled:
    """A statement for one dialect."""

    def __init__(self, statement: UpdateBase, columns: Sequence[str] | None, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self.text = str(compiled)
        self._turns: list[tuple[str, Callable[[Any], Any]]] = []
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        for name, bind in binds.items():
            # The conversion that SQLAlchemy would look up again for each row.
            turn = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if turn is not None:
                self._turns.append((name, turn))
        # Values that stand in the statement itself, such as a state that it sets.
        self._constants = {name: bind.value for name, bind in binds.items() if not bind.required}
        names = compiled.positiontup
        self._in_order: Callable[[Mapping[str, Any]], Any] | None = None
        if names:
            # Of a single name itemgetter makes no tuple.
            self._in_order = itemgetter(*names) if len(names) > 1 else lambda values: (values[names[0]],)

    def parameters(self, row: Mapping[str, Any]) -> Any:
        """One row's parameters: by position or by name, as the driver takes them."""
        values = {**self._constants, **row}
        for name, turn in self._turns:
            values[name] = turn(values[name])
        return values if self._in_order is None else self._in_order(values)
