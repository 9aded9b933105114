"""What became of the mutants of the rules: `python -m tests.mutants`, after mutmut has run (`./run.sh mutants`).

A mutant is a copy of one function with one small change. It dies if a test fails with it. One that survives shows a
line that no test misses, or a change that means the same.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

FOLDER = Path("mutants")
AIM = 0.85
"""The share of mutants that shall die."""
_SURVIVED, _NO_TEST = 0, 33
"""mutmut's exit codes: all tests passed; no test comes to the function. Any other says that the mutant died, by a test
that failed or that did not end."""


def main() -> int:
    """Print the share that died, by module, and the names of the survivors; 1 if too few have died."""
    dead, alive = Counter[str](), Counter[str]()
    survivors: list[str] = []
    for path in sorted(FOLDER.rglob("*.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        module = path.name.removesuffix(".py.meta")
        for name, code in codes.items():
            if code in (_SURVIVED, _NO_TEST):
                alive[module] += 1
                survivors.append(f"{name}{'  (no test comes here)' if code == _NO_TEST else ''}")
            elif code is not None:  # None: not part of this run
                dead[module] += 1
    for name in survivors:
        print(name)
    for module in sorted({*dead, *alive}):
        print(f"{module:20} {dead[module]:5} of {dead[module] + alive[module]:5} died")
    total = dead.total() + alive.total()
    if not total:
        print("no mutant has been tested", file=sys.stderr)
        return 2
    print(f"{'all':20} {dead.total():5} of {total:5} died: {dead.total() / total:.1%} (aim: {AIM:.0%})")
    return int(dead.total() / total < AIM)


if __name__ == "__main__":
    sys.exit(main())
