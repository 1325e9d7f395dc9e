"""A console as a process of its own: `python -m tests.browser.console_process SETTINGS`, which prints its address."""

import json
import logging
import sys

from dashboards.console.server import run_console
from dashboards.console.settings import ConsoleSettings
from model.settings import ModelSettings
from stream.broker import BrokerSettings
from stream.roles import RoleServer
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings


def announce(address: str) -> None:
    """Tells whoever started this process where the console listens."""
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    given = json.loads(sys.argv[1])
    run_console(
        BrokerSettings(bootstrap_servers=given["servers"]),
        Topics(TopicSettings(prefix=given["prefix"], partitions=given["partitions"])),
        ConsoleSettings(**given["console"]),
        # The tests' moments are those of the clock, and one silent partition holds nothing back for long.
        StreamSettings(idle_seconds=0.5),
        ModelSettings(threads=1),
        RoleServer("console", 0),
        listening=announce,
    )


if __name__ == "__main__":
    main()
