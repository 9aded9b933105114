"""One run of a job by sentry-sdk, of any version that has check-ins, with CRONWAX_DSN and CRONWAX_JOB."""

import os
from typing import Any

import sentry_sdk
from sentry_sdk.crons import capture_checkin

sentry_sdk.init(dsn=os.environ["CRONWAX_DSN"], environment="live")
config = {"schedule": {"type": "interval", "value": 1, "unit": "day"}}
with_config: dict[str, Any] = {} if sentry_sdk.VERSION.startswith("1.17.") else {"monitor_config": config}
begun = capture_checkin(monitor_slug=os.environ["CRONWAX_JOB"], status="in_progress", **with_config)
capture_checkin(
    monitor_slug=os.environ["CRONWAX_JOB"], check_in_id=begun, status="ok", duration=0, **with_config
)
sentry_sdk.flush(5)
