"""Debian's Chromium (or Chrome), driven by Playwright: nothing is downloaded, and the browser talks to nobody."""

import shutil

EXECUTABLE = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
