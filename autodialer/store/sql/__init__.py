"""How the store speaks to its database: engine, transactions, column types, prepared statements, pages, states."""
