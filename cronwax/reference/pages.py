"""Which pages there are, and how a page is put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cronwax.reference.commands import commands_page
from cronwax.reference.errors import errors_page
from cronwax.reference.limits import limits_page
from cronwax.reference.messages import messages_page
from cronwax.reference.metrics import metrics_page
from cronwax.reference.settings import settings_page

FOLDER = Path("docs") / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "errors.md": errors_page,
    "messages.md": messages_page,
    "limits.md": limits_page,
}
"""File name and maker of each page. A new page is one line here."""


def write_pages(root: Path) -> list[Path]:
    """Write all pages below the checkout `root`; returns the files that changed."""
    changed = []
    for name, page in PAGES.items():
        path, text = root / FOLDER / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed
