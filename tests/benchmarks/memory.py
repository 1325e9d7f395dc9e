"""Does the classifier's memory grow with what it has read? `python -m tests.benchmarks.memory`.

A million made-up texts of every length, 512 at a time as the stream reads them, through a network so small that the
way around it is what takes the time: tokenising, batches of ever new shapes, ONNX Runtime's arenas. The shipped bundle
itself, with `--bundle`, takes some twenty minutes for a million.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from shutil import copyfile

import numpy as np
import torch
from transformers import BertConfig, BertModel

from model.bundle import (
    DEFAULT_BUNDLE,
    FORMAT,
    MODEL_FILE,
    TOKENIZER_FILE,
    Bundle,
    Manifest,
    Temperatures,
    write_manifest,
)
from model.classifier import Classifier
from model.export.quantize import quantize
from model.export.to_onnx import export
from model.labels import SENTIMENTS, TOPICS
from model.sample_texts import sample_texts
from model.settings import ModelSettings
from model.training.network import TwoHeads
from tests.benchmarks.side_by_side import machine

AT_ONCE = 512
POINTS = 10


def small_bundle(folder: Path) -> Path:
    """An int8 bundle of two layers, 32 wide, that has learned nothing."""
    copyfile(DEFAULT_BUNDLE / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, attn_implementation="eager"
    )
    torch.manual_seed(0)
    export(TwoHeads(BertModel(config)), folder / "float.onnx")
    quantize(folder / "float.onnx", folder / MODEL_FILE)
    write_manifest(
        folder,
        Manifest(
            format=FORMAT,
            version="small",
            precision="int8",
            topics=TOPICS,
            sentiments=SENTIMENTS,
            maximum_length=Bundle.load(DEFAULT_BUNDLE).manifest.maximum_length,
            temperatures=Temperatures(),
            files={},
        ),
    )
    return folder


def resident_megabytes() -> float:
    """Of this process, by Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--bundle", type=Path, help="in place of a small one that is made for this")
    options = parser.parse_args(arguments)
    print(f"{machine()}\n")
    print("| texts | resident MB |\n|---|---|")
    with tempfile.TemporaryDirectory() if not options.bundle else nullcontext() as folder:
        bundle = options.bundle or small_bundle(Path(str(folder)))
        with Classifier.load(ModelSettings(bundle=bundle)) as classifier:
            done, points = 0, []
            while done < options.texts:
                classifier.classify(sample_texts(AT_ONCE, seed=done))
                done += AT_ONCE
                if done * POINTS // options.texts > (done - AT_ONCE) * POINTS // options.texts:
                    points.append((done, resident_megabytes()))
                    print(f"| {done:,} | {points[-1][1]:.0f} |", flush=True)
    later = np.array(points[len(points) // 2 :])
    slope = np.polyfit(later[:, 0], later[:, 1], 1)[0]
    print(f"\ngrowth in the second half: {slope * 1e6:+.1f} MB a million texts")


if __name__ == "__main__":
    main()
