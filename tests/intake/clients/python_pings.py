"""Pings by healthchecks-decorator: a job that goes well, and one that fails."""

import contextlib
import os

from healthchecks_decorator import healthcheck

url = os.environ["CRONWAX_PING"]


@healthcheck(url=f"{url}/decorated-well", send_start=True, send_diagnostics=True)
def well():
    return {"rows": 17}


@healthcheck(url=f"{url}/decorated-badly")
def badly():
    raise ValueError("no money")


well()
with contextlib.suppress(ValueError):
    badly()
