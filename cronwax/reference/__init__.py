"""The reference pages under docs/reference/, made from the code: `python -m cronwax.reference`.

A page says only what the code says of itself: a setting's docstring, a metric's help text, an error type's docstring.
`tests/reference` fails when a page and the code differ.
"""
