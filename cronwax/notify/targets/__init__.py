"""Kinds of target: who can be notified. A new kind is one module, and one line in `registry`."""
