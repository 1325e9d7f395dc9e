#!/bin/sh
# Sets up the checkout: `setup.sh runtime` what `finsentry up` needs (and, as root on Debian, the servers that it starts
# where they are there), `setup.sh tests` what all tests need besides.
# Does nothing where all is there: a stamp in the virtual environment names what was installed.
set -eu
cd "$(dirname "$0")/.."

VENV=.venv

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

is_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_packages() { # PACKAGE...
    say "installing $*"
    apt-get update -qq || return 1
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$@" </dev/null >/dev/null
}

# The first of the Pythons that the project is made for; PYTHON names another.
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
    python=$(find_python) || exit 1
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
    # Of both kinds: they share the environment, so what an earlier one names is soon no longer what is installed.
    rm -f "$VENV/finsentry-"*
    say "installing the Python packages of $2"
    # Wheels alone: nothing is built, so nothing unpinned is fetched to build it with.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        --only-binary :all: -r "$2"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index \
        --editable .
    touch "$stamp"
}

runtime() {
    # What the tests need includes what a run needs, in the same versions.
    [ -e "$VENV/finsentry-tests-$(fingerprint deploy/constraints-dev.txt)" ] ||
        install_python_packages runtime deploy/constraints.txt
    "$VENV/bin/python" -m deploy.local.jars
}

missing_servers() { # those of Debian's packages that a run shows its alerts in
    command -v prometheus >/dev/null && command -v promtool >/dev/null || echo prometheus
    command -v prometheus-alertmanager >/dev/null || command -v alertmanager >/dev/null || echo prometheus-alertmanager
}

missing_browser() {
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || echo chromium
}

install_servers() { # PACKAGE...
    install_packages "$@" || return 1 # in a list joined by || the shell overlooks what fails within
    # The packages start servers of their own at boot, on all addresses; a run and the tests start theirs.
    if [ -d /run/systemd/system ]; then
        # Only what was installed just now: another one may be in use.
        for package in "$@"; do
            case $package in prometheus | prometheus-alertmanager) systemctl disable --quiet --now "$package" ;; esac
        done
    fi
}

# A run does without them, so nothing here may stop it.
servers_where_possible() {
    missing=$(missing_servers)
    [ -n "$missing" ] && is_root_on_debian || return 0
    # shellcheck disable=SC2086 # a list of words is meant
    (install_servers $missing) || say "going on without:" $missing
}

servers_for_tests() {
    missing="$(missing_servers) $(missing_browser)"
    [ -z "${missing# }" ] && return
    # shellcheck disable=SC2116,SC2086 # one line of words is meant
    missing=$(echo $missing)
    is_root_on_debian || fail "the tests need $missing: as root on Debian, apt-get install $missing"
    # Ubuntu's package of that name is a pointer to a snap, which runs in no container.
    case $missing in
        *chromium*) ! grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null ||
            fail "the tests need a browser, and Ubuntu packages none: install google-chrome-stable, or chromium of Debian" ;;
    esac
    # shellcheck disable=SC2086 # a list of words is meant
    install_servers $missing
}

# Each on a line of its own: in a list joined by && the shell overlooks what fails within a function.
case ${1-} in
    runtime)
        runtime
        servers_where_possible
        ;;
    tests)
        install_python_packages tests deploy/constraints-dev.txt
        runtime
        servers_for_tests
        ;;
    *) fail "usage: setup.sh runtime|tests" ;;
esac
