"""`finsentry crawl`: reads the configured sources on their schedules."""

import click

from deploy.commands.options import with_settings
from deploy.logs import log_as_role
from deploy.settings import Settings
from deploy.stopping import stop_on_signals


@click.command()
@with_settings
def crawl(settings: Settings) -> None:
    """Crawl the sources of the settings, until it is told to stop.

    \b
    Example:
      cat >sources.toml <<END
      kafka.bootstrap_servers = "localhost:9092"
      [[ingest.sources]]
      type = "feed"
      name = "business-desk"
      url = "https://news.example/business/rss.xml"
      END
      finsentry crawl --settings sources.toml
    """
    from deploy.local.broker import open_broker
    from ingest.crawler import run_crawler
    from stream.topics import Topics

    log_as_role()
    with stop_on_signals() as stop, open_broker(settings) as broker:
        run_crawler(
            settings.ingest,
            broker,
            Topics(settings.topics),
            port=settings.metrics.crawl,
            metrics_host=settings.metrics.host,
            stop=stop,
        )
