"""Kafka's jars: copied once by Maven into a cache folder, and the Java that runs them."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.errors import LocalServerError

POM = Path(__file__).with_name("pom.xml")
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JAVA_NEEDED = 17  # Kafka 4's brokers
MAVEN_NEEDED = (3, 6)
MAVEN_SECONDS = 600


def default_cache() -> Path:
    """`.cache/kafka` of the checkout that this runs from; the user's cache folder where it is installed."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").exists():
        return checkout / ".cache" / "kafka"
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return user / "finsentry" / "kafka"


def jars_folder(cache: Path, pom: Path = POM) -> Path:
    """Where the jars of this `pom` stand or will stand: a new pom has a new folder."""
    return cache / hashlib.sha256(pom.read_bytes()).hexdigest()[:12]


def ensure_jars(cache: Path | None = None) -> Path:
    """The folder of Kafka's jars, filled by Maven where it is missing.

    Safe to run from several processes at once. Raises `LocalServerError` where Maven is missing or too old, or fails.
    """
    cache = cache or default_cache()
    folder = jars_folder(cache)
    if holds_kafka(folder):
        return folder
    maven = find_maven()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unfinished-") as unfinished:
        _copy(maven, Path(unfinished) / "jars")
        if not holds_kafka(folder):  # jars were lost from it
            shutil.rmtree(folder, ignore_errors=True)
        try:
            (Path(unfinished) / "jars").rename(folder)
        except OSError:
            if not holds_kafka(folder):  # else another process was quicker
                raise
    for old in cache.iterdir():
        if old != folder and not old.name.startswith("."):
            shutil.rmtree(old, ignore_errors=True)
    return folder


def holds_kafka(folder: Path) -> bool:
    """Whether the folder is more than the rest of a copy that was broken off or cleared away."""
    return any(folder.glob("kafka*.jar"))


def find_java() -> Path:
    """The `java` of JAVA_HOME or PATH. Raises `LocalServerError` where it is missing or older than Kafka needs."""
    fix = f"install Java {JAVA_NEEDED} or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)"
    java = _find("java", "JAVA_HOME", fix)
    said = _first_output([java, "-version"], fix)
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None:
        raise LocalServerError(f"{java} -version does not say which version it is: {said[:200]!r}", fix=fix)
    if int(version[1]) < JAVA_NEEDED:
        raise LocalServerError(
            f"{java} is Java {version[1]}, Kafka needs {JAVA_NEEDED}", fix=f"{fix}; or set JAVA_HOME"
        )
    return java


def find_maven() -> Path:
    """The `mvn` of PATH. Raises `LocalServerError` where it is missing or too old."""
    needed = ".".join(map(str, MAVEN_NEEDED))
    fix = (
        f"install Maven {needed} or newer (Debian, Ubuntu: apt-get install maven); it is needed once, for Kafka's jars"
    )
    find_java()
    maven = _find("mvn", "MAVEN_HOME", fix)
    said = _first_output([maven, "-version"], fix)
    version = re.search(r"Apache Maven (\d+)\.(\d+)", said)
    if version is None:
        raise LocalServerError(f"{maven} -version does not say which version it is: {said[:200]!r}", fix=fix)
    if (int(version[1]), int(version[2])) < MAVEN_NEEDED:
        raise LocalServerError(f"{maven} is Maven {version[1]}.{version[2]}, {needed} is needed", fix=fix)
    return maven


def _copy(maven: Path, target: Path) -> None:
    command: list[str | Path] = [
        maven,
        "-B",
        "-q",
        "-f",
        POM,
        COPY,
        "-DincludeScope=runtime",
        f"-DoutputDirectory={target}",
    ]
    fix = "Maven needs to reach Maven Central (or your mirror of it, in ~/.m2/settings.xml) once; then run this again"
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=MAVEN_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise LocalServerError(f"Maven did not copy Kafka's jars within {MAVEN_SECONDS} s", fix=fix) from error
    if done.returncode != 0:
        causes = [line for line in (done.stdout + done.stderr).splitlines() if "[ERROR]" in line]
        said = causes[0] if causes else f"exit code {done.returncode}"
        raise LocalServerError(f"Maven could not copy Kafka's jars: {said}", fix=fix)


def _find(name: str, home: str, fix: str) -> Path:
    if os.environ.get(home):
        candidate = Path(os.environ[home]) / "bin" / name
        if candidate.exists():
            return candidate
    found = shutil.which(name)
    if found is None:
        raise LocalServerError(f"{name} is not installed: it is neither on PATH nor in {home}", fix=fix)
    return Path(found)


def _first_output(command: list[Path | str], fix: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalServerError(f"{command[0]} does not run: {error}", fix=fix) from error
    return done.stdout + done.stderr


if __name__ == "__main__":  # `make setup`
    try:
        ensure_jars()
        find_java()
    except (LocalServerError, OSError) as error:
        sys.exit(f"setup: {error}")
