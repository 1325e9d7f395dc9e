"""The `finsentry` command: finds the subcommand, and says errors to people instead of showing a traceback."""

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from deploy.stopping import end
from model.errors import FinSentryError

COMMANDS = {
    "up": "Run the whole pipeline on this machine.",
    "worker": "Score documents and count them into windows.",
    "crawl": "Crawl the sources of the settings.",
    "alerts": "Judge the windows and raise alerts.",
    "console": "Serve the page that shows it all.",
    "replay": "Publish an archive in event order.",
    "classify": "Say topic and sentiment of texts.",
    "explain": "Say which words of a text speak for a sentiment.",
    "drift": "Compare texts with those that the bundle was made for.",
    "backtest": "Judge an archive or scored documents offline.",
    "dump": "Print the records of a topic as JSON lines.",
    "archive": "Put scored documents into Parquet files by day.",
    "dead-letters": "List what could not be processed, and put it back.",
    "train": "Train the classifier as a recipe says.",
    "export": "Make a bundle of a training run.",
    "evaluate": "Measure a bundle on held-out sets.",
    "bundles": "List, show, verify and compare bundles.",
    "promote": "Put another bundle into the running workers.",
    "doctor": "Check what is configured, and say what to do.",
    "settings": "List every setting, its default and what it means.",
}
"""What there is, and what it does; each stands in a module of its own that is imported when it is asked for."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing meets on a full disk: such an error knows no file, as standard output may be one."""

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""


class LazyCommands(click.Group):
    """Imports a subcommand when it is run: help must not wait for numpy."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base class's name
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(import_module(f"deploy.commands.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings: finsentry.toml in the working directory, overridden by FINSENTRY_* variables; see `settings`.",
)
@click.version_option(package_name="finsentry", message="%(version)s")
def cli() -> None:
    """Watch what the news and social media say about finance.

    One alert per real event, topic by topic, when the negative share spikes.

    \b
    Example:
      finsentry up --simulate
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code; errors that a user can meet go to standard error."""
    try:
        result = cli.main(arguments, prog_name="finsentry", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except FinSentryError as error:
        return _say(error.message, error.fix, error.exit_code)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has enough, as `head` does
        _drop_output()
        return 1
    except OSError as error:
        if error.filename is None and error.errno in NO_ROOM:
            _drop_output()
            return _say(f"the output could not be written: {error.strerror}", "free some space on its disk", 1)
        if error.filename is None:
            raise
        return _say(f"{error.filename}: {error.strerror}", "check the path, its permissions and the disk", 1)


def main() -> None:
    """The entry point of the installed command."""
    end(run())


def _drop_output() -> None:
    """The interpreter must not try to flush once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str, fix: str, code: int) -> int:
    click.echo(f"finsentry: {message}", err=True)
    if fix:
        click.echo(f"  {fix}", err=True)
    return code
