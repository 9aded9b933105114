"""`python -m cronwax`: the same as the command `cronwax`."""

from __future__ import annotations

import sys

from cronwax.main import main

sys.exit(main())
