"""No vectors: search by words, graph and time alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


class NoEmbedder:
    """Embeds nothing; every row is empty."""

    name = "none"
    dimension = 0

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.zeros((len(texts), 0), dtype=np.float32)
