"""The intake's own settings: environment variables with the prefix `CRONWAX_`, beside those of the flow."""

from __future__ import annotations

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from dataflow.settings import PREFIX, SettingsError


class IntakeSettings(BaseSettings):
    """What can be set about the intake. Their names are in `dataflow.settings.INTAKE_NAMES` too."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    intake_host: str = "127.0.0.1"
    """Where it listens: loopback, until somebody says otherwise."""
    intake_port: int = Field(default=8000, ge=0, le=65_535)
    """0: any port that is free; the log says which."""
    intake_root_path: str = Field(default="", pattern=r"^(/[^/\s]+)*$")
    """A prefix of all paths, where a proxy does not take it off."""
    intake_trusted_proxies: str = ""
    """Addresses of proxies, with commas, whose `X-Forwarded-For` and `X-Forwarded-Proto` count; none otherwise."""
    intake_max_connections: int = Field(default=12_000, ge=1, le=1_000_000)
    """Open connections from which on new ones are answered 503."""
    intake_segment_mib: int = Field(default=64, ge=1, le=1_024)
    """The size at which a segment of the log is followed by another one, in MiB."""

    @classmethod
    def load(cls, **given: object) -> IntakeSettings:
        """Read the environment; what is `given` wins. Raises SettingsError, one line that names what is wrong."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            reasons = [f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in details]
            raise SettingsError("; ".join(reasons)) from None
