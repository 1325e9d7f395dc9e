"""The command line of the simulated web refuses what cannot be, before it serves anything."""

import pytest
from click.testing import CliRunner

from deploy.local.simulation.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing option '--port'"),
        (["--port", "0"], "0 is not in the range"),
        (["--port", "8000", "--crisis-start", "90", "--crisis-end", "30"], "end after it starts"),
        (["--port", "8000", "--crisis-every", "60"], "must be over before it comes back"),
        (["--port", "8000", "--rate", "0"], "0.0 is not in the range"),
    ],
)
def test_a_run_that_cannot_be_is_refused(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert says in result.output
