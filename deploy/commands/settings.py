"""`finsentry settings`: what can be set."""

import click

from deploy.commands.output import print_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of keys.")
def settings(as_json: bool) -> None:
    """List every setting with its meaning, type, default and variable, as a settings file with comments.

    The file changes nothing as it stands: every key has its default there. What this machine is set to is not looked
    at; `finsentry doctor` checks that.

    \b
    Example:
      finsentry settings >reference.toml
      finsentry settings --json
    """
    from deploy.settings_reference import as_toml, keys

    if as_json:
        print_json(keys())
    else:
        click.echo(as_toml(), nl=False)
