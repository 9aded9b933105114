"""What those who run the flow see of it: logs, metrics, and a watchdog that says when it is blind."""
