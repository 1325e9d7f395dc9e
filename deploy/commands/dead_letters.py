"""`finsentry dead-letters`: what could not be processed, why, and putting it back."""

import fnmatch
import re
import sys
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from deploy.commands.options import with_settings
from deploy.errors import InputError
from deploy.logs import log_as_command
from deploy.settings import Settings
from deploy.stopping import stop_on_signals

if TYPE_CHECKING:
    from stream.broker import BrokerSettings
    from stream.letter_box import Letter
    from stream.topics import Topics

SHOWN = 20
UNSAFE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]")
"""What could move a terminal's cursor."""


@click.group("dead-letters")
def dead_letters() -> None:
    """List what could not be processed, show it, and put it back.

    Each has a position: the topic, partition and offset of the record that could not be processed.

    \b
    Example:
      finsentry dead-letters list --stage classify
      finsentry dead-letters show finsentry.documents/2/1041
      finsentry dead-letters resubmit --stage classify
    """
    log_as_command()


@dead_letters.command("list")
@click.option("--stage", default="*", help="Only of this stage: decode, classify.")
@click.option("--error", default="*", help="Only with this error: TooLarge, Decode*.")
@click.option("--last", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="Show so many, the latest.")
@click.option("--json", "as_json", is_flag=True, help="Print all of them as one JSON list.")
@with_settings
def list_letters(settings: Settings, stage: str, error: str, last: int, as_json: bool) -> None:
    """Say how many there are of each cause, and show the latest.

    \b
    Example:
      finsentry dead-letters list --error TooLarge
    """
    import msgspec

    from deploy.local.broker import open_broker
    from stream.topics import Topics

    with open_broker(settings) as broker:
        letters = _letters(broker, Topics(settings.topics)).values()
    found = _chosen(letters, stage, error)
    if as_json:
        rows = [{**msgspec.to_builtins(letter), "preview": _shown(letter.preview)} for letter in found]
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    if not letters:
        click.echo("nothing: every document was processed")
        return
    if not found:
        click.echo(f"none of these is of stage {stage} with error {error}:")
    for (at_stage, cause), count in Counter((letter.stage, letter.error) for letter in found or letters).most_common():
        click.echo(f"{count:>8,}  {at_stage}  {cause}")
    click.echo()
    for letter in found[-last:]:
        state = f"  put back: {letter.put_back}" if letter.put_back else ""
        click.echo(f"{letter.position}  {letter.at:%Y-%m-%d %H:%M:%S}  {letter.stage}  {letter.size:,} bytes{state}")
        click.echo(f"    {letter.error}: {_one_line(letter.message)}")
        click.echo(f"    {_one_line(_shown(letter.preview))}")


@dead_letters.command()
@click.argument("position")
@click.option("--raw", is_flag=True, help="Write the record's value alone, byte for byte.")
@with_settings
def show(settings: Settings, position: str, raw: bool) -> None:
    """Show the whole record at POSITION and what was wrong with it.

    \b
    Example:
      finsentry dead-letters show finsentry.documents/2/1041 --raw >record.json
    """
    from deploy.local.broker import open_broker
    from stream.letter_box import decode_letter, position_of
    from stream.snapshot import read_topic
    from stream.topics import Topics

    topics = Topics(settings.topics)
    with open_broker(settings) as broker:
        letters = (decode_letter(record.value) for record in read_topic(broker, topics.dead_letters))
        found = next(
            (one for one in letters if one is not None and one.put_back is None and position_of(one) == position), None
        )
    if found is None:
        raise _unknown(position)
    if raw:
        sys.stdout.buffer.write(found.value)
        return
    click.echo(f"{position}  {found.at:%Y-%m-%d %H:%M:%S}  {found.stage}")
    click.echo(f"{found.error}: {_safe(found.message)}")
    click.echo(f"key {_shown(found.key)!r}, value of {len(found.value):,} bytes:")
    click.echo("\n    ".join(map(_safe, _shown(found.value).splitlines())))


@dead_letters.command()
@click.argument("positions", nargs=-1)
@click.option("--stage", help="All of this stage: decode, classify.")
@click.option("--error", help="All with this error: TooLarge, Decode*.")
@click.option("--all", "every", is_flag=True, help="All there are.")
@click.option("--again", is_flag=True, help="Also those that were put back before, or begun to be.")
@click.option("--dry-run", is_flag=True, help="Say which, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_settings
def resubmit(
    settings: Settings,
    positions: tuple[str, ...],
    stage: str | None,
    error: str | None,
    every: bool,
    again: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put documents back where they came from, to be scored and counted once more as if they were new.

    Mend the cause first: what still cannot be processed comes back as a new letter, and many in a row stop a worker. A
    document whose event time is older than stream.lateness_minutes counts as late. Run one such command at a time.

    \b
    Example:
      finsentry dead-letters resubmit --stage classify --dry-run
    """
    import msgspec

    from deploy.local.broker import open_broker
    from stream.letter_box import fates, put_back
    from stream.topics import Topics

    if not (positions or stage or error or every):
        raise click.UsageError("name POSITIONs, or choose by --stage, --error or --all")
    if positions and (stage or error or every):
        raise click.UsageError("give either POSITIONs or --stage, --error, --all")
    topics = Topics(settings.topics)
    sent = 0
    with stop_on_signals() as stop, open_broker(settings) as broker:
        letters = _letters(broker, topics)
        for position in positions:
            if position not in letters:
                raise _unknown(position)
        chosen = [letters[one] for one in positions] or _chosen(letters.values(), stage or "*", error or "*")
        open_ones = [letter.position for letter in chosen if again or letter.put_back is None]
        skipped = len(chosen) - len(open_ones)
        became = fates(broker, topics, (letters[one] for one in open_ones), stopped=stop.is_set)
        counted = [one for one in open_ones if became[one] == "counted"]
        undecided = [one for one in open_ones if became[one] == "undecided" and not again]
        open_ones = [one for one in open_ones if one not in {*counted, *undecided}]
        if open_ones and not dry_run:
            with click.progressbar(
                length=len(open_ones), label="putting back", hidden=not sys.stderr.isatty(), file=sys.stderr
            ) as bar:
                sent = put_back(broker, topics, open_ones, done=lambda _: bar.update(1), stopped=stop.is_set)
    if as_json:
        result = {
            "chosen": open_ones,
            "resubmitted": sent,
            "skipped": skipped,
            "counted": counted,
            "undecided": undecided,
            "dry_run": dry_run,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(result), indent=2))
        return
    for position in open_ones if dry_run else ():
        click.echo(position)
    click.echo(f"{len(open_ones):,} would be put back" if dry_run else f"{sent:,} of {len(open_ones):,} put back")
    if skipped:
        click.echo(f"{skipped:,} passed over: put back before, or begun to be; --again takes them too")
    if counted:
        click.echo(f"{len(counted):,} passed over: scored and counted after all, when a worker took over from another")
    if undecided:
        click.echo(
            f"{len(undecided):,} passed over: `scored` does not say that they are dead. Start a worker, which decides;"
            " of those that have expired there --again takes all"
        )


def _letters(broker: "BrokerSettings", topics: "Topics") -> "dict[str, Letter]":
    from stream.letter_box import read_letters
    from stream.snapshot import read_topic

    return read_letters(read_topic(broker, topics.dead_letters))


def _chosen(letters: "Iterable[Letter]", stage: str, error: str) -> "list[Letter]":
    return [
        letter
        for letter in letters
        if fnmatch.fnmatchcase(letter.stage, stage) and fnmatch.fnmatchcase(letter.error, error)
    ]


def _unknown(position: str) -> InputError:
    return InputError(
        f"there is no dead letter {position}",
        fix="`finsentry dead-letters list` shows the positions; they are kept for 30 days",
    )


def _shown(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _safe(line: str) -> str:
    return UNSAFE.sub("\N{REPLACEMENT CHARACTER}", line)


def _one_line(text: str) -> str:
    """The first 160 characters, with nothing in them that would break the line or move a cursor."""
    line = UNSAFE.sub(" ", text)
    return line if len(line) <= 160 else f"{line[:159]}…"
