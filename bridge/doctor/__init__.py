"""`opencode-mem doctor`: does each part really work, and if not, what is to be done?

`probing` looks, `judging` decides, `examining` brings both together, check by check.
"""

from __future__ import annotations

from bridge.doctor.examining import CHECKS, examine
from bridge.doctor.finding import Finding, Verdict

__all__ = ["CHECKS", "Finding", "Verdict", "examine"]
