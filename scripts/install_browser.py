"""Make sure that a Chromium is there for the tests that need a real browser.

One that is installed already is used. Otherwise Playwright's own is downloaded; where its
download is closed, Debian's package is installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SYSTEM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """Path of an installed Chromium or Chrome; None where there is none."""
    for name in SYSTEM_NAMES:
        if found := shutil.which(name):
            return found
    mac = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    if mac.exists():
        return str(mac)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def main() -> int:
    """Install a browser if none is there; exit status 0 if there is one afterwards."""
    if find_browser():
        return 0
    print("Installing a browser for the tests ...", flush=True)
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    attempts: list[list[str]] = []
    if shutil.which("apt-get") and (not as_root or shutil.which("sudo")):
        attempts += [
            [*as_root, "apt-get", "update", "-qq"],
            [*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ]
    attempts.append([sys.executable, "-m", "playwright", "install", "chromium"])
    for command in attempts:
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        if find_browser():
            return 0
    print("No browser could be installed. Install Chromium or Chrome, then try again.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
