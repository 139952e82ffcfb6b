"""Settings of the bridge: read once at the edge, validated, defaults as in the contract.

Durations keep the unit that their variable's name carries; a property gives seconds.
"""

from __future__ import annotations

import os
from typing import Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from memory_manager import contract
from memory_manager.settings import with_usable_port

_RAW = "OPENCODE_MEM_RAW_EVENTS_"


def _names(field: str, variable: str) -> AliasChoices:
    return AliasChoices(field, variable)


class BridgeSettings(BaseSettings):
    """How the bridge answers, caches, flushes and ends."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    disabled: bool = Field(
        default=False,
        validation_alias=_names("disabled", "OPENCODE_MEM_DISABLED"),
        description="1: every hook replies `disabled` and does nothing.",
    )
    socket: str = Field(
        default_factory=lambda: contract.socket_path(os.environ, os.getuid()),
        validation_alias=_names("socket", "OPENCODE_MEM_SOCKET"),
        description="The bridge's Unix socket.",
    )
    chat_deadline_ms: int = Field(
        default=800,
        ge=20,
        le=60_000,
        validation_alias=_names("chat_deadline_ms", "OPENCODE_MEM_CHAT_DEADLINE_MS"),
        description="Longest time a `chat:start` hook may take, in ms.",
    )
    hook_deadline_ms: int = Field(
        default=250,
        ge=20,
        le=60_000,
        validation_alias=_names("hook_deadline_ms", "OPENCODE_MEM_HOOK_DEADLINE_MS"),
        description="Longest time any other hook may take, in ms.",
    )
    context_tokens: int = Field(
        default=1500,
        ge=100,
        le=100_000,
        validation_alias=_names("context_tokens", "OPENCODE_MEM_CONTEXT_TOKENS"),
        description="Budget of the injected context, in tokens.",
    )
    inject: Literal["message", "system", "off"] = Field(
        default="message",
        validation_alias=_names("inject", "OPENCODE_MEM_INJECT"),
        description="Where the context goes; `off`: events are recorded, nothing is injected.",
    )
    cache_ttl_s: int = Field(
        default=300,
        ge=1,
        le=86_400,
        validation_alias=_names("cache_ttl_s", "CACHE_TTL_SECONDS"),
        description="Life of a cached answer, in seconds.",
    )
    valkey_url: str = Field(
        default="",
        pattern=r"^((valkey|valkeys|redis|rediss|unix)://.+)?$",
        validation_alias=_names("valkey_url", "VALKEY_URL"),
        description="Valkey server; empty (with no host either): the embedded one.",
    )
    valkey_host: str = Field(
        default="",
        validation_alias=_names("valkey_host", "VALKEY_HOST"),
        description="Valkey host, when no URL is given.",
    )
    valkey_port: int = Field(
        default=6380,
        ge=1,
        le=65_535,
        validation_alias=_names("valkey_port", "VALKEY_PORT"),
        description="Valkey port, with the host.",
    )
    idle_exit_s: int = Field(
        default=1800,
        ge=0,
        le=31_536_000,
        validation_alias=_names("idle_exit_s", "OPENCODE_MEM_IDLE_EXIT_S"),
        description="The bridge ends after this long without a client and with nothing pending; 0: never.",
    )
    auto_flush: bool = Field(
        default=True,
        validation_alias=_names("auto_flush", _RAW + "AUTO_FLUSH"),
        description="Flush without being asked.",
    )
    debounce_ms: int = Field(
        default=60_000,
        ge=0,
        le=86_400_000,
        validation_alias=_names("debounce_ms", _RAW + "DEBOUNCE_MS"),
        description="Quiet time of a session before its flush, in ms.",
    )
    sweeper: bool = Field(
        default=True,
        validation_alias=_names("sweeper", _RAW + "SWEEPER"),
        description="Flush sessions whose idle marker never came.",
    )
    sweeper_idle_ms: int = Field(
        default=120_000,
        ge=0,
        le=86_400_000,
        validation_alias=_names("sweeper_idle_ms", _RAW + "SWEEPER_IDLE_MS"),
        description="Quiet time after which the sweeper flushes a session, in ms.",
    )
    sweeper_interval_ms: int = Field(
        default=30_000,
        ge=10,
        le=86_400_000,
        validation_alias=_names("sweeper_interval_ms", _RAW + "SWEEPER_INTERVAL_MS"),
        description="How often the sweeper looks, in ms.",
    )
    stuck_batch_ms: int = Field(
        default=300_000,
        ge=100,
        le=86_400_000,
        validation_alias=_names("stuck_batch_ms", _RAW + "STUCK_BATCH_MS"),
        description="A started batch without a heartbeat for this long becomes `error`, in ms.",
    )
    max_flush_attempts: int = Field(
        default=5,
        ge=1,
        le=1000,
        validation_alias=_names("max_flush_attempts", _RAW + "MAX_FLUSH_ATTEMPTS"),
        description="Attempts at one batch before it ends as `gave_up`.",
    )
    retry: Literal["auto", "manual"] = Field(
        default="auto",
        validation_alias=_names("retry", _RAW + "RETRY"),
        description="`auto`: exponential backoff with jitter; `manual`: only by hand.",
    )
    max_event_cache: int = Field(
        default=50_000,
        ge=100,
        le=10_000_000,
        validation_alias=_names("max_event_cache", "OPENCODE_MEM_MAX_EVENT_CACHE"),
        description="Events in the index of the spool's tail; oldest leave first.",
    )
    max_event_cache_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1024 * 1024,
        le=16 * 1024**3,
        validation_alias=_names("max_event_cache_bytes", "OPENCODE_MEM_MAX_EVENT_CACHE_BYTES"),
        description="Bytes of that index.",
    )

    max_event_history: int = Field(
        default=100_000,
        ge=100,
        le=10_000_000,
        validation_alias=_names("max_event_history", "OPENCODE_MEM_MAX_EVENT_HISTORY"),
        description="Events in the history behind timeline and live stream; oldest leave first.",
    )
    max_event_history_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024 * 1024,
        le=16 * 1024**3,
        validation_alias=_names("max_event_history_bytes", "OPENCODE_MEM_MAX_EVENT_HISTORY_BYTES"),
        description="Bytes of that history.",
    )
    retention_days: float = Field(
        default=120,
        gt=0,
        le=36_500,
        validation_alias=_names("retention_days", "OPENCODE_MEM_RETENTION_DAYS"),
        description="Flushed raw events older than this are purged, in days.",
    )
    max_storage_mb: int = Field(
        default=1024,
        ge=16,
        le=1024 * 1024,
        validation_alias=_names("max_storage_mb", "OPENCODE_MEM_MAX_STORAGE_MB"),
        description="Largest size of the spool's file, in MiB: above it the oldest flushed raw events go.",
    )
    retention_ms: int = Field(
        default=0,
        ge=0,
        le=36_500 * 86_400_000,
        validation_alias=_names("retention_ms", _RAW + "RETENTION_MS"),
        description="The same age in ms, instead of the days; 0: the days apply.",
    )
    port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        validation_alias=_names("port", "OPENCODE_MEM_PORT"),
        description="Loopback port for HTTP, 0 picks one; unset: off until the page is opened.",
    )

    @field_validator("valkey_url")
    @classmethod
    def _has_usable_port(cls, value: str) -> str:
        return with_usable_port(value)

    @property
    def embedded_cache(self) -> bool:
        """Whether the project runs its own Valkey."""
        return not (self.valkey_url or self.valkey_host)

    @property
    def chat_deadline(self) -> float:
        """Seconds."""
        return self.chat_deadline_ms / 1000

    @property
    def hook_deadline(self) -> float:
        """Seconds."""
        return self.hook_deadline_ms / 1000

    @property
    def retention(self) -> float:
        """Seconds that a flushed raw event stays."""
        return self.retention_ms / 1000 if self.retention_ms else self.retention_days * 86_400.0
