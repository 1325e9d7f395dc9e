"""A published classifier with one head, such as FinBERT, to ONNX in the form that a bundle's models have.

Exported by optimum, which knows what each kind of model reads; then brought to our inputs and outputs: no token types,
logits in the order of our labels, and zeros for the head that it does not have. The numbers are the model's own, or
there is an error.
"""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from optimum.exporters.onnx import export
from optimum.exporters.tasks import TasksManager
from transformers import AutoConfig, AutoModelForSequenceClassification

from model.data.recipe import LABELS
from model.errors import InputError
from model.export import parity
from model.export.to_onnx import OPSET, TOLERANCE, ExportError, fuse
from model.labels import Head
from model.runtime import INPUTS, OUTPUTS
from model.training.encoders import FUSED, longest, require_kind

OUTPUT: dict[Head, str] = dict(zip(("topic", "sentiment"), OUTPUTS, strict=True))


class HubHead:
    """A published classifier and which of its classes are which of ours."""

    def __init__(self, folder: Path, head: Head, labels: Mapping[str, str]) -> None:
        """`labels`: the model's names to ours; without those that are the same but for case.

        Raises `InputError` where `folder` holds no such model, or one of our labels has not exactly one of its own.
        """
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            require_kind(config, folder)
            _require_one_of_several(config, folder)
            self.order = label_order(config.id2label, head, labels)
            self.model = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, attn_implementation="eager"
            ).eval()
        except InputError:
            raise
        except Exception as error:  # whatever `transformers`, `safetensors` and `torch` raise of a damaged file
            raise InputError(
                f"{folder}: the model cannot be loaded: {error}", fix="Give a sequence classifier of `transformers`."
            ) from error
        self.head = head
        self.longest = longest(config)
        """Tokens that it reads at once."""
        self.classes = {str(config.id2label[i]): ours for i, ours in zip(self.order, LABELS[head], strict=True)}
        """The model's names to ours."""

    def export(self, path: Path, tolerance: float = TOLERANCE) -> float:
        """Writes it to `path` in float32 and returns by how much a logit differs at most.

        Raises `ExportError` where it computes something else.
        """
        with tempfile.TemporaryDirectory() as scratch:
            traced = Path(scratch) / "traced.onnx"
            _trace(self.model, traced)
            fused = _fused(traced, self.model.config)
        _reshape(fused, self.head, self.order)
        onnx.save(fused, path)
        difference = self.largest_difference(path)
        if not difference <= tolerance:
            raise ExportError(f"{path}: differs from the model by {difference:.1e}", fix="Do not ship this export.")
        return difference

    def largest_difference(self, path: Path) -> float:
        """The largest difference of any logit between the model and the one at `path`, over random ragged batches."""
        return parity.largest_difference(
            self._ordered, path, [OUTPUT[self.head]], longest=self.longest, vocabulary=self.model.config.vocab_size
        )

    def _ordered(self, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        return [self.model(input_ids=ids, attention_mask=mask).logits[:, self.order]]


def label_order(theirs: Mapping[int, str], head: Head, labels: Mapping[str, str]) -> list[int]:
    """For each of our labels of `head`, the index of the model's class. Raises `InputError` naming what is amiss.

    `theirs` are the model's classes; `labels` maps their names to ours, and needs none for names that are the same but
    for case.
    """
    indices = {name.casefold(): int(index) for index, name in theirs.items()}
    listed = ", ".join(theirs.values())
    found: dict[str, int] = {}
    free = indices.keys() - {name.casefold() for name in labels}
    same = [ours for ours in LABELS[head] if not labels or (ours not in labels.values() and ours.casefold() in free)]
    for name, ours in {**{ours: ours for ours in same}, **labels}.items():
        if ours not in LABELS[head]:
            raise InputError(
                f"--labels: {ours!r} is not a {head}", fix=f"Ours are {', '.join(map(repr, LABELS[head]))}."
            )
        if name.casefold() not in indices:
            raise InputError(
                f"--labels: the model has no class {name!r}, but {listed}",
                fix=f"Say which is which: --labels THEIRS=OURS,..., each of {', '.join(LABELS[head])} once.",
            )
        if ours in found:
            raise InputError(f"--labels: two classes are called {ours!r}", fix="Give each of our labels one class.")
        found[ours] = indices[name.casefold()]
    if missing := [ours for ours in LABELS[head] if ours not in found]:
        raise InputError(
            f"--labels: no class of the model ({listed}) is {missing[0]!r}",
            fix="Take a model that tells all of our labels apart: what it cannot say, nobody would be told.",
        )
    if len(set(found.values())) < len(found) or len(found) < len(theirs):
        raise InputError(
            f"--labels: the model has {len(theirs)} classes ({listed}), and {len(set(found.values()))} are named",
            fix="Name each of them once: what is left out would not be in the probabilities.",
        )
    return [found[ours] for ours in LABELS[head]]


def _require_one_of_several(config: Any, folder: Path) -> None:
    if config.num_labels < 2 or config.problem_type in ("regression", "multi_label_classification"):
        raise InputError(
            f"{folder}: is no classifier into one of several classes ({config.problem_type or 'one output'})",
            fix="Take a model whose classes exclude each other.",
        )


def _trace(model: Any, path: Path) -> None:
    known = TasksManager.get_exporter_config_constructor(
        "onnx", model, task="text-classification", library_name="transformers"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer says that it is old; what it got wrong, the ragged batches show
        export(model, known(model.config), path, opset=OPSET)


def _fused(path: Path, config: Any) -> ModelProto:
    if config.model_type not in FUSED:
        return onnx.load(path)
    model: ModelProto = fuse(path, config).model
    return model


def _reshape(model: ModelProto, head: Head, order: Sequence[int]) -> None:
    """Brings the graph to the inputs and outputs of a bundle's models, in place."""
    graph = model.graph
    kept = [one for one in graph.input if one.name in INPUTS]
    begin = [
        # Every text is one segment, the first.
        helper.make_node("Sub", [INPUTS[0], INPUTS[0]], [one.name])
        for one in graph.input
        if one.name not in INPUTS
    ]
    (logits,) = (one.name for one in graph.output)
    (absent,) = (other for other in LABELS if other != head)
    constants = {
        "hub.order": np.array(order),
        "hub.any": np.array([0] * len(LABELS[absent])),
        "hub.zero": np.float32(0),
    }
    end = [
        helper.make_node("Gather", [logits, "hub.order"], [OUTPUT[head]], axis=1),
        # As many rows as there are texts.
        helper.make_node("Gather", [logits, "hub.any"], ["hub.rows"], axis=1),
        helper.make_node("Mul", ["hub.rows", "hub.zero"], [OUTPUT[absent]]),
    ]
    nodes = [*begin, *graph.node, *end]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    graph.input.extend(kept)
    graph.output.extend(
        helper.make_tensor_value_info(OUTPUT[one], TensorProto.FLOAT, ["batch", len(labels)])
        for one, labels in LABELS.items()
    )
