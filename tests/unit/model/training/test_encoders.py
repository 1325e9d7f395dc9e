"""Every kind of encoder that a recipe may name, tiny: it trains, exports to the same numbers, and quantises."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer

from model.bundle import TOKENIZER_FILE
from model.data.recipe import Encoder, Lora, Recipe, Training
from model.errors import InputError
from model.export.quantize import quantize
from model.export.to_onnx import TOLERANCE, export, largest_difference
from model.training.encoders import AFTER_PADDING, FUSED, KINDS, longest
from model.training.loop import Loop
from model.training.lora import adapt, merged
from model.training.network import WEIGHTS_FILE, TwoHeads
from model.training.step import Row
from model.training.tokenizer_file import open_tokenizer, write_tokenizer
from model.training.train import train
from tests.unit.model.training.test_resuming import changed

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}
OTHER_NAMES = {
    "vocab_size": 60,
    "dim": 32,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 64,
    "max_position_embeddings": 40,
}
KNOWN: dict[str, dict[str, Any]] = {
    "bert": SHAPE,
    "camembert": SHAPE | {"pad_token_id": 1},
    "distilbert": OTHER_NAMES,
    "electra": SHAPE | {"embedding_size": 32},
    "electra: narrow embeddings": SHAPE | {"embedding_size": 16},
    "mpnet": SHAPE | {"pad_token_id": 1},
    "roberta": SHAPE | {"pad_token_id": 1},
    "xlm-roberta": SHAPE | {"pad_token_id": 1},
}


def saved(kind: str, folder: Path) -> Path:
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(kind.partition(":")[0], **KNOWN[kind])).save_pretrained(folder)
    return folder


def test_every_kind_is_tried_here() -> None:
    assert {name.partition(":")[0] for name in KNOWN} == KINDS
    assert AFTER_PADDING | FUSED <= KINDS


@pytest.mark.parametrize("kind", KNOWN)
def test_its_first_layers_can_be_kept_and_are_found_again(kind: str, tmp_path: Path) -> None:
    network = TwoHeads.pretrained(saved(kind, tmp_path), layers=1).eval()
    hooked = AutoModel.from_pretrained(tmp_path, output_hidden_states=True).eval()
    ids = torch.tensor([[5, 6, 7]])
    mask = torch.ones_like(ids)
    with torch.no_grad():
        whole = hooked(input_ids=ids, attention_mask=mask).hidden_states[1]
        cut = network.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.allclose(whole, cut, atol=1e-6)
    network.save(tmp_path / "run")
    assert TwoHeads.load(tmp_path / "run").state_dict().keys() == network.state_dict().keys()


def test_an_encoder_is_told_by_its_weights_and_layers_whatever_file_and_pooler_it_has(tmp_path: Path) -> None:
    network = TwoHeads.pretrained(saved("bert", tmp_path / "one"))
    digest = network.digest()
    network.encoder.save_pretrained(tmp_path / "other", safe_serialization=False)
    assert not (tmp_path / "other" / WEIGHTS_FILE).exists()
    assert TwoHeads.pretrained(tmp_path / "other").digest() == digest
    assert TwoHeads.pretrained(tmp_path / "other", layers=1).digest() != digest
    with torch.no_grad():
        for weight in (network.encoder.pooler.dense.weight, network.topic.weight):
            weight.add_(1)
        assert network.digest() == digest
        network.encoder.get_input_embeddings().weight[0, 0] += 1e-3
        assert network.digest() != digest


@pytest.mark.parametrize(
    ("kind", "lora"),
    [*((kind, None) for kind in KNOWN), ("distilbert", Lora(rank=2)), ("roberta", Lora(rank=2))],
)
def test_it_learns_exports_and_quantises(kind: str, lora: Lora | None, tmp_path: Path) -> None:
    network = TwoHeads.pretrained(saved(kind, tmp_path))
    if lora is not None:
        adapt(network.encoder, lora)
    rng = random.Random(1)
    rows = [Row([2, *[5 + 6 * mood] * 3, *rng.choices(range(30, 60), k=5), 3], mood, mood) for mood in [0, 1, 2] * 8]
    loop = Loop(network, rows, Training(epochs=3, batch=4, learning_rate=1e-2, precision="fp32"), rng)
    for _ in range(3):
        loop.run_epoch(lambda _: None, lambda *_: None)
    assert loop.losses[-1] < loop.losses[0]
    network.save(tmp_path)
    plain = TwoHeads.load(tmp_path)
    assert plain.state_dict().keys() == merged(network).keys()
    export(plain, tmp_path / "fp32.onnx")
    assert largest_difference(plain, tmp_path / "fp32.onnx") <= TOLERANCE
    quantize(tmp_path / "fp32.onnx", tmp_path / "int8.onnx")
    assert largest_difference(plain, tmp_path / "int8.onnx", int8=True) < 0.5


@pytest.mark.parametrize("kind", KNOWN)
def test_it_reads_as_many_tokens_as_is_said_of_it(kind: str, tmp_path: Path) -> None:
    network = TwoHeads.pretrained(saved(kind, tmp_path)).eval()
    limit = longest(network.encoder.config)
    assert limit == (38 if kind in AFTER_PADDING else 40)
    ids = torch.full((1, limit), 7)
    assert network(ids, torch.ones_like(ids))[0].shape == (1, 20)
    if kind in AFTER_PADDING:
        more = torch.full((1, limit + 1), 7)
        with pytest.raises(IndexError):
            network(more, torch.ones_like(more))


@pytest.mark.parametrize("kind", sorted(AFTER_PADDING))
def test_what_a_short_text_is_padded_with_changes_nothing(kind: str, tmp_path: Path) -> None:
    """We pad with id 0, which is a word to these, and hide it."""
    network = TwoHeads.pretrained(saved(kind, tmp_path)).eval()
    alone = torch.tensor([[5, 9, 11, 6]])
    padded, mask = torch.tensor([[5, 9, 11, 6, 0, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0, 0]])
    with torch.no_grad():
        for one, other in zip(network(alone, torch.ones_like(alone)), network(padded, mask), strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_a_kind_that_reads_in_one_direction_is_refused(tmp_path: Path) -> None:
    config = AutoConfig.for_model("gpt2", vocab_size=60, n_embd=32, n_layer=1, n_head=2)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"kind 'gpt2' is not supported\n.*bert, camembert, .*xlm-roberta"):
        TwoHeads.pretrained(tmp_path)


def test_weights_that_were_published_in_fp16_train_in_float32(tmp_path: Path) -> None:
    AutoModel.from_config(AutoConfig.for_model("bert", **KNOWN["bert"])).half().save_pretrained(tmp_path)
    network = TwoHeads.pretrained(tmp_path)
    network.save(tmp_path)
    assert {weight.dtype for weight in [*network.parameters(), *TwoHeads.load(tmp_path).parameters()]} == {
        torch.float32
    }


def test_texts_longer_than_the_encoder_reads_are_refused(tiny_recipe: Recipe, tiny_splits: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training\.maximum_length: 33 tokens, but the encoder reads 32 at most"):
        train(changed(tiny_recipe, maximum_length=33), tiny_splits, tmp_path / "run")


WORDPIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "oil", "soar", "##s"]


def test_a_vocabulary_becomes_a_fast_tokenizer(tmp_path: Path) -> None:
    """As FinBERT is published: with vocab.txt and no tokenizer.json."""
    model = saved("bert", tmp_path / "model")
    (model / "vocab.txt").write_text("\n".join(WORDPIECES), encoding="utf-8")
    write_tokenizer(model, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(model)
    made = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert made.encode("Oil soars").tokens == ["[CLS]", "oil", "soar", "##s", "[SEP]"]
    assert made.encode("Oil soars").ids == tokenizer("Oil soars")["input_ids"]


def test_a_tokenizer_file_is_taken_as_it_is(tiny_encoder: Path, tmp_path: Path) -> None:
    write_tokenizer(tiny_encoder, tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == (tiny_encoder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("vocabulary", [None, 12])
def test_a_damaged_tokenizer_is_named(
    tiny_encoder: Path, tiny_recipe: Recipe, tiny_splits: Any, tmp_path: Path, vocabulary: int | None
) -> None:
    model = Path(shutil.copytree(tiny_encoder, tmp_path / "model"))
    (model / TOKENIZER_FILE).write_bytes((model / TOKENIZER_FILE).read_bytes()[:90])
    recipe = tiny_recipe.model_copy(update={"encoder": Encoder(folder=model, vocabulary=vocabulary)})
    with pytest.raises(InputError, match=rf"{model}/tokenizer\.json: not a tokenizer: .*\n.*Save the encoder's"):
        train(recipe, tiny_splits, tmp_path / "run")
    with pytest.raises(InputError, match=rf"{model}/tokenizer\.json: not a tokenizer"):
        open_tokenizer(model, 16)


@pytest.mark.parametrize("vocabulary", [None, 12])
def test_a_tokenizer_with_more_pieces_than_the_embedding_has_rows_is_refused(
    tiny_encoder: Path, tiny_recipe: Recipe, tiny_splits: Any, tmp_path: Path, vocabulary: int | None
) -> None:
    model = Path(shutil.copytree(tiny_encoder, tmp_path / "model"))
    tokenizer = Tokenizer.from_file(str(model / TOKENIZER_FILE))
    rows = tokenizer.get_vocab_size()
    tokenizer.add_tokens(["platinum", "copper"])
    tokenizer.save(str(model / TOKENIZER_FILE))
    recipe = tiny_recipe.model_copy(update={"encoder": Encoder(folder=model, vocabulary=vocabulary)})
    with pytest.raises(InputError, match=rf"{model}: its tokenizer has {rows + 2} word pieces, .* of {rows} rows"):
        train(recipe, tiny_splits, tmp_path / "run")


def test_a_model_without_a_fast_tokenizer_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_encoder, tmp_path / "model"))
    (model / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"model: has no tokenizer\.json, and none can be made.*\n.*of a fast kind"):
        write_tokenizer(model, tmp_path)


def test_a_tokenizer_that_only_python_can_run_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_encoder, tmp_path / "model"))
    (model / "tokenizer.json").unlink()
    (model / "vocab.json").write_text('{"[UNK]": 0}', encoding="utf-8")
    (model / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    (model / "tokenizer_config.json").write_text('{"tokenizer_class": "CTRLTokenizer"}', encoding="utf-8")
    with pytest.raises(InputError, match="none can be made: CTRLTokenizer has no fast form"):
        write_tokenizer(model, tmp_path)
