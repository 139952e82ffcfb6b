"""Raw events to episodes, entities and facts, without a model. Pure and deterministic.

What the graph has to do with an `Extraction` so that the result depends on the set of events and
not on the order of their arrival stands in `relations.py`.
"""

from __future__ import annotations

from memory_manager.extract.batch import extract
from memory_manager.extract.episodes import is_low_signal, worth_keeping
from memory_manager.extract.relations import RELATIONS, Basis, Relation
from memory_manager.extract.sessions import HISTORY_CONTENT, HISTORY_KINDS

__all__ = [
    "HISTORY_CONTENT",
    "HISTORY_KINDS",
    "RELATIONS",
    "Basis",
    "Relation",
    "extract",
    "is_low_signal",
    "worth_keeping",
]
