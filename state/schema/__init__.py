"""What the tables are: catalogue, SQL, versions and upgrades, data dictionary, views."""
