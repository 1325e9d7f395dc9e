"""`finsentry alerts`: judges the windows."""

import click

from deploy.commands.options import with_settings
from deploy.logs import log_as_role
from deploy.settings import Settings


@click.command()
@with_settings
def alerts(settings: Settings) -> None:
    """Judge the windows and raise alerts, until it is told to stop.

    Two of them side by side agree, and write the same alerts; where documents come to one a moment later than to the
    other, they may tell of one event twice, and each alert ends.

    \b
    Example:
      FINSENTRY_KAFKA__BOOTSTRAP_SERVERS=localhost:9092 finsentry alerts
    """
    from alerts.service import run_alerts
    from deploy.local.broker import open_broker
    from stream.roles import RoleServer
    from stream.topics import Topics

    log_as_role()
    server = RoleServer("alerts", settings.metrics.alerts, host=settings.metrics.host)
    with open_broker(settings) as broker:
        run_alerts(broker, Topics(settings.topics), settings.alerts, settings.stream, server)
