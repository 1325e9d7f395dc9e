"""Opening the bundle that a promotion names, and no other."""

from collections.abc import Callable
from pathlib import Path

from model.classifier import Classifier
from model.errors import BundleError
from model.settings import ModelSettings
from stream.records import BundleRef


def bundle_loader(settings: ModelSettings) -> Callable[[BundleRef | None], Classifier]:
    """Opens bundles as the settings say, theirs for None; verified, and raising what is wrong with them."""

    def load(wanted: BundleRef | None) -> Classifier:
        if wanted is None:
            return Classifier.load(settings)
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
