#!/bin/sh
# Sets up the checkout: `setup.sh runtime` what `finsentry up` needs, `setup.sh tests` what all tests need besides.
# Does nothing where all is there: a stamp in the virtual environment names what was installed.
set -eu
cd "$(dirname "$0")/.."

VENV=.venv

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

is_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_packages() { # PACKAGE...
    say "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$@" </dev/null >/dev/null
}

# The newest Python that the project is tested with; PYTHON names another.
find_python() {
    for python in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed (Debian, Ubuntu: apt-get install python3); PYTHON=/path/to/python names one"
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then # Debian keeps it in a package of its own
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        is_root_on_debian || fail "$python cannot make virtual environments: as root, apt-get install $package"
        install_packages "$package"
    fi
    say "making $VENV with $("$python" --version)"
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
}

fingerprint() { cat "$@" deploy/setup.sh pyproject.toml | sha256sum | cut -c1-16; }

install_python_packages() { # KIND CONSTRAINTS
    stamp=$VENV/finsentry-$1-$(fingerprint "$2")
    [ -e "$stamp" ] && return
    "$VENV/bin/python" -c '' 2>/dev/null || make_venv
    say "installing the Python packages of $2"
    # Wheels alone: nothing is built, so nothing unpinned is fetched to build it with.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        --only-binary :all: -r "$2"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index \
        --editable .
    rm -f "$VENV/finsentry-$1-"*
    touch "$stamp"
}

runtime() {
    # What the tests need includes what a run needs, in the same versions.
    [ -e "$VENV/finsentry-tests-$(fingerprint deploy/constraints-dev.txt)" ] ||
        install_python_packages runtime deploy/constraints.txt
    "$VENV/bin/python" -m deploy.local.jars
}

test_servers() {
    missing=
    command -v prometheus >/dev/null && command -v promtool >/dev/null || missing="$missing prometheus"
    command -v prometheus-alertmanager >/dev/null || missing="$missing prometheus-alertmanager"
    command -v chromium >/dev/null || missing="$missing chromium"
    [ -z "$missing" ] && return
    is_root_on_debian || fail "the tests need$missing: as root on Debian, apt-get install$missing"
    # shellcheck disable=SC2086 # a list of words is meant
    install_packages $missing
    # The packages start servers of their own at boot, on all addresses; the tests start theirs.
    if [ -d /run/systemd/system ]; then
        for service in prometheus prometheus-alertmanager; do
            case $missing in *"$service"*) systemctl disable --quiet --now "$service" ;; esac
        done
    fi
}

case ${1-} in
    runtime) runtime ;;
    tests) install_python_packages tests deploy/constraints-dev.txt && runtime && test_servers ;;
    *) fail "usage: setup.sh runtime|tests" ;;
esac
