"""`finsentry console`: serves the page."""

import click

from deploy.commands.options import with_settings
from deploy.logs import log_as_role
from deploy.settings import Settings


@click.command()
@with_settings
def console(settings: Settings) -> None:
    """Serve the page with topics, alerts and headlines, until it is told to stop.

    \b
    Example:
      FINSENTRY_CONSOLE__PORT=8081 finsentry console
    """
    from dashboards.console.server import run_console
    from deploy.local.broker import open_broker
    from stream.roles import RoleServer
    from stream.topics import Topics

    log_as_role()
    server = RoleServer("console", settings.metrics.console, host=settings.metrics.host)
    with open_broker(settings) as broker:
        run_console(
            broker,
            Topics(settings.topics),
            settings.console,
            settings.stream,
            settings.model,
            server,
            listening=lambda address: click.echo(f"The console is at {address}"),
        )
