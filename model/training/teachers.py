"""Runs as teachers of another, which learns what they answer beside what is labelled (Hinton et al. 2015).

They answer for both heads of a text, of which its source has labelled one. Teachers of the pupil's own encoder give it
the mean of their weights to begin at, or of those of its layers where it keeps fewer of them: several trainings
together are right more often than each, but not where their weights have their mean, and a short training from there
on ends near what they know together. Where some have just its layers, it begins at those alone: the others miss what is
cut off them. Teachers of another encoder, say one of twice as many layers, have nothing but their answers to give:
where all are such, the pupil begins as ever.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from model.bundle import TOKENIZER_FILE
from model.classifier import softmax
from model.data.recipe import Encoder, Recipe
from model.data.splits import Splits
from model.errors import InputError
from model.evaluation.metrics import Probabilities
from model.labels import SENTIMENTS, TOPICS
from model.nested import changes
from model.training.network import WEIGHTS_FILE, TwoHeads
from model.training.run import Run, Taught, read_run, recipe_of
from model.training.soup import mean_weights
from model.training.tokenizer_file import open_tokenizer
from model.training.trained import TrainedNetwork

logger = logging.getLogger(__name__)

COMMIT = re.compile("[0-9a-f]{40}")

Watch = Callable[[Path, int, int], object]
"""Takes a teacher's run and, after each batch of texts, how many it has answered, and how many there are."""


class Teachers:
    """Runs that learned from the data that the pupil learns from, or most of it, and how much their answers count."""

    def __init__(
        self, runs: Sequence[Path], recipe: Recipe, splits: Splits, watch: Watch = lambda _run, _batch, _batches: None
    ) -> None:
        """`watch` sees how far those are that have to be asked.

        Raises `InputError` where a run may know what is to be measured on, or is one that stands there already.
        """
        trained = [read_run(run) for run in runs]
        recipes = [recipe_of(run) for run in runs]
        seen: list[tuple[Recipe, Taught | None, list[dict[str, object]]]] = []
        for run, one, theirs in zip(runs, trained, recipes, strict=True):
            _require_same_data(run, one, splits, theirs, recipe)
            training = (theirs, one.taught, one.averaged)
            if training in seen:
                raise InputError(f"{run}: is the same training as an earlier one", fix="Give each run once.")
            seen.append(training)
        self._runs = runs
        self._lengths = [theirs.training.maximum_length for theirs in recipes]
        self._recipe = recipe
        self._watch = watch
        alike = {
            run: theirs for run, theirs in zip(runs, recipes, strict=True) if _same(theirs.encoder, recipe.encoder)
        }
        as_deep = [run for run, theirs in alike.items() if theirs.encoder.layers == recipe.encoder.layers]
        self._alike = as_deep or list(alike)
        _require_same_pieces(self._alike)
        self.taught = Taught(
            weight=recipe.training.distillation.weight,
            by=[one.recipe if one.taught is None else one.recipe | {"taught": one.taught} for one in trained],
            begins_at_mean=bool(self._alike),
        )

    def pupils_recipe(self) -> Recipe:
        """The recipe, with the epochs and the rate of a distillation where the pupil begins at its teachers."""
        if not self._alike:
            return self._recipe
        numbers = self._recipe.training.distillation
        training = self._recipe.training.model_copy(
            update={"epochs": numbers.epochs, "learning_rate": numbers.learning_rate}
        )
        return self._recipe.model_copy(update={"training": training})

    @property
    def tokenizer(self) -> Path | None:
        """Of the teachers at whose mean the pupil begins: each row of the word embeddings is a piece of this one.

        The pupil's own texts might leave it other pieces.
        """
        return self._alike[0] / TOKENIZER_FILE if self._alike else None

    def prepare(self, network: TwoHeads) -> None:
        """Gives `network` the mean of the weights of those teachers that have its encoder."""
        if self._alike:
            logger.info("begins at the mean of teachers runs=%s", ",".join(map(str, self._alike)))
            weights = mean_weights(self._alike, only=network.state_dict())
            network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in weights.items()})

    def answers(self, texts: Sequence[str], device: torch.device) -> dict[str, tuple[Probabilities, Probabilities]]:
        """By text, the mean over the teachers of the probabilities of topics (20) and sentiments (3)."""
        unique = list(dict.fromkeys(texts))
        # To load a teacher draws random numbers, and the pupil's must not hang on whether answers were kept. (Answers
        # themselves may differ in their last bits by what else was asked with them.)
        with torch.random.fork_rng(devices=[]):
            found = [
                _answers(run, length, unique, device, self._watch)
                for run, length in zip(self._runs, self._lengths, strict=True)
            ]
        topics, sentiments = (np.mean(head, axis=0) for head in zip(*found, strict=True))
        return dict(zip(unique, zip(topics, sentiments, strict=True), strict=True))


def _same(theirs: Encoder, ours: Encoder) -> bool:
    """Whether a teacher began at what its pupil would, or at more of its layers.

    A run has the commit of what its recipe, and the pupil's, may name by a branch, a tag or not at all.
    """
    unpinned = not COMMIT.fullmatch(ours.revision or "")
    if ours.layers is not None and (theirs.layers is None or theirs.layers > ours.layers):
        theirs = theirs.model_copy(update={"layers": ours.layers})
    one, other = (
        encoder.model_copy(
            update={
                "folder": encoder.folder and encoder.folder.resolve(),
                "revision": None if unpinned else encoder.revision,
            }
        )
        for encoder in (theirs, ours)
    )
    return one == other


def _require_same_pieces(runs: Sequence[Path]) -> None:
    """Raises `InputError` where a row of the word embeddings is one piece to a run and another to the next."""
    files = {(run / TOKENIZER_FILE).read_bytes(): run for run in reversed(runs)}
    if len(files) > 1:
        *_, other, first = files.values()
        raise InputError(
            f"{other}: has another tokenizer than {first}, so their weights have no mean",
            fix="Give teachers of this encoder whose vocabulary was cut by the same texts, or one of them.",
        )


def _require_same_data(run: Path, trained: Run, splits: Splits, theirs: Recipe, ours: Recipe) -> None:
    """The pupil may have sources more: of what nothing is held out of, a teacher cannot know what is measured on."""
    known = {source.name for source in theirs.sources}
    more = {one.name for one in ours.sources if one.name not in known and not (one.evaluation or one.holdout)}
    if trained.data != {name: of for name, of in splits.fingerprints.items() if name.rpartition(".")[0] not in more}:
        raise InputError(
            f"{run}: was trained on other data",
            fix="Give teachers that learned from the same; what they have not seen may train, but not be held out.",
        )
    shared = ours.model_copy(update={"sources": tuple(one for one in ours.sources if one.name not in more)})
    if different := changes(_divided_by(theirs), _divided_by(shared)):
        raise InputError(
            f"{run}: what trains and what is measured on was divided in another way: {different[0]}",
            fix="Give teachers whose recipes have the sources and the share for calibration that this one has.",
        )
    now = splits.rows_without(more)
    if trained.rows and now and trained.rows != now:  # runs of before it was kept have none
        raise InputError(
            f"{run}: was trained on other rows of the same files (digest {trained.rows}, now {now})",
            fix="Train the teacher again with this version of FinSentry.",
        )


def _divided_by(recipe: Recipe) -> dict[str, object]:
    """What decides which texts train; how much each counts, the encoder, the numbers of the training do not."""
    return recipe.model_dump(
        mode="json",
        include={"sources": True, "training": {"calibration"}},
        exclude={"sources": {"__all__": {"weight"}}},
    )


def _answers(
    run: Path, maximum_length: int, texts: Sequence[str], device: torch.device, watch: Watch
) -> tuple[Probabilities, Probabilities]:
    """What one teacher answers; kept beside it, since the next pupil asks much the same and it takes minutes."""
    kept = run / f"answers-{sha256((run / WEIGHTS_FILE).read_bytes()).hexdigest()[:16]}.npz"
    keys = [sha256(text.encode()).hexdigest()[:32].encode() for text in texts]
    known, topics, sentiments = _kept(kept)
    unknown = [text for text, key in zip(texts, keys, strict=True) if key not in known]
    if unknown:
        logger.info("asking a teacher run=%s texts=%d known=%d", run, len(unknown), len(known))
        teacher = TrainedNetwork(TwoHeads.load(run).to(device), open_tokenizer(run, maximum_length))
        found = teacher.logits(unknown, lambda batch, batches: watch(run, batch, batches))
        topics, sentiments = (
            np.concatenate([before, softmax(logits)])
            for before, logits in zip((topics, sentiments), found, strict=True)
        )
        known = {key: row for row, key in enumerate([*known, *(key for key in keys if key not in known)])}
        _keep(kept, known, topics, sentiments)
    rows = [known[key] for key in keys]
    return topics[rows], sentiments[rows]


def _kept(path: Path) -> tuple[dict[bytes, int], Probabilities, Probabilities]:
    """The row of each text's key, and the answers."""
    if not path.is_file():
        return {}, np.empty((0, len(TOPICS))), np.empty((0, len(SENTIMENTS)))
    with np.load(path) as arrays:
        rows = {key: row for row, key in enumerate(arrays["texts"].tolist())}
        return rows, arrays["topics"], arrays["sentiments"]


def _keep(path: Path, rows: Mapping[bytes, int], topics: Probabilities, sentiments: Probabilities) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}.npz")
    try:
        np.savez(unfinished, texts=np.array(list(rows)), topics=topics, sentiments=sentiments)
        unfinished.replace(path)
    except OSError as error:
        logger.warning("answers of a teacher are not kept file=%s error=%s", path, error)
