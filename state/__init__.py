"""What analysts see: tables in DuckDB, their writer, and the published snapshot."""
