"""What a row of each table is, a file for each group of tables."""
