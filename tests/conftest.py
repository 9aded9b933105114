"""Puts the project and the tests' own helpers on the path."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
for folder in (ROOT, ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
