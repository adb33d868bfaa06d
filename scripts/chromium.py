"""A Chromium for the browser tests: the one at hand, or Debian's own, installed where this may be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CHOSEN = "FEWSHOT_CHROMIUM"  # environment variable with the path of a browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
DEBIAN = ("chromium", "fonts-dejavu-core")
INSTALL_TIMEOUT = 300  # seconds
ADVICE = f"no Chromium was found: install one, or set {CHOSEN} to its path"


def find_chromium() -> str | None:
    """Path of a browser of the Chromium family; None where there is none."""
    if chosen := os.environ.get(CHOSEN):
        return chosen if Path(chosen).is_file() else None
    found = [shutil.which(name) for name in NAMES]
    found += [place for place in PLACES if Path(place).is_file()]
    return next((path for path in found if path), None)


def provide_chromium() -> str | None:
    """As ``find_chromium``; installs Debian's package first where there is none and this user may."""
    found = find_chromium()
    if found or os.environ.get(CHOSEN) or not may_install():
        return found
    print("installing Chromium from the system's packages", flush=True)
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *DEBIAN]):
        try:
            result = subprocess.run(
                ["apt-get", *command], env=settings, capture_output=True, text=True, timeout=INSTALL_TIMEOUT
            )
        except (OSError, subprocess.SubprocessError) as error:
            print(f"that failed: {error}")
            break
        if result.returncode:
            print(f"that failed: {(result.stderr or result.stdout).strip()[-300:]}")
            break
    return find_chromium()


def may_install() -> bool:
    """Whether this is a Debian or Ubuntu and we are its administrator."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None
