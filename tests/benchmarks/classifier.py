"""How fast the classifier is, beside what people would write: `python -m tests.benchmarks.classifier`.

Needs the `train` extra, for torch. All contenders classify the same texts with networks of the same shape, the default
recipe's; what the weights say does not matter for the time it takes, and in the others they are random.

`--calls` compares our own settings instead, with few texts a call to many, as they come when the stream is quiet.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import torch
import transformers
from tokenizers import Tokenizer

from model.batching import pad
from model.bundle import DEFAULT_BUNDLE, TOKENIZER_FILE
from model.classifier import Classifier
from model.data.recipe import CONFIGS, read_recipe
from model.export.to_onnx import export
from model.runtime import INPUTS, OUTPUTS
from model.settings import ModelSettings
from model.training.network import TwoHeads
from tests.benchmarks.side_by_side import Contender, machine, rates, table
from tests.benchmarks.texts import own_texts

BATCH = 64

CALLS = (1, 4, 16, 64, 512)
"""Texts in a call."""

SETTINGS: dict[str, dict[str, Any]] = {
    "FinSentry, repeatable (default)": {},
    "FinSentry, fast (`model.repeatable = false`)": {"repeatable": False},
}


def random_encoder(folder: Path) -> Path:
    """An encoder of the default recipe's shape, with the shipped bundle's tokenizer."""
    layers = read_recipe(CONFIGS / "default.toml").encoder.layers
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(DEFAULT_BUNDLE / TOKENIZER_FILE), pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_max_length=512,
    )  # fmt: skip
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=384,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=1536,
        pad_token_id=tokenizer.pad_token_id,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pipeline(encoder: Path, items: Sequence[str]) -> Contender:
    """A Hugging Face pipeline on torch float32 as its documentation writes it."""
    classify = transformers.pipeline(
        "text-classification",
        model=transformers.AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=20),
        tokenizer=transformers.AutoTokenizer.from_pretrained(encoder),
        device="cpu",
    )
    return lambda: len(classify(list(items), batch_size=BATCH, truncation=True, max_length=96))


def plain_runtime(encoder: Path, folder: Path, items: Sequence[str]) -> Contender:
    """ONNX Runtime float32 as it comes: all cores to each batch of 64, in the order of arrival."""
    network = TwoHeads.pretrained(encoder)
    network.save(folder)
    export(TwoHeads.load(folder), folder / "model.onnx")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(encoder / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.enable_truncation(96)

    def run() -> int:
        source = iter(items)
        done = 0
        while batch := list(islice(source, BATCH)):
            rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(batch)]
            done += len(session.run(OUTPUTS, dict(zip(INPUTS, pad(rows), strict=True)))[0])
        return done

    return run


def by_call(classifiers: Mapping[str, Classifier], items: Sequence[str], *, rounds: int) -> list[str]:
    """A Markdown table: texts a second by the number of texts in a call."""

    def contender(classifier: Classifier, size: int) -> Contender:
        return lambda: sum(len(classifier.classify(items[at : at + size])) for at in range(0, len(items), size))

    found = rates(
        {f"{name} {size}": contender(one, size) for name, one in classifiers.items() for size in CALLS}, rounds=rounds
    )
    lines = ["| texts in a call | " + " | ".join(classifiers) + " |", "|---|" + "---|" * len(classifiers)]
    for size in CALLS:
        cells = " | ".join(f"{median(found[f'{name} {size}']):,.0f} texts/s" for name in classifiers)
        lines.append(f"| {size} | {cells} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.classifier", description=__doc__)
    parser.add_argument("--texts", type=int, default=1024, help="in each round of each contender")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bundle", type=Path, help="in place of the shipped one")
    parser.add_argument("--calls", action="store_true", help="our own settings by the number of texts in a call")
    options = parser.parse_args(arguments)
    transformers.logging.set_verbosity_error()
    on = machine()
    items = own_texts(options.texts)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        encoder = random_encoder(folder / "encoder")
        shipped = {
            name: stack.enter_context(Classifier.load(ModelSettings(bundle=options.bundle, **settings)))
            for name, settings in SETTINGS.items()
        }
        if options.calls:
            print(f"{on}; onnxruntime {onnxruntime.__version__}; {len(items)} texts, {options.rounds} rounds\n")
            print("\n".join(by_call(shipped, items, rounds=options.rounds)))
            return
        contenders: dict[str, Contender] = {
            "transformers pipeline, torch fp32, batch 64": pipeline(encoder, items),
            "ONNX Runtime fp32, unsorted batches of 64": plain_runtime(encoder, folder, items),
            **{name: (lambda c=c: len(c.classify(items))) for name, c in shipped.items()},  # type: ignore[misc]
        }
        found = rates(contenders, rounds=options.rounds)
        tokenizer = Tokenizer.from_file(str(encoder / TOKENIZER_FILE))
        tokenizer.no_padding()
        lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(items)]
    print(f"{on}; torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")
    print(f"{len(items)} texts of {np.mean(lengths):.0f} tokens (5 to 95 %: {np.percentile(lengths, 5):.0f} to "
          f"{np.percentile(lengths, 95):.0f}), {options.rounds} rounds\n")  # fmt: skip
    print("\n".join(table(found, unit="texts/s")))


if __name__ == "__main__":
    main()
