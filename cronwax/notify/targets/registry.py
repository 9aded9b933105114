"""All kinds of target. A new one is one line here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cronwax.notify.targets.alertmanager import AlertmanagerConfig
from cronwax.notify.targets.apprise_url import AppriseConfig
from cronwax.notify.targets.pagerduty import PagerDutyConfig
from cronwax.notify.targets.smtp import SmtpConfig
from cronwax.notify.targets.webhook import WebhookConfig

AnyTarget = Annotated[
    AppriseConfig | WebhookConfig | AlertmanagerConfig | SmtpConfig | PagerDutyConfig,
    Field(discriminator="type"),
]
"""By its key `type`."""
