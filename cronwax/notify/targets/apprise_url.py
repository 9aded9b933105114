"""The services that Apprise knows, some hundred of them: Slack, Teams, Telegram, Discord, ntfy and so on, each by its
URL."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from cronwax.notify.formats import html, markdown, plain
from cronwax.notify.notification import Notification
from cronwax.notify.secret_values import Redactor, SecretError, resolve
from cronwax.notify.targets.base import NoRefresh, RefusedError, RetryError, Sender, TargetConfig

_KINDS = {"ends": "success", "digest": "warning", "reminds": "warning", "notes": "warning"}
"""Apprise's word (its colour, mostly) for what a notification does; else failure."""
_ERROR = re.compile(r"error=(\d{3})")
_REFUSALS = frozenset(("400", "413", "422"))
_LOGGER = "apprise"
_FORBIDDEN = frozenset(("windows", "macosx", "dbus", "kde", "qt", "glib", "gnome", "syslog", "file"))
"""Services of the machine itself: nobody sees them where a server runs."""


class AppriseConfig(TargetConfig):
    """A URL of Apprise's."""

    secret_names: ClassVar[tuple[str, ...]] = ("url",)

    type: Literal["apprise"]
    url: str

    def check(self) -> str | None:
        """See TargetConfig."""
        url = resolve(self.url)
        if _instantiated(url) is not None:
            return None
        scheme = urlsplit(url).scheme if "://" in url else ""
        if scheme and _is_known(scheme):
            return f"the URL lacks something that {scheme}:// needs"
        return (
            f"there is no service {scheme}://"
            if scheme
            else "must be a URL of Apprise's, such as slack://..."
        )

    def build(self) -> Sender:
        """See TargetConfig."""
        plugin = _instantiated(resolve(self.url))
        if plugin is None:
            raise SecretError("its URL is none of Apprise's")
        return _Apprise(plugin, self.redactor())


class _Apprise(NoRefresh):
    def __init__(self, plugin: Any, redact: Redactor) -> None:
        self._plugin = plugin
        self._redact = redact

    def send(self, notification: Notification, now_s: float) -> str:
        # What the service takes by itself, or what its URL asks for (?format=markdown).
        form = str(self._plugin.resolve_format().value)
        body = _FORMS[form](notification)
        complaints = _Complaints()
        logger = logging.getLogger(_LOGGER)
        logger.addHandler(complaints)
        try:
            is_taken = self._plugin.notify(
                body=body,
                title=notification.title,
                notify_type=_KINDS.get(notification.does, "failure"),
                body_format=form,
            )
        except TypeError as error:  # Apprise's own word for a message that it cannot send
            raise RefusedError(f"Apprise cannot send it: {self._redact(str(error))}") from None
        except Exception as error:
            # What a plugin of somebody else's raises is not known beforehand.
            raise RetryError(f"Apprise fails ({type(error).__name__})") from None
        finally:
            logger.removeHandler(complaints)
        if is_taken:
            return "taken"
        reason = self._redact("; ".join(complaints.said)) or "the service did not take it"
        found = _ERROR.search(reason)
        if found and found[1] in _REFUSALS:
            raise RefusedError(reason)
        raise RetryError(reason)


_FORMS = {"text": plain, "markdown": markdown, "html": html}
"""By Apprise's names."""


class _Complaints(logging.Handler):
    """What Apprise says in this thread while it sends: the only place where it says why something failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.said) < 3:
            self.said.append(record.getMessage()[:300])


def _instantiated(url: str) -> Any:
    """Apprise's object for a URL; None if it knows none. It complains of a wrong one by its log, which nobody sees."""
    import apprise  # slow to import

    logger = logging.getLogger(_LOGGER)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme in _FORBIDDEN:
        return None
    return apprise.Apprise.instantiate(url, suppress_exceptions=True)


def _is_known(scheme: str) -> bool:
    from apprise.manager_plugins import NotificationManager

    manager: Any = NotificationManager
    return scheme in manager().schemas() and scheme not in _FORBIDDEN
