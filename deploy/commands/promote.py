"""`finsentry promote`: another bundle into the running workers."""

import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy.commands.options import with_settings
from deploy.commands.output import WIPE, print_json
from deploy.logs import log_as_command
from deploy.settings import Settings
from deploy.stopping import stop_on_signals

if TYPE_CHECKING:
    from deploy.promoting import Answer, Campaign
    from stream.control import ControlTable
    from stream.records import BundleRef, Promotion

SHADOW_SECONDS = 60.0


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option("--shadow", is_flag=True, help="Only score beside the live bundle, and say how far they differ.")
@click.option("--for", "seconds", type=click.FloatRange(min=1), help="How long a shadow runs; default: 60 seconds.")
@click.option("--rollback", is_flag=True, help="Make live again what was so before.")
@click.option("--status", is_flag=True, help="Show what is live and what each worker says; change nothing.")
@click.option("--wait", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds for the answers.")
@click.option("--seen-as", metavar="FOLDER", help="Where workers find BUNDLE, if elsewhere: in a container, say.")
@click.option("--language", default="", metavar="XX", help="Promote it as the bundle for this language, ISO 639-1.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@with_settings
def promote(
    settings: Settings,
    bundle: Path | None,
    shadow: bool,
    seconds: float | None,
    rollback: bool,
    status: bool,
    wait: float,
    seen_as: str | None,
    language: str,
    as_json: bool,
) -> int:
    """Put the bundle in the folder BUNDLE into the running workers.

    Each worker loads it beside the old one, checks it, and takes it up between two batches, so no document waits or
    is lost. Where a worker refuses it, all go back to what was live. Exit code 1 if a worker refuses or does not
    answer.

    BUNDLE takes the place of the default one, or with --language of the one that reads documents in that language;
    which languages have a bundle of their own is the workers' setting `model.languages`.

    \b
    Example:
      finsentry promote data/bundles/ab --shadow --for 300
      finsentry promote data/bundles/ab
      finsentry promote --rollback
      finsentry promote data/bundles/zh --language zh
    """
    _require_one(bundle, shadow, seconds, rollback, status)
    if language and not re.fullmatch("[a-z]{2}", language):
        raise click.UsageError(f"--language {language}: give the two small letters of ISO 639-1, such as zh")
    from deploy.local.broker import open_broker
    from deploy.promoting import Campaign, read_bundle
    from stream.control_desk import ControlDesk
    from stream.topics import Topics

    log_as_command()
    wanted = None
    if bundle is not None:  # said before a broker is looked for
        wanted = read_bundle(bundle, seen_as, language or settings.model.language)
    with (
        stop_on_signals() as stop,
        open_broker(settings) as broker,
        ControlDesk(broker, Topics(settings.topics)) as desk,
    ):
        if status:
            desk.read()
            found = _status(desk.table)
            print_json(found) if as_json else click.echo(_in_words(found))
            return 0
        teller = Teller(quiet=as_json)
        campaign = Campaign(desk, wait=wait, stopped=stop.is_set, told=teller, language=language)
        if shadow and wanted is not None:
            return run_shadow(campaign, wanted, seconds or SHADOW_SECONDS, str(bundle), as_json, wipe=teller.wipe)
        if wanted is not None:
            return _live(campaign, wanted, as_json, stopped=stop.is_set)
        return rolled_back(*campaign.roll_back(), as_json=as_json)


def _require_one(bundle: Path | None, shadow: bool, seconds: float | None, rollback: bool, status: bool) -> None:
    if (bundle is not None) + rollback + status != 1:
        raise click.UsageError("give one of BUNDLE, --rollback and --status")
    if shadow and bundle is None:
        raise click.UsageError("--shadow needs BUNDLE, the folder of the bundle to try")
    if seconds is not None and not shadow:
        raise click.UsageError("--for says how long a shadow runs: it goes with --shadow")


class Teller:
    """Prints a line when a worker's answer changes, and on standard error how far a shadow is.

    On a terminal that is one line, drawn anew; elsewhere a line now and then, see `deploy.disagreement.Pace`, unless it
    is to be quiet.
    """

    def __init__(self, *, quiet: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        from deploy.disagreement import Pace

        self._quiet = quiet
        self._monotonic = monotonic
        self._said: dict[str, str] = {}
        self._pace = Pace(monotonic())
        self._drawn = ""

    def __call__(self, found: "list[Answer]") -> None:
        for answer in found:
            line = _line(answer)
            if not self._quiet and answer.state != "unanswered" and self._said.get(answer.worker) != line:
                self.wipe()
                click.echo(line)
            self._said[answer.worker] = line
        if any(answer.state == "shadowing" for answer in found):
            self._tell_how_far(found)

    def _tell_how_far(self, found: "list[Answer]") -> None:
        from deploy.disagreement import in_brief
        from deploy.promoting import total

        summed = total(found)
        if sys.stderr.isatty():
            line = in_brief(summed)[: shutil.get_terminal_size().columns - 1]  # what wraps cannot be wiped
            if line != self._drawn:
                click.echo(WIPE + line, nl=False, err=True)
                self._drawn = line
        elif not self._quiet and self._pace.is_due(summed, self._monotonic()):
            click.echo(in_brief(summed), err=True)

    def wipe(self) -> None:
        """Clears what stands on the terminal, so that something else can be said."""
        if self._drawn:
            click.echo(WIPE, nl=False, err=True)
            self._drawn = ""


def _line(answer: "Answer") -> str:
    state = "live, on trial" if answer.state == "live" and answer.on_trial else answer.state
    scores = f"scoring with {answer.model}"
    return "  ".join(part for part in (f"{answer.worker:<28}", f"{state:<14}", scores, answer.reason) if part)


def _live(campaign: "Campaign", wanted: "BundleRef", as_json: bool, *, stopped: Any) -> int:
    if not as_json:
        click.echo(f"{wanted.version} in {wanted.folder} is whole; asking the workers")
    found = campaign.go_live(wanted)
    refused = any(answer.state == "refused" for answer in found)
    if as_json:
        print_json(_result(wanted.version, found) | {"taken_back": refused})
    elif not found:
        click.echo(f"no worker runs; the next ones to start come up with {wanted.version}")
        if silent := campaign.silent():
            click.echo(f"not heard of for a while, and not waited for: {', '.join(silent)}", err=True)
            click.echo("  a worker that hangs goes on with its bundle: see its log, and start it again", err=True)
    elif refused:
        click.echo("taken back: all workers are asked for what was live before", err=True)
        click.echo("  mend what the reason names, then promote it again", err=True)
    elif stopped():
        click.echo("not waited for: it stands, and `finsentry promote --status` shows what workers say", err=True)
    elif any(answer.on_trial for answer in found):
        click.echo("on trial until more documents come; if it fails on its first ones, the old bundle comes back")
    return _code(found, as_json)


def rolled_back(back: "Promotion", found: "list[Answer]", *, as_json: bool) -> int:
    """Says what became of a rollback to `back`, and returns the exit code."""
    version = back.bundle.version if back.bundle is not None else ""
    if as_json:
        print_json(_result(version, found))
    else:
        name = version or "the bundle of each worker's own settings"
        if any(answer.state == "refused" for answer in found):
            click.echo(f"asked for again, but not everywhere: {name}; a rollback is not taken back", err=True)
            click.echo("  see what the reason names, or promote a bundle that all workers can load", err=True)
        elif all(answer.state == "live" for answer in found):
            click.echo(f"live again: {name}")
        else:
            click.echo(f"asked for again: {name}")
    return _code(found, as_json)


def _code(found: "list[Answer]", as_json: bool) -> int:
    late = [answer.worker for answer in found if answer.state not in ("live", "refused")]
    if late and not as_json:
        click.echo(f"no answer in time from {', '.join(late)}", err=True)
        click.echo("  give it more time with --wait, see its log, and ask again with --status", err=True)
    return 0 if all(answer.state == "live" for answer in found) else 1


def run_shadow(
    campaign: "Campaign",
    wanted: "BundleRef",
    seconds: float,
    bundle: str,
    as_json: bool,
    *,
    wipe: Callable[[], object],
) -> int:
    """Runs a shadow, and returns the exit code. `wipe` clears the terminal of how far it is, also where it fails."""
    if not as_json:
        click.echo(f"{wanted.version} is whole; it scores beside the live bundle for {seconds:.0f} s")
    try:
        found = campaign.shadow(wanted, seconds)
    finally:
        wipe()
    return shadowed(wanted.version, found, bundle, as_json=as_json)


def shadowed(version: str, found: "list[Answer]", bundle: str, *, as_json: bool) -> int:
    """Says what a shadow that has ended found, and returns the exit code."""
    from deploy.disagreement import as_object, in_words
    from deploy.promoting import total

    summed = total(found)
    if as_json:
        print_json(_result(version, found) | {"disagreement": as_object(summed)})
    elif not found:
        click.echo("no worker runs, so nothing was compared", err=True)
        click.echo("  start one: `finsentry worker`", err=True)
    elif not summed.documents:
        click.echo("nothing was compared: no document came", err=True)
        click.echo("  let it run while documents flow, or longer: --for SECONDS", err=True)
    else:
        for line in in_words(summed):
            click.echo(line)
        click.echo(f"nothing was changed; to make it live: finsentry promote {bundle}")
    return 0 if summed.documents and all(answer.state == "shadowed" for answer in found) else 1


def _result(version: str, found: "list[Answer]") -> dict[str, Any]:
    import msgspec

    return {"version": version, "workers": msgspec.to_builtins(found)}


def _status(table: "ControlTable") -> dict[str, Any]:
    import msgspec

    workers = [
        msgspec.to_builtins(heard.report) | {"heard_seconds_ago": round(time.time() - heard.at_ms / 1000, 1)}
        for _, heard in sorted(table.workers.items())
    ]
    live, languages, shadow = msgspec.to_builtins(
        (table.live.get(""), {key: live for key, live in sorted(table.live.items()) if key}, table.shadow)
    )
    return {"live": live, "languages": languages, "shadow": shadow, "workers": workers}


def _in_words(status: dict[str, Any]) -> str:
    from stream.control import SILENT_SECONDS

    lines = []
    of_languages = {f"live in {key}": wanted for key, wanted in status["languages"].items()}
    for mode, wanted in ({"live": status["live"]} | of_languages | {"shadow": status["shadow"]}).items():
        if wanted is not None and wanted.get("bundle"):
            lines.append(f"{mode}: {wanted['bundle']['version']} in {wanted['bundle']['folder']}, since {wanted['at']}")
        elif mode != "shadow":
            lines.append(f"{mode}: the bundle of each worker's own settings")
    before = [bundle["version"] for bundle in reversed((status["live"] or {}).get("history", []))]
    if before:
        lines.append(f"before: {', '.join(before)}")
    for report in status["workers"]:
        said = [f"{report['worker']:<28}", f"scoring with {report['model']}"]
        said += [f"{language} with {version}" for language, version in sorted(report.get("models", {}).items())]
        of_languages = report.get("languages", {}).values()
        for progress in filter(None, (report.get("live"), *of_languages, report.get("shadow"))):
            of = f" {progress['version']}" if progress.get("version") else ""
            why = f": {progress['reason']}" if progress.get("reason") else ""
            trial = ", on trial" if progress.get("on_trial") else ""
            said.append(f"{progress['state']}{of}{trial}{why}")
        if report["heard_seconds_ago"] > SILENT_SECONDS:
            said.append(f"silent for {report['heard_seconds_ago']:.0f} s: it was killed, or cannot reach the broker")
        lines.append("  ".join(said))
    if not status["workers"]:
        lines.append("no worker runs")
    return "\n".join(lines)
