"""The bridge: OpenCode's hooks answered, spooled, flushed, measured."""
