"""One self-contained page about the published snapshot: `cronwax report`."""
