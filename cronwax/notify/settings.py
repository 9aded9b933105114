"""The notifier's own settings: environment variables with the prefix `CRONWAX_`, beside those of the flow."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from dataflow.settings import PREFIX, Settings, SettingsError

DEFAULT_NAME = "notify.toml"
"""The routes file in the data folder, where CRONWAX_NOTIFY_PATH names no other."""


class NotifySettings(BaseSettings):
    """What can be set about the notifier. Their names are in `dataflow.settings.NOTIFY_NAMES` too."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    notify_path: Path | None = None
    """The routes file of the notifier (docs/notify.md); unset: `notify.toml` in the data folder."""
    notify_metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    """Port on loopback at which `cronwax notify` shows its metrics; unset: none."""

    @classmethod
    def load(cls) -> NotifySettings:
        """Read the environment. Raises SettingsError, one line that names what is wrong."""
        try:
            return cls()
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            reasons = [f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in details]
            raise SettingsError("; ".join(reasons)) from None


def routes_path(settings: Settings, own: NotifySettings) -> Path:
    """The routes file: the one that is set, else the one in the data folder (which may not be there)."""
    return own.notify_path or settings.data_dir / DEFAULT_NAME
