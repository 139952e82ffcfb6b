"""Text to vectors. Importing this package costs nothing; `local` brings numpy and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt


class Embedder(Protocol):
    """Gives texts places in a space where what means the same lies close together.

    `name` says which space: vectors of two names must never be compared, so it is stored with
    what was embedded. `dimension` is 0 for an embedder that embeds nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One row for each text: shape (n, dimension), of length 1, or all zeros for "no idea".

        Any text whatever is accepted: empty, a megabyte, any script, control characters, lone
        surrogates. The same text always gives the same row. Synchronous: it is called by the
        thread that can afford it.
        """
        ...


def open_embedder(kind: Literal["local", "none"]) -> Embedder:
    """The embedder that the setting `EMBEDDER` names. `local` takes about 0.2 s to load."""
    if kind == "none":
        from memory_manager.embed.none import NoEmbedder  # noqa: PLC0415 - each loads what it needs

        return NoEmbedder()
    from memory_manager.embed.local import LocalEmbedder  # noqa: PLC0415 - as above

    return LocalEmbedder()
