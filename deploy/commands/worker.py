"""`finsentry worker`: scores documents and counts them into windows."""

import click

from deploy.commands.options import with_settings
from deploy.logs import log_as_role
from deploy.settings import Settings
from deploy.stopping import closing_in_time


@click.command()
@with_settings
def worker(settings: Settings) -> None:
    """Score documents and count them into windows, until it is told to stop.

    Run as many as there are partitions; they share them. What `finsentry promote` made live scores, else the bundle
    of the settings. Needs a broker: the configured one, or the embedded Kafka of the latest `finsentry up`.

    \b
    Example:
      FINSENTRY_KAFKA__BOOTSTRAP_SERVERS=localhost:9092 finsentry worker
    """
    from deploy.local.broker import open_broker
    from stream.app import run_worker
    from stream.loading import bundle_loader, load_live
    from stream.roles import RoleServer
    from stream.topics import Topics

    log_as_role()
    server = RoleServer("worker", settings.metrics.worker, host=settings.metrics.host)
    load = bundle_loader(settings.model)
    with closing_in_time(load_live(settings.model, load)) as live, open_broker(settings) as broker:
        run_worker(broker, Topics(settings.topics), settings.stream, live, server, load=load)
