"""The settings that ingest crawls the simulated web with."""

from deploy.local.simulation.outlets import OUTLETS, SOCIAL
from deploy.local.simulation.sources import simulation_settings


def test_every_outlet_and_the_social_network_are_crawled() -> None:
    settings = simulation_settings("127.0.0.1", 4321)
    assert [source.name for source in settings.sources] == [*(outlet.key for outlet in OUTLETS), SOCIAL]
    assert {source.kind for source in settings.sources} == {"news", "social"}


def test_loopback_is_open_at_that_port_alone() -> None:
    settings = simulation_settings("127.0.0.1", 4321)
    assert settings.private_exceptions == ("127.0.0.1:4321",)
    assert not settings.allow_private_addresses
    assert all(source.url.startswith("http://127.0.0.1:4321/") for source in settings.sources)
