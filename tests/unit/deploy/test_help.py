"""Every command and subcommand has help with an example, and the examples work and belong together."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from deploy import cli

CALL = re.compile(r"(?:^|\| |[A-Z_]=\S+ )finsentry (.*?)(?: [>|].*)?$", re.MULTILINE)
"""One call in an example, up to where the shell takes over."""

PATH = re.compile(r"\S*\b(?:runs|bundles?)/\S+")


def commands(path: str = "", command: click.Command = cli.cli) -> Iterator[tuple[str, click.Command]]:
    """Every command and subcommand, by what is typed after `finsentry`."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield f"{path} {name}".strip(), found
            yield from commands(f"{path} {name}".strip(), found)


EVERY = dict(commands())


def example(path: str) -> str:
    """What stands below `Example:` in the help, as it is printed."""
    return CliRunner().invoke(EVERY[path], ["--help"], prog_name=f"finsentry {path}").output.partition("\n  Example")[2]


def calls() -> list[str]:
    """Every call of `finsentry` in an example."""
    return [call for path in EVERY for call in CALL.findall(re.sub("^ +", "", example(path), flags=re.MULTILINE))]


def test_subcommands_are_walked() -> None:
    assert {"up", "bundles", "bundles list", "dead-letters show"} <= EVERY.keys()
    assert [path for path in EVERY if " " not in path] == list(cli.COMMANDS)


@pytest.mark.parametrize("path", EVERY)
def test_every_command_has_help_with_an_example_of_it(path: str) -> None:
    command = EVERY[path]

    assert command.name == path.rpartition(" ")[2]
    assert command.help
    assert f"finsentry {path}" in example(path)


@pytest.mark.parametrize("call", calls())
def test_an_example_is_a_command_line_that_is_understood(call: str) -> None:
    words = shlex.split(call)
    path = " ".join(words[:2]) if " ".join(words[:2]) in EVERY else words[0]

    EVERY[path].make_context(path, words[path.count(" ") + 1 :])


def test_examples_name_runs_and_bundles_that_an_example_makes() -> None:
    made = {"model/bundles/default"} | {out for call in calls() for out in re.findall(r"--out (\S+)", call)}
    named = {found for call in calls() for found in PATH.findall(call)}

    assert {"data/runs/a", "data/bundles/ab"} <= named
    assert named <= made
