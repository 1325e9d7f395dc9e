"""`python -m deploy.local.simulation`: serves the simulated web on loopback until it is told to stop."""

import time
from datetime import UTC, datetime

import click
import uvicorn

from deploy.local.simulation.phases import Course
from deploy.local.simulation.scenario import Scenario
from deploy.local.simulation.server import create_app

DEFAULTS = Scenario()


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="Port on 127.0.0.1.")
@click.option(
    "--seed",
    type=int,
    default=None,
    help="What is published follows from it. By default another one each time: a pipeline that keeps its topics"
    " between two runs knows the stories of the first one already.",
)
@click.option("--rate", type=click.FloatRange(0.1, 200), default=DEFAULTS.rate, help="Documents a second in calm.")
@click.option(
    "--crisis-start", type=click.FloatRange(0), default=DEFAULTS.course.start, help="Seconds from the start to the run."
)
@click.option(
    "--crisis-end", type=click.FloatRange(0), default=DEFAULTS.course.end, help="Seconds from the start to the rescue."
)
@click.option(
    "--crisis-every", type=click.FloatRange(0), default=None, help="Seconds from one run to the next; once if absent."
)
@click.option(
    "--history-minutes",
    type=click.FloatRange(0, 24 * 60),
    default=DEFAULTS.history_seconds / 60,
    help="How far back the past goes.",
)
def main(
    port: int,
    seed: int | None,
    rate: float,
    crisis_start: float,
    crisis_end: float,
    crisis_every: float | None,
    history_minutes: float,
) -> None:
    """Serve a made-up press and social network with a bank run in it, on 127.0.0.1."""
    try:
        course = Course(crisis_start, crisis_end, crisis_every)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    scenario = Scenario(
        seed=int(time.time()) if seed is None else seed,
        rate=rate,
        course=course,
        history_seconds=int(history_minutes * 60),
    )
    click.echo(f"The simulated web is at http://127.0.0.1:{port}/, seed {scenario.seed}.")
    app = create_app(scenario, lambda: datetime.now(UTC))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
