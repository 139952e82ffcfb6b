"""The memory: episodes in a temporal knowledge graph, and the durable spool before it."""

__version__ = "0.1.0"
