"""Where a run on one machine keeps what it makes.

`<data_folder>/live` for crawling and the simulated web, kept between runs; `<data_folder>/replay` for the latest
replay, begun anew each time: an archive's dates must not meet the watermarks of other documents.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folders of one run."""

    path: Path

    @property
    def kafka(self) -> Path:
        return self.path / "kafka"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def of(self, name: str) -> Path:
        """The folder of one server, made where it is missing."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def log(self, role: str) -> Path:
        return self.logs / f"{role}.log"

    def clear(self) -> None:
        """Forgets what an earlier run left."""
        shutil.rmtree(self.path, ignore_errors=True)


def live_folder(data_folder: Path) -> RunFolder:
    return RunFolder(data_folder / "live")


def replay_folder(data_folder: Path) -> RunFolder:
    return RunFolder(data_folder / "replay")


def remember(data_folder: Path, run: RunFolder) -> None:
    """Makes this run the one that commands without a broker look into."""
    data_folder.mkdir(parents=True, exist_ok=True)
    (data_folder / LATEST).write_text(run.path.name, encoding="utf-8")


def latest_folder(data_folder: Path) -> RunFolder | None:
    """The folder of the run that began last; None where there was none."""
    try:
        name = (data_folder / LATEST).read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    folder = RunFolder(data_folder / name)
    return folder if folder.kafka.is_dir() else None
