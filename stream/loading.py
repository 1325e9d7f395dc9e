"""Opening the bundle that a promotion names, and no other."""

import logging
from pathlib import Path
from typing import Protocol, TypeVar

from model.classifier import Classifier, TextClassifier
from model.errors import BundleError
from model.routing import DEFAULT, bundle_settings
from model.settings import ModelSettings
from stream.live_model import LiveModel, Loaded
from stream.records import BundleRef

logger = logging.getLogger(__name__)

C_co = TypeVar("C_co", bound=TextClassifier, covariant=True)


class Load(Protocol[C_co]):
    """Opens and verifies a bundle; blocks, and raises what is wrong with it."""

    def __call__(self, wanted: BundleRef | None, slot: str = DEFAULT, /) -> C_co:
        """The bundle `wanted`, or for None the one that the worker's settings have for this slot."""


def bundle_loader(settings: ModelSettings) -> Load[Classifier]:
    """Opens bundles as the settings say; of a promoted one, version and digest are compared."""

    def load(wanted: BundleRef | None, slot: str = DEFAULT, /) -> Classifier:
        if wanted is None:
            return Classifier.load(bundle_settings(settings, slot))
        classifier = Classifier.load(settings.model_copy(update={"bundle": Path(wanted.folder)}))
        manifest = classifier.bundle.manifest
        if (manifest.version, manifest.digest) != (wanted.version, wanted.digest):
            classifier.close()
            raise BundleError(
                f"{wanted.folder}: holds {manifest.version} (digest {manifest.digest[:8]}), but"
                f" {wanted.version} (digest {wanted.digest[:8]}) was promoted",
                fix="put the same bundle there on every machine, or promote the one that is there",
            )
        return classifier

    return load


def load_live(settings: ModelSettings, load: Load[TextClassifier]) -> LiveModel:
    """All bundles of the settings, ready to score. Raises `BundleError` where one cannot be opened."""
    first = Loaded(None, load(None))
    languages = {key: Loaded(None, load(None, key)) for key in settings.languages}
    for language, (_, classifier) in ((settings.language, first), *languages.items()):
        if classifier.language not in (None, language):
            logger.warning(
                "texts of another language texts=%s bundle=%s made_for=%s",
                language,
                classifier.version,
                classifier.language,
            )
    return LiveModel(first, languages, default_language=settings.language)
