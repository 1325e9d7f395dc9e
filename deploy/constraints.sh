#!/bin/sh
# Pins every package for reproducible installs: names, versions and hashes, and no download addresses.
set -eu
cd "$(dirname "$0")/.."

compile() { # FILE ARGUMENT...
    file=$1
    shift
    # setuptools builds the project itself, with `pip install --no-build-isolation`.
    echo 'setuptools>=80' | .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
        --generate-hashes --only-binary :all: --no-emit-index-url --no-header --no-annotate \
        pyproject.toml - "$@" --output-file "$file"
    echo "$file: $(grep -c == "$file") packages"
}

compile deploy/constraints-dev.txt --extra dev
# The same versions as in the tests.
compile deploy/constraints.txt --extra cpu --constraints deploy/constraints-dev.txt
