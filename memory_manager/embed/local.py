"""The shipped static model: a table with one row for each token, and their mean.

No network, no PyTorch; about 0.1 ms for a question. See `minilm-static-256-int8/README.md` for
where the table comes from.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# Read by the tokenizer when it first runs: its thread pool costs more than it saves here, and
# warns after a fork.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from safetensors.numpy import load_file
from tokenizers import Tokenizer

from memory_manager.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

MODEL = Path(__file__).with_name("minilm-static-256-int8")

#: Characters of a text that can still hold one of the tokens that count (`max_length` of them):
#: longer words than eight characters on average are not prose or code, and it bounds the work.
_CHARACTERS_PER_TOKEN = 8
#: Texts tokenised at once; bounds the memory of a large batch.
_BATCH = 256


class LocalEmbedder:
    """`Embedder` over a folder with `model.safetensors`, `tokenizer.json` and `config.json`.

    The table is int8 with one scale for all of it, which the unit length of the result cancels,
    so it is never applied. Unknown tokens count for nothing, as in the model's own library.
    """

    def __init__(self, folder: Path = MODEL) -> None:
        """Load the model: about 0.1 s and 20 MB.

        Raises:
            Corrupt: the folder does not hold such a model.
        """
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            self._rows = load_file(folder / "model.safetensors")["embeddings"]
            self._tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
            longest = int(config["max_length"])
        except Exception as fault:  # the tokenizer's library raises nothing more precise
            raise Corrupt(f"the model in {folder} is damaged; install the package again") from fault
        self.name = folder.name
        self.dimension = int(self._rows.shape[1])
        self._tokenizer.enable_truncation(longest)
        self._tokenizer.no_padding()
        self._characters = longest * _CHARACTERS_PER_TOKEN
        self._unknown = self._tokenizer.token_to_id("[UNK]")

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """See `Embedder.embed`."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            self._fill(vectors, start, texts[start : start + _BATCH])
        return vectors

    def _fill(self, vectors: npt.NDArray[np.float32], start: int, texts: Sequence[str]) -> None:
        clean = [_encodable(text[: self._characters]) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        for row, encoding in enumerate(encodings, start):
            ids = [token for token in encoding.ids if token != self._unknown]
            if not ids:
                continue
            # Integer sums are exact, so a row does not depend on the machine's way of adding.
            total = self._rows[ids].sum(axis=0, dtype=np.int32).astype(np.float32)
            length = float(np.sqrt(np.dot(total, total)))
            if length > 0.0:
                vectors[row] = total / length


def _encodable(text: str) -> str:
    """The tokenizer takes UTF-8 only; a lone surrogate becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
