"""Old rows: closed hours in Parquet files, late rows, compaction, retention."""
