"""Where metrics go: read once at the edge, validated.

`DD_ENV`, `DD_SERVICE`, `DD_VERSION`, `DATADOG_TAGS`, `DD_ENTITY_ID` and the origin-detection
variables are deliberately not here: the client library reads them itself.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Bytes that the path of a Unix socket holds.
_SOCKET_PATH_LIMIT = 107

_EXAMPLES = "use unix:///var/run/datadog/dsd.socket or udp://localhost:8125"


class MetricsSettings(BaseSettings):
    """The address of the agent, and the switch."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    enabled: bool = Field(
        default=True,
        validation_alias=AliasChoices("OPENCODE_MEM_METRICS", "enabled"),
        description="Send metrics; 0 switches them off.",
    )
    agent_host: str = Field(
        default="localhost",
        validation_alias=AliasChoices("DD_AGENT_HOST", "agent_host"),
        description="Host of the Datadog agent, for UDP.",
    )
    dogstatsd_port: int = Field(
        default=8125,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("DD_DOGSTATSD_PORT", "dogstatsd_port"),
        description="The agent's DogStatsD port, for UDP.",
    )
    dogstatsd_url: str = Field(
        default="",
        validation_alias=AliasChoices("DD_DOGSTATSD_URL", "dogstatsd_url"),
        description="Whole address, `unix:///path` or `udp://host:port`; wins over host and port.",
    )

    @field_validator("agent_host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        if any(mark in value for mark in "/ \t\n@"):
            raise ValueError(
                "is not a host name or address; for a whole address set DD_DOGSTATSD_URL"
            )
        return value

    @field_validator("dogstatsd_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value:
            return value
        url = urlsplit(value)
        match url.scheme:
            case "udp":
                try:
                    port = url.port
                except ValueError as fault:
                    raise ValueError(f"has no valid port; {_EXAMPLES}") from fault
                if not url.hostname or port == 0 or url.path not in ("", "/"):
                    raise ValueError(f"is not udp://host:port; {_EXAMPLES}")
            case "unix" | "unixgram" | "unixstream":
                path = value.partition("://")[2]
                if not path.startswith("/") or "\0" in path:
                    raise ValueError(f"needs an absolute path after {url.scheme}://; {_EXAMPLES}")
                if len(path.encode()) > _SOCKET_PATH_LIMIT:
                    raise ValueError(
                        f"has a path over {_SOCKET_PATH_LIMIT} bytes; use a shorter one"
                    )
            case _:
                raise ValueError(f"has an unknown scheme; {_EXAMPLES}")
        return value

    @property
    def socket_path(self) -> str:
        """The Unix socket's address, its scheme included; empty for UDP."""
        return self.dogstatsd_url if self.dogstatsd_url.startswith("unix") else ""

    @property
    def host(self) -> str:
        """The host that UDP goes to."""
        return urlsplit(self.dogstatsd_url).hostname or self.agent_host

    @property
    def port(self) -> int:
        """The port that UDP goes to."""
        if self.dogstatsd_url.startswith("udp:"):
            return urlsplit(self.dogstatsd_url).port or 8125
        return self.dogstatsd_port
