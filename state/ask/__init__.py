"""Asking the published snapshot: SQL, named questions, the prompt, and why."""
