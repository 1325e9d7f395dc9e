"""Debian's Chromium, driven by Playwright: nothing is downloaded, and the browser itself talks to nobody."""

EXECUTABLE = "/usr/bin/chromium"

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
