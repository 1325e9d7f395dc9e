"""A bundle into the place of what stood there, as a whole."""

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model.bundle import MANIFEST_FILE, Bundle, Manifest, files_of, read_manifest, write_manifest
from model.errors import BundleError
from model.evaluation.card import CARD_FILE, model_card

logger = logging.getLogger(__name__)


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """A temporary folder next to `folder`, `NAME.making-...`, in which to make what `replace_bundle` puts in its place.

    Raises `OSError` where nothing may be written next to it.
    Whoever is killed leaves it there: it may be deleted.
    """
    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f"{place.name}.making-") as scratch:
        yield Path(scratch)


def finish(folder: Path, draft: Path, manifest: Manifest) -> Bundle:
    """Writes manifest and card beside what lies in `draft`, and makes it the bundle in `folder`: `replace_bundle`."""
    complete = write_manifest(draft, manifest)
    (draft / CARD_FILE).write_text(model_card(complete), encoding="utf-8")
    replace_bundle(folder, draft)
    return Bundle.load(folder)


def replace_bundle(folder: Path, draft: Path) -> None:
    """Makes `folder` the bundle in `draft`, which lies `beside` it and holds nothing else; `draft` is then gone.

    A kill leaves one of the two bundles whole at `folder`, or, between two renames, none there and both next to it:
    rename the old one, `NAME.replaced-...`, back then, or export again. Next to a `folder` that is there, a
    `NAME.replaced-...` is what it was before, and may be deleted.

    A `folder` that holds anything but a bundle, is a mount point or is where this process works stays: files are moved
    into it one by one, then those taken out that the bundle before had besides, and nothing else. A kill then leaves
    what loading refuses as damaged: export again. The same is done where its owner or its access cannot be given to the
    new one. Whoever mounts a bundle elsewhere, as into a container, mounts the folder above it, since the folder itself
    is another one afterwards.
    """
    place = folder.resolve()  # what a link points to is replaced, not the link
    for path in (*draft.rglob("*"), draft):
        _to_disk(path)  # a power cut may keep a new name and lose what it leads to
    if not place.exists():
        draft.rename(place)
        _to_disk(place.parent)
        return
    old, new = _names(place), _names(draft)
    if not _holds_only(place, old | new) or not _swapped(place, draft):
        _move_into(place, draft, new, old - new)


def _to_disk(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        if not path.is_dir():  # some file systems do that for no folder
            raise


def _names(folder: Path) -> set[str]:
    """The files of the bundle in `folder`, relative to it; none where its manifest cannot be read."""
    try:
        return {*files_of(read_manifest(folder / MANIFEST_FILE)), MANIFEST_FILE, CARD_FILE}
    except BundleError:
        return set()


def _holds_only(place: Path, names: set[str]) -> bool:
    """Whether all files in `place` are among `names`, so that it may go as a whole."""
    known = {place / part for name in names for part in (name, Path(name).parent)}
    # A shell that stands in a folder which is deleted finds nothing there, whatever has its name.
    return place.is_dir() and known.issuperset(place.rglob("*")) and not place.samefile(os.curdir)


def _swapped(place: Path, draft: Path) -> bool:
    """Puts `draft` in the place of `place`; False, and nothing is changed, where that cannot be renamed."""
    aside = place.with_name(f"{place.name}.replaced-{secrets.token_hex(4)}")
    try:
        before = place.stat()
        os.chown(draft, before.st_uid, before.st_gid)  # workers may be let in by their group
        shutil.copystat(place, draft)  # after it: a change of owner takes bits of the mode away
    except OSError:
        return False
    try:
        place.rename(aside)
        draft.rename(place)
    except BaseException as error:
        if aside.exists() and not place.exists():
            aside.rename(place)
        elif isinstance(error, OSError):  # a mount point, a layer of a container: files in it can be replaced
            return False
        raise
    _to_disk(place.parent)  # before what stood there goes
    shutil.rmtree(aside, ignore_errors=True)
    if aside.exists():
        logger.warning("could not be deleted whole, and is needed no longer folder=%s", aside)
    return True


def _move_into(place: Path, draft: Path, new: set[str], stale: set[str]) -> None:
    for name in sorted(new):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(draft / name, place / name)
        _to_disk(place / name)  # on another file system it is a copy
    for name in stale:
        (place / name).unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            (place / name).parent.rmdir()
