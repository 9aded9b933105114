"""`cronwax serve`: everything that one machine needs, under one supervisor."""
