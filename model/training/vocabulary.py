"""A smaller vocabulary: the word embeddings of a small encoder are half of its bytes, and most pieces are rare."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from model.errors import InputError

CONTINUES = "##"
"""Begins a WordPiece that goes on with a word."""

PLACEHOLDER = re.compile(r"\[unused\d+\]")
"""What BERT's vocabulary holds for pieces of one's own."""


def cut_vocabulary(tokenizer: Tokenizer, texts: Sequence[str], size: int) -> tuple[Tokenizer, list[int]]:
    """A tokenizer of `size` pieces, and the ids that they had, in their order: what is left has the place as its id.

    Special tokens and single characters stay, so that no word becomes unknown that was known; a word whose piece is
    dropped is read as several. Of the others those stay that `texts` hold most often, then those of the lowest id,
    which are the most frequent where the vocabulary is in that order, as BERT's is.

    Raises `InputError` for a vocabulary of another kind than WordPiece, or a `size` that is too small or too large.
    """
    content = json.loads(tokenizer.to_str())
    if content["model"]["type"] != "WordPiece":
        raise InputError(
            f"encoder.vocabulary: is for WordPiece, and this one is {content['model']['type']}",
            fix="Leave `vocabulary` out.",
        )
    before: dict[str, int] = content["model"]["vocab"]
    placeholders = {piece for piece in before if PLACEHOLDER.fullmatch(piece)}
    special = {piece for piece in before if piece.startswith("[") and piece.endswith("]")} - placeholders
    special.update(token["content"] for token in content["added_tokens"])
    always = special | {piece for piece in before if len(piece.removeprefix(CONTINUES)) == 1}
    if not len(always) <= size <= len(before) - len(placeholders):
        raise InputError(
            f"encoder.vocabulary: {size} pieces",
            fix=f"Set it to at least {len(always)}, its special tokens and single characters, and at most "
            f"{len(before) - len(placeholders)}, all but its placeholders.",
        )
    held: Counter[str] = Counter()
    for encoding in tokenizer.encode_batch(texts):
        held.update(encoding.tokens)
    ranked = sorted(before.keys() - always - placeholders, key=lambda piece: (-held[piece], before[piece]))
    kept = sorted(always.union(ranked[: size - len(always)]), key=before.__getitem__)
    content["model"]["vocab"] = after = {piece: place for place, piece in enumerate(kept)}
    for token in content["added_tokens"]:
        token["id"] = after[token["content"]]
    _number_anew(content["post_processor"], after)
    return Tokenizer.from_str(json.dumps(content)), [before[piece] for piece in kept]


def ids_of(part: Tokenizer, whole: Tokenizer) -> list[int]:
    """The ids in `whole` of the pieces of what was cut from it, in the order of their own.

    Raises `InputError` where it was cut from another.
    """
    theirs, ids = part.get_vocab(), whole.get_vocab()
    if unknown := sorted(theirs.keys() - ids.keys()):
        raise InputError(
            f"the encoder has no word piece {unknown[0]!r}, which its teachers read",
            fix="Give the encoder that the teachers were trained from, of the same commit.",
        )
    return [ids[piece] for piece in sorted(theirs, key=theirs.__getitem__)]


def cut_embeddings(encoder: PreTrainedModel, kept: Sequence[int]) -> None:
    """Leaves `encoder` the word embeddings of the ids `kept`, in this order."""
    old = encoder.get_input_embeddings()
    assert isinstance(old, nn.Embedding)
    padding = None if old.padding_idx is None else kept.index(old.padding_idx)
    rows = old.weight[list(kept)].detach()
    words = nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=padding)  # type: ignore[no-untyped-call]
    encoder.set_input_embeddings(words)
    encoder.config.vocab_size = len(kept)
    encoder.config.pad_token_id = padding


def _number_anew(post_processor: dict[str, Any], ids: Mapping[str, int]) -> None:
    """Puts the new ids of the special tokens into what adds them around a text."""
    if post_processor["type"] == "TemplateProcessing":
        for token in post_processor["special_tokens"].values():
            token["ids"] = [ids[part] for part in token["tokens"]]
    elif post_processor["type"] == "BertProcessing":
        for place in ("sep", "cls"):
            piece, _ = post_processor[place]
            post_processor[place] = [piece, ids[piece]]
    else:
        raise InputError(
            f"encoder.vocabulary: is not for tokenizers with {post_processor['type']}", fix="Leave `vocabulary` out."
        )
