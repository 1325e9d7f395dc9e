"""The kinds of encoder that train and export here, and how many tokens each of them reads."""

from typing import Any

from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from model.errors import InputError

AFTER_PADDING = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta"})
"""Their positions are counted from the id of the padding token on, so some of the table's rows are no text's."""

KINDS = frozenset({"bert", "distilbert", "electra"}) | AFTER_PADDING
"""By `model_type`: bidirectional, one state a token, absent `token_type_ids` allowed, and their export is tested."""

FUSED = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})
"""ONNX Runtime's optimiser knows their attention; that of the others is exported as it was traced."""


def require_kind(config: Any, where: object) -> None:
    """Raises `InputError` where the encoder that stands at `where` is of another kind."""
    if config.model_type not in KINDS:
        raise InputError(
            f"{where}: an encoder of the kind {config.model_type!r} is not supported",
            fix=f"Take one of the kinds {', '.join(sorted(KINDS))}.",
        )


def longest(config: Any) -> int:
    """Tokens that an encoder of this configuration reads at once, special ones included."""
    rows = int(config.max_position_embeddings)
    return rows - int(config.pad_token_id) - 1 if config.model_type in AFTER_PADDING else rows


def require_length(config: Any, maximum_length: int) -> None:
    """Raises `InputError` where the recipe's texts may be longer than the encoder reads."""
    if maximum_length > longest(config):
        raise InputError(
            f"training.maximum_length: {maximum_length} tokens, but the encoder reads {longest(config)} at most",
            fix=f"Set it to {longest(config)} or less.",
        )


def require_rows(encoder: PreTrainedModel, tokenizer: Tokenizer, where: object) -> None:
    """Raises `InputError` where the tokenizer that stands at `where` has pieces of which the encoder knows nothing."""
    pieces = 1 + max(tokenizer.get_vocab().values(), default=-1)
    rows = encoder.get_input_embeddings().num_embeddings
    if pieces > rows:
        raise InputError(
            f"{where}: its tokenizer has {pieces:,} word pieces, but its encoder an embedding of {rows:,} rows",
            fix="Take the tokenizer that was saved with the encoder, or add rows: model.resize_token_embeddings.",
        )


def keep_layers(encoder: PreTrainedModel, layers: int) -> None:
    """Leaves `encoder` its first `layers`. Raises `InputError` where it has fewer."""
    config = encoder.config
    if layers > config.num_hidden_layers:
        raise InputError(
            f"encoder.layers: {layers}, but the encoder has {config.num_hidden_layers}",
            fix=f"Set it to {config.num_hidden_layers} or less, or leave it out.",
        )
    stack = next(module for module in encoder.modules() if isinstance(module, nn.ModuleList))  # the one of these kinds
    del stack[layers:]
    config.num_hidden_layers = layers
