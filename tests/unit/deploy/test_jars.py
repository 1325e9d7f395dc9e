"""Java and Maven are found, or what to install is said."""

from pathlib import Path

import pytest

from deploy.errors import LocalServerError
from deploy.local.jars import ensure_jars, find_java, find_maven, jars_folder

JAVA_17 = "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2"
MAVEN_3 = "echo 'Apache Maven 3.8.7'"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("MAVEN_HOME", raising=False)
    return folder


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_java_that_is_new_enough_is_taken(programs: Path) -> None:
    java = program(programs, "java", JAVA_17)

    assert find_java() == java


def test_java_home_comes_before_the_path(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(programs, "java", "echo 'java version \"1.8.0_301\"' >&2")
    (tmp_path / "home" / "bin").mkdir(parents=True)
    java = program(tmp_path / "home" / "bin", "java", JAVA_17)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))

    assert find_java() == java


@pytest.mark.usefixtures("programs")
def test_missing_java_names_the_package() -> None:
    with pytest.raises(LocalServerError, match="java is not installed") as caught:
        find_java()

    assert "openjdk-17-jre-headless" in caught.value.fix


def test_old_java_names_both_versions(programs: Path) -> None:
    program(programs, "java", "echo 'java version \"1.8.0_301\"' >&2")

    with pytest.raises(LocalServerError, match="is Java 8, Kafka needs 17"):
        find_java()


def test_missing_maven_names_the_package(programs: Path) -> None:
    program(programs, "java", JAVA_17)

    with pytest.raises(LocalServerError, match="mvn is not installed") as caught:
        find_maven()

    assert "apt-get install maven" in caught.value.fix


def test_old_maven_names_both_versions(programs: Path) -> None:
    program(programs, "java", JAVA_17)
    program(programs, "mvn", "echo 'Apache Maven 3.0.5'")

    with pytest.raises(LocalServerError, match=r"is Maven 3\.0, 3\.6 is needed"):
        find_maven()


def test_maven_that_fails_says_its_own_first_error(programs: Path, tmp_path: Path) -> None:
    program(programs, "java", JAVA_17)
    program(programs, "mvn", f'[ "$1" = -version ] && {MAVEN_3} && exit 0\necho "[ERROR] no route"; exit 1')

    with pytest.raises(LocalServerError, match=r"\[ERROR\] no route"):
        ensure_jars(tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_jars_are_copied_once_and_again_for_another_pom(programs: Path, tmp_path: Path) -> None:
    (programs / "mkdir").symlink_to("/bin/mkdir")
    calls = tmp_path / "calls"
    program(programs, "java", JAVA_17)
    program(
        programs,
        "mvn",
        f'[ "$1" = -version ] && {MAVEN_3} && exit 0\n'
        f'echo call >> {calls}\nfor a; do case "$a" in -DoutputDirectory=*) folder="${{a#*=}}";; esac; done\n'
        'mkdir "$folder"; : > "$folder/kafka_2.jar"',
    )
    cache = tmp_path / "cache"
    (cache / "of-an-older-pom").mkdir(parents=True)

    assert ensure_jars(cache) == ensure_jars(cache) == jars_folder(cache)

    assert calls.read_text() == "call\n"
    (jars_folder(cache) / "kafka_2.jar").unlink()
    ensure_jars(cache)
    assert calls.read_text() == "call\n" * 2, "jars that were lost are copied again"
    assert list(cache.iterdir()) == [jars_folder(cache)]
    other = tmp_path / "pom.xml"
    other.write_text("<project/>")
    assert jars_folder(cache, other) != jars_folder(cache)
