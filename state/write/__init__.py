"""Records into DuckDB, in one transaction an epoch."""
