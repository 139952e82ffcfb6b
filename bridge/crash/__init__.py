"""Killed at every moment of its work, the bridge loses nothing and doubles nothing: shown, not said."""
