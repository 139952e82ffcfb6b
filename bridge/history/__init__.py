"""OpenCode's own database, read-only: what happened while nobody listened, and before anybody did."""
