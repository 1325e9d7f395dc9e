"""`finsentry dead-letters`: what could not be processed, why, and putting it back."""

import fnmatch
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from deploy.commands.options import with_settings
from deploy.commands.output import print_json, progress_bar
from deploy.errors import InputError
from deploy.logs import log_as_command
from deploy.settings import Settings
from deploy.stopping import stop_on_signals

if TYPE_CHECKING:
    from stream.broker import BrokerSettings
    from stream.letter_box import Choice, Letter
    from stream.records import DeadLetter
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
    from deploy.local.broker import open_broker
    from stream.topics import Topics

    with open_broker(settings) as broker:
        letters = _letters(broker, Topics(settings.topics)).values()
    found = [letter for letter in letters if _is_of(letter.head, stage, error)]
    if as_json:
        print_json([_row(letter) for letter in found])
        return
    if not letters:
        click.echo("nothing: every document was processed")
        return
    if not found:
        click.echo(f"none of these is of stage {stage} with error {error}:")
    causes = Counter((letter.head.stage, letter.head.error) for letter in found or letters)
    for (at_stage, cause), count in causes.most_common():
        click.echo(f"{count:>8,}  {at_stage}  {cause}")
    click.echo()
    for letter in found[-last:]:
        head = letter.head
        state = f"  put back: {head.put_back}" if head.put_back else ""
        click.echo(f"{head.position}  {head.at:%Y-%m-%d %H:%M:%S}  {head.stage}  {letter.size:,} bytes{state}")
        click.echo(f"    {head.error}: {_one_line(head.message)}")
        click.echo(f"    {_one_line(_shown(head.value))}")


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
    from stream.letter_box import decode_letter
    from stream.snapshot import read_topic
    from stream.topics import Topics

    topics = Topics(settings.topics)
    with open_broker(settings) as broker:
        letters = (decode_letter(record.value) for record in read_topic(broker, topics.dead_letters))
        found = next(
            (one for one in letters if one is not None and one.put_back is None and one.position == position), None
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
    document whose event time is older than stream.lateness_minutes counts as late. While one such command is at it,
    another is refused.

    \b
    Example:
      finsentry dead-letters resubmit --stage classify --dry-run
    """
    from deploy.local.broker import open_broker
    from stream.letter_box import alone, choose, fates, put_back
    from stream.topics import Topics

    if not (positions or stage or error or every):
        raise click.UsageError("name POSITIONs, or choose by --stage, --error or --all")
    if positions and (stage or error or every):
        raise click.UsageError("give either POSITIONs or --stage, --error, --all")
    topics = Topics(settings.topics)
    sent = 0
    with stop_on_signals() as stop, open_broker(settings) as broker, ExitStack() as lock:
        require = None if dry_run else lock.enter_context(alone(broker, topics, stopped=stop.is_set))
        asked_for = _asked_for(_letters(broker, topics), positions, stage or "*", error or "*")
        taken = [letter for letter in asked_for if again or letter.put_back is None]
        choice = choose(taken, fates(broker, topics, taken, stopped=stop.is_set), again=again)
        if choice.put_back and require is not None:
            with progress_bar(length=len(choice.put_back), label="putting back") as bar:
                sent = put_back(
                    broker,
                    topics,
                    choice.put_back,
                    done=lambda _: bar.update(1),
                    stopped=stop.is_set,
                    require=require,
                )
    skipped = len(asked_for) - len(taken)
    if as_json:
        print_json(
            {
                "chosen": choice.put_back,
                "resubmitted": sent,
                "skipped": skipped,
                "counted": choice.counted,
                "undecided": choice.undecided,
                "dry_run": dry_run,
            }
        )
    else:
        _report(choice, sent, skipped, dry_run=dry_run)


def _report(choice: "Choice", sent: int, skipped: int, *, dry_run: bool) -> None:
    wanted = len(choice.put_back)
    for position in choice.put_back if dry_run else ():
        click.echo(position)
    click.echo(f"{wanted:,} would be put back" if dry_run else f"{sent:,} of {wanted:,} put back")
    if skipped:
        click.echo(f"{skipped:,} passed over: put back before, or begun to be; --again takes them too")
    if counted := len(choice.counted):
        click.echo(f"{counted:,} passed over: scored and counted after all, when a worker took over from another")
    if undecided := len(choice.undecided):
        click.echo(
            f"{undecided:,} passed over: `scored` does not say that they are dead. Start a worker, which decides;"
            " of those that have expired there --again takes all"
        )


def _letters(broker: "BrokerSettings", topics: "Topics") -> "dict[str, Letter]":
    from stream.letter_box import read_letters
    from stream.snapshot import read_topic

    return read_letters(read_topic(broker, topics.dead_letters))


def _asked_for(letters: Mapping[str, "Letter"], positions: Sequence[str], stage: str, error: str) -> "list[DeadLetter]":
    """Those at `positions`, each once, or where there are none all of that stage and error."""
    for position in positions:
        if position not in letters:
            raise _unknown(position)
    if positions:
        return [letters[position].head for position in dict.fromkeys(positions)]
    return [letter.head for letter in letters.values() if _is_of(letter.head, stage, error)]


def _is_of(letter: "DeadLetter", stage: str, error: str) -> bool:
    return fnmatch.fnmatchcase(letter.stage, stage) and fnmatch.fnmatchcase(letter.error, error)


def _row(letter: "Letter") -> dict[str, object]:
    """A letter as `list --json` has it."""
    head = letter.head
    return {
        "position": head.position,
        "at": head.at,
        "stage": head.stage,
        "error": head.error,
        "message": head.message,
        "size": letter.size,
        "preview": _shown(head.value),
        "appended_at": head.appended_at,
        "put_back": head.put_back,
    }


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
