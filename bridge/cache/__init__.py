"""Answers of the memory, kept for minutes in Valkey and never served once outdated."""
