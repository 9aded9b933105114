"""One self-contained page about the published snapshot: `python -m state.report` (`./run.sh report`)."""
