"""The rules of cron monitoring, pure: no engine, broker, database, file or wall clock is known here."""
