"""Writes the page: `python -m state.report [--out FILE]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import duckdb

from state.errors import StateError, reason
from state.publish.snapshot import open_snapshot
from state.report.page import render_page
from state.report.record import read_day


def main(arguments: list[str] | None = None) -> int:
    """Write the page and say where it is; returns the exit status."""
    options = _parser().parse_args(arguments)
    out: Path = options.out or options.data_dir / "report.html"
    try:
        with open_snapshot(options.data_dir) as connection:
            page = render_page(read_day(connection))
        out.write_text(page, encoding="utf-8")
    except (StateError, duckdb.Error) as error:
        print(f"cronwax: {reason(error)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cronwax: {out}: cannot write: {reason(error)}", file=sys.stderr)
        return 1
    print(f"{out}: {len(page) / 1024:,.0f} KB, open it in any browser")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run.sh report", description="Write one HTML page about the published snapshot."
    )
    default = Path(os.environ.get("CRONWAX_DATA_DIR") or "data")
    parser.add_argument("--data-dir", type=Path, default=default, help="the flow's data folder (%(default)s)")
    parser.add_argument("--out", type=Path, help="the file to write (report.html in the data folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
