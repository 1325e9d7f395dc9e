import msgspec
import pytest

from model.bundle import DEFAULT_BUNDLE, Bundle
from model.errors import BundleError
from model.settings import ModelSettings
from stream.loading import bundle_loader
from stream.records import BundleRef


def test_the_bundle_that_was_promoted_is_opened_and_no_other_in_its_place() -> None:
    load = bundle_loader(ModelSettings(threads=1))
    manifest = Bundle.load(DEFAULT_BUNDLE).manifest
    wanted = BundleRef(folder=str(DEFAULT_BUNDLE), version=manifest.version, digest=manifest.digest)

    with load(wanted) as classifier:
        assert classifier.version == manifest.version
    with load(None) as classifier:
        assert classifier.version == manifest.version
    for other in ({"digest": "0" * 64}, {"version": "other-1"}):
        with pytest.raises(BundleError, match="was promoted") as caught:
            load(msgspec.structs.replace(wanted, **other))
        assert manifest.version in caught.value.message
