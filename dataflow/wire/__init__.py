"""Messages in and out: check-ins, controls, occurrences, dead letters."""
