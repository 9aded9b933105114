"""The notifier: what the flow sends becomes messages to people, once, by routes (`cronwax notify`, docs/notify.md)."""
