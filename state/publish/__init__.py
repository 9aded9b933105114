"""The snapshot that readers open: copied, assembled, renamed into place."""
