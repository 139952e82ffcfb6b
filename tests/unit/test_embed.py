"""Vectors: any text, no network, the same as the model's own library."""

from __future__ import annotations

import shutil
import socket

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_manager.embed import open_embedder
from memory_manager.embed.local import MODEL, LocalEmbedder
from memory_manager.errors import Corrupt


@pytest.fixture(scope="module")
def local():
    return LocalEmbedder()


ODD = [
    "",
    " ",
    "\x00\x01",
    "a" * 1_000_000,
    "word " * 200_000,
    "東京タワー",
    "🚀",
    "\ud800",
    "___",
    "\n",
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_texts_give_a_row_of_length_one_or_zero(local, text):
    row = local.embed([text])[0]
    assert row.dtype == np.float32
    assert np.isfinite(row).all()
    assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5) or not row.any()


def test_nothing_to_embed_gives_no_rows_and_an_empty_text_gives_zeros(local):
    assert local.embed([]).shape == (0, 256)
    assert not local.embed([""]).any()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_text_embeds_the_same_alone_and_in_a_batch(local, text):
    batch = local.embed(["something else", text])
    assert np.array_equal(local.embed([text])[0], batch[1])
    assert np.isfinite(batch).all()


def test_what_means_the_same_lies_close(local):
    question, near, far = local.embed(
        [
            "how do we deploy the service?",
            "deployment of the service runs through the release pipeline",
            "the cat sat in the garden",
        ]
    )
    assert question @ near > 0.5
    assert question @ far < 0.25
    assert question @ near > question @ far + 0.3


def test_the_rows_are_those_of_the_models_own_formula(local):
    """Mean of the token rows without unknown ones, brought to length one."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    table = load_file(MODEL / "model.safetensors")["embeddings"].astype(np.float64)
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_padding()
    text = "fix the failing test in src/app/main.py 東"
    ids = [i for i in tokenizer.encode(text, add_special_tokens=False).ids if i != 1]
    mean = table[ids].mean(axis=0)
    assert local.embed([text])[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_loading_and_embedding_use_no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert LocalEmbedder().embed(["offline"]).any()


def test_none_has_no_dimension():
    none = open_embedder("none")
    assert none.dimension == 0
    assert none.embed(["a", "b"]).shape == (2, 0)
    assert open_embedder("local").name == "minilm-static-256-int8"


def test_a_damaged_model_says_so(tmp_path):
    with pytest.raises(Corrupt, match="damaged"):
        LocalEmbedder(tmp_path)
    shutil.copy(MODEL / "config.json", tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"not a table")
    with pytest.raises(Corrupt):
        LocalEmbedder(tmp_path)
