"""Settings of the memory: read once at the edge, validated, with units in the names or comments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from memory_manager import contract


def with_usable_port(url: str) -> str:
    """The URL of a server; a port that is none is found at the start and not at the first use."""
    try:
        urlsplit(url).port  # noqa: B018 - asked for what it raises
    except ValueError as fault:
        raise ValueError("has no port from 1 to 65535 after its host") from fault
    return url


class MemorySettings(BaseSettings):
    """Where the memory lives and which engines hold it."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    data_dir: Path = Field(
        default_factory=lambda: Path(contract.data_dir(os.environ)),
        validation_alias=AliasChoices("data_dir", "OPENCODE_MEM_DATA_DIR"),
        description="Folder of the spool, the embedded engines' data, the ledger and the logs.",
    )
    project: str = Field(
        default="",
        validation_alias=AliasChoices("project", "OPENCODE_MEM_PROJECT"),
        max_length=512,
        description="Name of the project; overrides what Git and the directory say.",
    )
    spool_url: str = Field(
        default="",
        validation_alias=AliasChoices("spool_url", "SPOOL_URL"),
        description="Where the spool is, as `sqlite:////absolute/path`; empty: `spool.sqlite3` in the data folder.",
    )
    falkordb_url: str = Field(
        default="",
        validation_alias=AliasChoices("falkordb_url", "FALKORDB_URL"),
        pattern=r"^((redis|rediss|unix|falkor|falkors)://.+)?$",
        description="FalkorDB server; empty (with no host either): the embedded one.",
    )
    falkordb_host: str = Field(
        default="",
        validation_alias=AliasChoices("falkordb_host", "FALKORDB_HOST"),
        description="FalkorDB host, when no URL is given.",
    )
    falkordb_port: int = Field(
        default=6379,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("falkordb_port", "FALKORDB_PORT"),
        description="FalkorDB port, with the host.",
    )
    graph_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=300,
        validation_alias=AliasChoices("graph_timeout_s", "OPENCODE_MEM_GRAPH_TIMEOUT_S"),
        description="Longest wait for one answer of FalkorDB, in seconds.",
    )
    graph_connections: int = Field(
        default=16,
        ge=1,
        le=256,
        validation_alias=AliasChoices("graph_connections", "OPENCODE_MEM_GRAPH_CONNECTIONS"),
        description="Most connections to FalkorDB at once; further callers wait.",
    )
    embedder: Literal["local", "none"] = Field(
        default="local",
        validation_alias=AliasChoices("embedder", "EMBEDDER"),
        description="Where vectors come from: the shipped static model, or none.",
    )

    @field_validator("falkordb_url")
    @classmethod
    def _has_usable_port(cls, value: str) -> str:
        return with_usable_port(value)

    @field_validator("spool_url")
    @classmethod
    def _names_absolute_path(cls, value: str) -> str:
        if fault := contract.fault_of_spool(value):
            raise ValueError(fault)
        return value

    @property
    def spool_path(self) -> Path:
        """The spool's file."""
        if self.spool_url:
            return Path(self.spool_url.removeprefix("sqlite:///"))
        return self.data_dir / "spool.sqlite3"

    @property
    def embedded_graph(self) -> bool:
        """Whether the project runs its own FalkorDB."""
        return not (self.falkordb_url or self.falkordb_host)
