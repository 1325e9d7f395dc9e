"""Encoders of fewer layers and word pieces."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig

from model.data.examples import Example
from model.data.recipe import Encoder, Recipe
from model.data.splits import Splits
from model.errors import InputError
from model.training.network import TwoHeads
from model.training.teachers import Teachers
from model.training.tokenizer_file import open_tokenizer, read_tokenizer
from model.training.train import train
from model.training.trained import TrainedNetwork
from model.training.vocabulary import cut_embeddings, cut_vocabulary, ids_of
from tests.unit.model.training.test_resuming import changed

LETTERS = "abcdefghij"
ALWAYS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
PIECES = ["[unused1]", "[PAD]", "bad", "[UNK]", "[CLS]", "fig", *LETTERS, "##ed", "[SEP]", "jade", "##ib", "cab",
          *(f"##{letter}" for letter in LETTERS), "[unused2]"]  # fmt: skip


def whole() -> Tokenizer:
    """BERT's kind, with special tokens and placeholders anywhere among its pieces."""
    ids = {piece: number for number, piece in enumerate(PIECES)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    around = [("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", around)
    return tokenizer


def test_what_the_texts_hold_stays_first_and_then_what_is_first_of_the_vocabulary() -> None:
    _, kept = cut_vocabulary(whole(), ["jade jade cab"], len(ALWAYS) + 3)
    assert {PIECES[number] for number in kept} - set(ALWAYS) == {"jade", "cab", "bad"}
    assert kept == sorted(kept)


@given(st.text("abcdefghijxyz ", max_size=40), st.integers(len(ALWAYS), len(PIECES) - 2))
def test_a_text_stays_what_it_was_and_no_word_becomes_unknown(text: str, size: int) -> None:
    before = whole()
    after, kept = cut_vocabulary(before, ["jade"], size)
    one, other = before.encode(text), after.encode(text)
    assert after.get_vocab_size() == size
    assert other.tokens.count("[UNK]") == one.tokens.count("[UNK]")
    assert [PIECES[kept[number]] for number in other.ids] == other.tokens
    joined = ["".join(tokens).replace("##", "") for tokens in (one.tokens, other.tokens)]
    assert joined[0] == joined[1]


@pytest.mark.parametrize("kind", [processors.BertProcessing(("[SEP]", 18), ("[CLS]", 4))])
def test_special_tokens_are_found_around_a_text(kind: processors.PostProcessor) -> None:
    tokenizer = whole()
    tokenizer.post_processor = kind
    after, _ = cut_vocabulary(tokenizer, [], len(ALWAYS))
    encoding = after.encode("bad")
    assert encoding.tokens == ["[CLS]", "b", "##a", "##d", "[SEP]"]
    assert [after.id_to_token(number) for number in encoding.ids] == encoding.tokens


@pytest.mark.parametrize("size", [len(ALWAYS) - 1, len(PIECES) - 1])
def test_a_size_out_of_bounds_says_which_they_are(size: int) -> None:
    with pytest.raises(InputError, match=rf"at least {len(ALWAYS)}, .* at most {len(PIECES) - 2}, "):
        cut_vocabulary(whole(), [], size)


def test_what_was_cut_is_found_again_in_the_whole_and_in_no_other() -> None:
    part, kept = cut_vocabulary(whole(), ["jade"], len(ALWAYS) + 2)
    assert ids_of(part, whole()) == kept
    with pytest.raises(InputError, match=r"the encoder has no word piece '##ed'"):
        ids_of(whole(), cut_vocabulary(whole(), ["jade fig cab"], len(ALWAYS) + 3)[0])


def test_other_kinds_of_tokenizer_are_refused() -> None:
    with pytest.raises(InputError, match="is for WordPiece, and this one is BPE"):
        cut_vocabulary(Tokenizer(models.BPE()), [], 10)
    tokenizer = whole()
    tokenizer.post_processor = processors.ByteLevel()
    with pytest.raises(InputError, match="not for tokenizers with ByteLevel"):
        cut_vocabulary(tokenizer, [], len(ALWAYS))


def test_a_cut_encoder_computes_the_same(tiny_encoder: Path) -> None:
    network = TwoHeads.pretrained(tiny_encoder).eval()
    rows = network.encoder.config.vocab_size
    kept = [number for number in range(rows) if number % 3 != 1]
    ids = torch.tensor([[number for number in kept if number > 0][:6]])
    mask = torch.ones_like(ids)
    before = network(ids, mask)
    cut_embeddings(network.encoder, kept)
    assert network.encoder.config.vocab_size == len(kept)
    assert network.encoder.get_input_embeddings().weight.requires_grad, "they are trained as all others"
    after = network(torch.tensor([[kept.index(int(number)) for number in ids[0]]]), mask)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.fixture
def pieced(tiny_encoder: Path, tmp_path: Path) -> Path:
    """The tiny encoder with a vocabulary that can be cut."""
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    said["model"] |= {"type": "WordPiece", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    (folder / "tokenizer.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def test_a_training_makes_what_the_recipe_asks(
    tiny_recipe: Recipe, pieced: Path, tiny_splits: Splits, tmp_path: Path
) -> None:
    pieces = read_tokenizer(pieced / "tokenizer.json").get_vocab_size()
    encoder = Encoder(folder=pieced, layers=1, vocabulary=pieces - 5)
    recipe = tiny_recipe.model_copy(update={"encoder": encoder})
    train(recipe, tiny_splits, tmp_path / "run")
    config = AutoConfig.from_pretrained(tmp_path / "run")
    assert (config.num_hidden_layers, config.vocab_size) == (1, pieces - 5)
    assert open_tokenizer(tmp_path / "run", 16).get_vocab_size() == pieces - 5
    assert len(TwoHeads.load(tmp_path / "run").encoder.encoder.layer) == 1


def test_a_pupil_that_begins_at_teachers_reads_their_pieces_whatever_its_own_texts_hold(
    tiny_recipe: Recipe, pieced: Path, tiny_splits: Splits, tmp_path: Path
) -> None:
    """A row of the word embeddings must be to it what it was to them."""
    whole = read_tokenizer(pieced / "tokenizer.json")
    encoder = Encoder(folder=pieced, layers=1, vocabulary=whole.get_vocab_size() - 5)
    recipe = tiny_recipe.model_copy(update={"encoder": encoder})
    train(recipe, tiny_splits, tmp_path / "teacher")
    theirs = read_tokenizer(tmp_path / "teacher" / "tokenizer.json")
    dropped = " ".join(sorted(whole.get_vocab().keys() - theirs.get_vocab().keys()))
    more = replace(tiny_splits, train=[*tiny_splits.train, *[Example(dropped, "topic", 6, "things")] * 300])
    slow = recipe.training.distillation.model_copy(update={"learning_rate": 1e-12})
    still = changed(recipe, distillation=slow).model_copy(update={"seed": 5})
    train(still, more, tmp_path / "pupil", teachers=[tmp_path / "teacher"])
    assert read_tokenizer(tmp_path / "pupil" / "tokenizer.json").get_vocab() == theirs.get_vocab()
    text = f"{dropped} oil tumbles"
    one, other = (
        TrainedNetwork(TwoHeads.load(tmp_path / name), open_tokenizer(tmp_path / name, 16)).logits([text])
        for name in ("teacher", "pupil")
    )
    np.testing.assert_allclose(one[0], other[0], atol=1e-5)
    train(recipe.model_copy(update={"seed": 6}), more, tmp_path / "other")
    with pytest.raises(InputError, match=r"other: has another tokenizer than .*teacher"):
        Teachers([tmp_path / "teacher", tmp_path / "other"], still, tiny_splits)


def test_an_encoder_has_the_layers_that_it_has(tiny_encoder: Path) -> None:
    with pytest.raises(InputError, match=r"encoder\.layers: 99, but the encoder has \d"):
        TwoHeads.pretrained(tiny_encoder, 99)
