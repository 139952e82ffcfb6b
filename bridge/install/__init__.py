"""Puts the plugin into OpenCode's configuration, and takes it out again. See `bridge/cli/install.py`.

`jsonc` edits text without touching what is not ours, `entry` knows our entry, `places` where
OpenCode looks, `stub` what keeps its boot fast; `plan` brings them together and `writing` does it.
"""
