"""The process around the flow: starting, checks before the start, the recovery store, the engine's output, ending."""
