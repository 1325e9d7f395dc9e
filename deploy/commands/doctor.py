"""`finsentry doctor`: what is configured, reachable and fast enough."""

import json
from dataclasses import asdict

import click

from deploy.commands.options import with_settings
from deploy.logs import log_as_command
from deploy.settings import Settings

SIGNS = {"ok": "ok", "note": "note", "broken": "BROKEN"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of checks.")
@with_settings
def doctor(settings: Settings, as_json: bool) -> int:
    """Check what a run needs, and say what to do about what is missing.

    Exit code 1 where something needed is broken. Starts no server and changes nothing.

    \b
    Example:
      finsentry doctor
    """
    from deploy.doctor import examine

    log_as_command()
    checks = []
    for check in examine(settings):
        checks.append(check)
        if not as_json:
            click.echo(f"{SIGNS[check.state]:<8}{check.name:<18}{check.found}")
            if check.state != "ok" and check.fix:
                click.echo(f"{'':<26}{check.fix}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=2))
    return 1 if any(check.state == "broken" for check in checks) else 0
