"""Kinds of target: who can be told. A new kind is one module, and one line in `registry`."""
