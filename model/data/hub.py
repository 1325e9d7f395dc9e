"""Models by their name on a hub of Hugging Face's kind, through its client and its cache."""

from collections.abc import Sequence
from pathlib import Path

from model.errors import INSTALL_TRAINING, FinSentryError, InputError

DESCRIPTION = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
               "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model")  # fmt: skip
"""What says how a model is built and how it reads."""

SAFE_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
OLD_WEIGHTS = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
"""For models that were published before safetensors; `torch` reads them with `weights_only`, which runs no code."""


def fetch(name: str, revision: str | None = None, key: str = "hub") -> Path:
    """The folder of the model `name` (`owner/model`) in the cache, fetched where it is not there yet.

    `key` names what asked for it in errors: `InputError` where there is no such model, `FinSentryError` where the hub
    cannot be reached and the cache does not hold it.
    """
    folder = _snapshot(name, revision, (*DESCRIPTION, *SAFE_WEIGHTS), key)
    if not any(folder.glob("*.safetensors")):
        folder = _snapshot(name, revision, OLD_WEIGHTS, key)
    if not (folder / "config.json").is_file():
        raise InputError(f"{key}: {name} has no config.json", fix="Name a model that `transformers` can load.")
    return folder


def commit_of(folder: Path) -> str | None:
    """The commit that a folder of the cache holds; None for another folder."""
    return folder.name if folder.parent.name == "snapshots" else None


def _snapshot(name: str, revision: str | None, patterns: Sequence[str], key: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise FinSentryError(f"{key}: needs {error.name}", fix=INSTALL_TRAINING) from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except HFValidationError as error:
        raise InputError(f"{key}: {name!r} is no name of a model", fix="Give it as owner/model.") from error
    except GatedRepoError as error:
        raise InputError(
            f"{key}: {name} is given only to those who accepted its terms",
            fix="Accept them on its page, then set HF_TOKEN to a token of that account.",
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{key}: the hub has no model {name}, or not for everybody",
            fix="Mend the name; for a private model, set HF_TOKEN.",
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(
            f"{key}: {name} has no revision {revision}", fix="Give a branch, a tag or a whole commit, or none."
        ) from error
    except (LocalEntryNotFoundError, OSError) as error:  # OSError: what `requests` raises is one
        raise FinSentryError(
            f"{key}: {name} is not in the cache, and the hub cannot be reached: {_first_line(error)}",
            fix="Go online once, set HF_ENDPOINT to a mirror, or give a folder that holds the model.",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
