"""Adapters in place of an encoder's own weights, on the tiny training."""

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from model.data.recipe import Lora, Recipe
from model.data.splits import Splits
from model.errors import InputError
from model.export.release import release
from model.training.loop import Loop
from model.training.lora import adapt, find_targets, merged
from model.training.network import WEIGHTS_FILE, TwoHeads
from model.training.run import read_run
from model.training.tokenizer_file import open_tokenizer
from model.training.train import tokenise, train
from tests.unit.model.training.test_resuming import assert_same_weights, changed, ctrl_c

RANK_4 = Lora(rank=4, alpha=8, dropout=0.1, targets=("query", "value"))


@pytest.fixture(scope="session")
def with_adapters(tiny_recipe: Recipe) -> Recipe:
    return changed(tiny_recipe, epochs=3, learning_rate=1e-2, lora=RANK_4)


@pytest.fixture(scope="session")
def undisturbed(with_adapters: Recipe, tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    train(with_adapters, tiny_splits, folder)
    return folder


def adapted(encoder: Path, lora: Lora = RANK_4) -> TwoHeads:
    torch.manual_seed(0)
    network = TwoHeads.pretrained(encoder)
    adapt(network.encoder, lora)
    return network


def copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("adversarial", [0.0, 0.5])
def test_only_adapters_and_heads_learn(
    tiny_encoder: Path, tiny_run: Path, with_adapters: Recipe, tiny_splits: Splits, adversarial: float
) -> None:
    network = adapted(tiny_encoder)
    rows = tokenise(tiny_splits.train, open_tokenizer(tiny_run, 16))
    training = changed(with_adapters, epochs=1, adversarial=adversarial).training
    before = copied(network)
    Loop(network, rows, training, random.Random(1)).run_epoch(lambda _: None, lambda *_: None)
    after = network.state_dict()
    learned = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    adapters = {name for name in before if ".lora_" in name}
    assert len(adapters) == 2 * 2 * 2  # A and B, of two layers' queries and values
    assert learned == adapters | {"topic.weight", "topic.bias", "sentiment.weight", "sentiment.bias"}


def test_a_run_s_network_is_the_adapted_one(
    tiny_encoder: Path, tiny_run: Path, with_adapters: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    network = adapted(tiny_encoder)
    rows = tokenise(tiny_splits.train, open_tokenizer(tiny_run, 16))
    Loop(network, rows, with_adapters.training, random.Random(1)).run_epoch(lambda _: None, lambda *_: None)
    network.save(tmp_path)
    ids = torch.randint(0, 20, (4, 12), generator=torch.manual_seed(0))
    mask = torch.ones_like(ids)
    untouched = TwoHeads.pretrained(tiny_encoder)
    untouched.load_state_dict({**load_file(tmp_path / WEIGHTS_FILE), **prefixed(untouched.encoder)})
    with torch.no_grad():
        wanted, found = network.eval()(ids, mask), TwoHeads.load(tmp_path)(ids, mask)
        without = untouched.eval()(ids, mask)
    for ours, theirs in zip(wanted, found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert any((a - b).abs().max() > 1e-2 for a, b in zip(wanted, without, strict=True)), "adapters that do nothing"


def prefixed(encoder: nn.Module) -> dict[str, Tensor]:
    return {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}


def test_saving_leaves_the_network_to_train_on(tiny_encoder: Path, tmp_path: Path) -> None:
    network = adapted(tiny_encoder)
    before = copied(network)
    network.save(tmp_path)
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_without_adapters_the_weights_are_what_they_are(tiny_encoder: Path) -> None:
    network = TwoHeads.pretrained(tiny_encoder)
    plain = merged(network)
    assert plain.keys() == network.state_dict().keys()
    assert all(tensor is not None and torch.equal(tensor, plain[name]) for name, tensor in copied(network).items())


def test_it_learns_and_exports_as_any_run_does(undisturbed: Path, tiny_splits: Splits, tmp_path: Path) -> None:
    losses = read_run(undisturbed).losses
    assert losses[-1] < losses[0]
    bundle = release([undisturbed], tiny_splits, tmp_path / "bundle", "fp32")
    assert bundle.manifest.made["recipe"]["training"]["lora"]["rank"] == 4


def test_resuming_ends_with_the_weights_of_an_undisturbed_training(
    undisturbed: Path, with_adapters: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(with_adapters, tiny_splits, run, watch=ctrl_c(epoch=2))
    train(with_adapters, tiny_splits, run, resume=True)
    assert_same_weights(run, undisturbed)


def test_another_rank_is_another_training(
    with_adapters: Recipe, tiny_splits: Splits, undisturbed: Path, tmp_path: Path
) -> None:
    other = changed(with_adapters, lora=RANK_4.model_copy(update={"rank": 8}))
    with pytest.raises(InputError, match=r"another training: recipe\.training\.lora\.rank: 4 -> 8"):
        train(other, tiny_splits, undisturbed, resume=True)


def test_without_targets_every_linear_layer_that_is_used_has_an_adapter(tiny_encoder: Path) -> None:
    found = find_targets(TwoHeads.pretrained(tiny_encoder).encoder, ())
    assert len(found) == 2 * 6  # query, key, value, output, and the two of the feed-forward part
    assert all(name.startswith("encoder.layer.") for name in found)


def test_the_end_of_a_longer_name_tells_layers_apart(tiny_encoder: Path) -> None:
    found = find_targets(TwoHeads.pretrained(tiny_encoder).encoder, ("attention.output.dense",))
    assert found == [f"encoder.layer.{number}.attention.output.dense" for number in range(2)]


@pytest.mark.parametrize("wrong", ["quary", "LayerNorm", "uery", "word_embeddings"])
def test_a_target_that_is_not_there_is_named_with_those_that_are(tiny_encoder: Path, wrong: str) -> None:
    said = rf"training\.lora\.targets: .*'{wrong}'\n.*dense, key, query, value"
    with pytest.raises(InputError, match=said):
        adapt(TwoHeads.pretrained(tiny_encoder).encoder, Lora(targets=("query", wrong)))
