"""The tokenizer of a pretrained model as one file that the `tokenizers` library reads, as serving does."""

import shutil
from pathlib import Path

from tokenizers import Tokenizer

from model.bundle import TOKENIZER_FILE
from model.errors import InputError


def write_tokenizer(source: Path, folder: Path) -> None:
    """Writes the tokenizer of the model at `source` to `folder`, made from its vocabulary where it is of an older form.

    Raises `InputError` where there is none, a damaged one, or one that only Python code can run: serving needs a fast
    one.
    """
    if (source / TOKENIZER_FILE).is_file():
        read_tokenizer(source / TOKENIZER_FILE)
        shutil.copyfile(source / TOKENIZER_FILE, folder / TOKENIZER_FILE)
        return
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, use_fast=True)
    except Exception as error:  # whatever its vocabulary's reader raises, or misses
        raise _no_tokenizer(source, f": {str(error).strip().partition(chr(10))[0]}") from error
    if not tokenizer.is_fast:
        raise _no_tokenizer(source, f": {type(tokenizer).__name__} has no fast form")
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER_FILE))


def open_tokenizer(folder: Path, maximum_length: int) -> Tokenizer:
    """The run's tokenizer as the classifier will use it: no padding, cut at `maximum_length`. Raises `InputError`."""
    tokenizer = read_tokenizer(folder / TOKENIZER_FILE)
    tokenizer.no_padding()
    tokenizer.enable_truncation(maximum_length)
    return tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer at `path` as it stands there. Raises `InputError` that names the file where it is none."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises bare Exception for whatever its file holds
        raise InputError(
            f"{path}: not a tokenizer: {error}", fix="Save the encoder's tokenizer again, or train the run again."
        ) from error


def _no_tokenizer(source: Path, why: str) -> InputError:
    return InputError(
        f"{source}: has no {TOKENIZER_FILE}, and none can be made{why}",
        fix="Save one beside the model: AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER), of a fast kind.",
    )
