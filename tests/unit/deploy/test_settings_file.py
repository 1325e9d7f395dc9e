"""A person's settings file keeps everything but the keys that are written."""

import tomllib
from pathlib import Path

import pytest

from deploy.errors import SettingsError
from deploy.settings_file import lines, with_keys, write_keys

VALUES = {"threads": 4, "batch_tokens": 512}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[model]\nthreads = 4\nbatch_tokens = 512\n"),
        (
            "# ours\n[model] # here\nthreads = 2  # was slow\nprovider = 'cpu'\n\n[stream]\nflush_seconds=0.5\n",
            "# ours\n[model] # here\nthreads = 4  # was slow\nprovider = 'cpu'\nbatch_tokens = 512\n\n"
            "[stream]\nflush_seconds=0.5\n",
        ),
        ("[kafka]\n# none yet\n", "[kafka]\n# none yet\n\n[model]\nthreads = 4\nbatch_tokens = 512\n"),
        ("model.threads = 1\n", "model.threads = 4\nmodel.batch_tokens = 512\n"),
        ("model = { threads = 1 }\n", "model = { threads = 4, batch_tokens = 512}\n"),
    ],
)
def test_all_else_stays_as_it_is(before: str, after: str) -> None:
    assert with_keys(before, "model", VALUES) == after
    assert tomllib.loads(after)["model"].items() >= VALUES.items()


def test_a_file_is_made_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "finsentry.toml"
    write_keys(file, "model", VALUES)
    assert file.read_text(encoding="utf-8") == lines("model", VALUES) + "\n"
    file.chmod(0o640)
    write_keys(file, "model", {"threads": 1})
    assert tomllib.loads(file.read_text(encoding="utf-8")) == {"model": {"threads": 1, "batch_tokens": 512}}
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "finsentry.toml"
    real.write_text("[model]\n", encoding="utf-8")
    link.symlink_to(real)
    write_keys(link, "model", VALUES)
    assert link.is_symlink()
    assert "threads = 4" in real.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["model = 3\n", "[model\n"])
def test_what_is_no_table_is_named_and_left(tmp_path: Path, text: str) -> None:
    file = tmp_path / "finsentry.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"finsentry\.toml"):
        write_keys(file, "model", VALUES)
    assert file.read_text(encoding="utf-8") == text


def test_where_it_cannot_write_it_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as failed:
        write_keys(tmp_path / "nowhere" / "finsentry.toml", "model", VALUES)
    assert "threads = 4" in failed.value.fix
