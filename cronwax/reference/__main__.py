"""Writes the reference pages into the checkout: `python -m cronwax.reference` (`./run.sh reference`)."""

from __future__ import annotations

import sys
from pathlib import Path

from cronwax.reference.pages import write_pages


def main() -> int:
    """Write the pages, and say which changed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "docs").is_dir():
        print("cronwax: reference: there is no docs folder; run it in a checkout", file=sys.stderr)
        return 2
    for path in write_pages(root):
        print(f"wrote {path.relative_to(root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
