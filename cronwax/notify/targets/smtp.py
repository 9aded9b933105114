"""Mail over SMTP: one thread an incident, by Message-IDs that derive from what a mail is about."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import ClassVar, Literal

from pydantic import Field

from cronwax.notify.formats import html, plain
from cronwax.notify.notification import Notification
from cronwax.notify.secret_values import resolve
from cronwax.notify.targets.base import (
    READ_SECONDS,
    NoRefresh,
    RefusedError,
    RetryError,
    Sender,
    TargetConfig,
)

_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_TOO_BIG = 552
_PERMANENT = range(550, 560)
"""Answers about this mail or its recipients; others of 5xx (a login that is refused) a person can put right."""


class SmtpConfig(TargetConfig):
    """A mail server, and who gets mail through it."""

    secret_names: ClassVar[tuple[str, ...]] = ("username", "password")

    type: Literal["smtp"]
    host: str
    port: int | None = Field(default=None, ge=1, le=65_535)
    """Unset: 587 with starttls, 465 with tls, 25 with none."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = None
    sender: str
    """The address that mail comes from."""
    to: list[str] = Field(min_length=1)

    def check(self) -> str | None:
        """See TargetConfig."""
        for name, address in (("sender", self.sender), *(("to", each) for each in self.to)):
            if not _is_address(address):
                return f"{name}: must be a mail address such as ops@example.com"
        if self.username is not None and self.tls == "none":
            return "username: a password is only sent with tls = 'starttls' or 'tls'"
        return None

    def build(self) -> Sender:
        """See TargetConfig."""
        login = None
        if self.username is not None:
            login = resolve(self.username), resolve(self.password or "")
        return _Smtp(self, login)


class _Smtp(NoRefresh):
    """A connection for each mail: they are few, and a server ends what is idle."""

    def __init__(self, config: SmtpConfig, login: tuple[str, str] | None) -> None:
        self._config = config
        self._login = login

    def send(self, notification: Notification, now_s: float) -> str:
        try:
            mail = mail_of(notification, self._config.sender, self._config.to)
        except (MessageError, ValueError, UnicodeError) as error:
            raise RefusedError(f"no mail can be made of it ({type(error).__name__})") from None
        try:
            server = self._connected()
            try:
                refused = server.send_message(mail, self._config.sender, self._config.to)
                # It is taken: what the server says to a farewell makes no difference.
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    server.quit()
            finally:
                server.close()
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            self._refuse(f"all recipients are refused ({', '.join(map(str, codes))})", codes)
        except smtplib.SMTPAuthenticationError as error:
            raise RetryError(f"the login is refused ({error.smtp_code})") from None
        except smtplib.SMTPResponseException as error:
            self._refuse(f"it answers {error.smtp_code}", [error.smtp_code])
        except smtplib.SMTPException as error:
            raise RetryError(f"the conversation fails ({type(error).__name__})") from None
        except ssl.SSLError:
            raise RetryError("TLS fails: the certificate is not trusted, or it speaks no TLS") from None
        except OSError as error:
            raise RetryError(f"no connection: {error.strerror or type(error).__name__}") from None
        return f"{len(refused)} of {len(self._config.to)} recipients are refused" if refused else "250"

    def _connected(self) -> smtplib.SMTP:
        config = self._config
        port = config.port or _PORTS[config.tls]
        if config.tls == "tls":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(config.host, port, timeout=READ_SECONDS, context=context)
        else:
            server = smtplib.SMTP(config.host, port, timeout=READ_SECONDS)
        try:
            if config.tls == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self._login is not None:
                server.login(*self._login)
        except BaseException:
            server.close()
            raise
        return server

    def _refuse(self, reason: str, codes: list[int]) -> None:
        if codes and all(code in _PERMANENT and code != _TOO_BIG for code in codes):
            raise RefusedError(reason)
        raise RetryError(reason)


def mail_of(notification: Notification, sender: str, to: list[str]) -> EmailMessage:
    """A notification as a mail: text, and the same as HTML."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = notification.title
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(notification.created_ms / 1000, UTC))
    mail["Message-ID"] = message_id(notification.key, domain)
    if notification.thread != notification.key:
        mail["In-Reply-To"] = mail["References"] = message_id(notification.thread, domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(plain(notification) + "\n")
    mail.add_alternative(f"<html><body>\n{html(notification)}\n</body></html>\n", subtype="html")
    return mail


def message_id(key: str, domain: str) -> str:
    """The Message-ID of the notification of this key."""
    return f"<{key}@cronwax.{domain}>"


def _is_address(text: str) -> bool:
    try:
        address = Address(addr_spec=text)
    except (MessageError, ValueError, IndexError):
        return False
    return bool(address.username and address.domain) and text.isascii() and text.isprintable()
