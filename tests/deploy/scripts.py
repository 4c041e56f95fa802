"""Running the scripts of ``deploy/scripts``, and what stands on the far side of ``az``."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import httpx

from tests.conftest import ROOT
from whatsit.data import example_pictures

_IMAGES = ("old", "new", "dead", "blind", "broken")
DIGESTS = {
    name: f"example.azurecr.io/whatsit@sha256:{str(digit) * 64}"
    for digit, name in enumerate(_IMAGES)
}

_DEPLOY = """#!/bin/sh
# What deploy.sh of the machine promises: the same files, words and exit statuses.
set -eu
cd "$(dirname "$0")"
[ ! -e locked ] || {{ echo "not deployed: another roll-out is under way"; exit 75; }}
wanted=$1
[ "$wanted" != previous ] || wanted=$(cat previous-image 2>/dev/null || true)
[ -n "$wanted" ] || {{ echo "not deployed: name an image by its digest"; exit 64; }}
case $wanted in *{broken}) echo "not deployed: $1 can't be pulled"; exit 1 ;; esac
[ ! -s current-image ] || [ "$(cat current-image)" = "$wanted" ] || cp current-image previous-image
printf '%s' "$wanted" > current-image
seq 2000  # more than az passes on
echo "deployed: $wanted"
"""
# Like `az`, it succeeds whatever the script does, and shows the last 4 KiB of its output.
_AZ = """#!{python}
import json, os, subprocess, sys
arguments = sys.argv[1:]
with open(os.environ["MACHINE"] + "/asked", "a") as asked:
    print(*arguments[:3], file=asked)
if os.path.exists(os.environ["MACHINE"] + "/unreachable"):
    sys.exit("the machine does not answer")
script = arguments[arguments.index("--scripts") + 1]
ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
message = f"Enable succeeded: \\n[stdout]\\n{{ran.stdout[-4096:]}}\\n[stderr]\\n{{ran.stderr}}"
print(json.dumps({{"value": [{{"code": "ProvisioningState/succeeded", "message": message}}]}}))
"""


def run(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a script of ``deploy/scripts`` prints, and its exit status."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [str(ROOT / "deploy" / "scripts" / script), *arguments],
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def write_program(path: Path, text: str) -> None:
    """Make a program of a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


class Machine:
    """A machine in Azure that a script reaches by ``az`` alone: a folder, and its own address.

    What it runs decides what its address answers: ``dead`` is never ready, ``blind`` calls every
    picture a cat; ``broken`` cannot be pulled. All else is whatsit itself.
    """

    def __init__(self, folder: Path, whatsit_url: str) -> None:
        self.folder = folder
        broken = DIGESTS["broken"].split("@")[1]
        write_program(folder / "deploy.sh", _DEPLOY.format(broken=broken))
        write_program(folder / "az-bin" / "az", _AZ.format(python=sys.executable))
        self._front = _Front(folder, whatsit_url)
        self.url = f"http://127.0.0.1:{self._front.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._front.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._front.shutdown()
        self._front.server_close()

    @property
    def image(self) -> str:
        """What runs."""
        return (self.folder / "current-image").read_text(encoding="utf-8")

    @property
    def asked(self) -> list[str]:
        """Commands that were given to ``az``."""
        return (self.folder / "asked").read_text(encoding="utf-8").splitlines()

    @property
    def variables(self) -> Mapping[str, str]:
        """What a script needs to reach it."""
        return {
            "PATH": f"{self.folder / 'az-bin'}{os.pathsep}{os.environ['PATH']}",
            "MACHINE": str(self.folder),
            "WHATSIT_FOLDER": str(self.folder),
            "RESOURCE_GROUP": "whatsit",
            "VM_NAME": "whatsit-vm",
            "WHATSIT_URL": self.url,
            "SMOKE_SECONDS": "0",
        }


class _Front(ThreadingHTTPServer):
    """Passes requests on to whatsit, as well as the image that runs would."""

    def __init__(self, folder: Path, whatsit_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.folder = folder
        self.whatsit_url = whatsit_url


class _Request(BaseHTTPRequestHandler):
    server: _Front

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, body: bytes) -> None:
        image = (self.server.folder / "current-image").read_text(encoding="utf-8")
        if image == DIGESTS["dead"]:
            self.send_error(503)
            return
        if image == DIGESTS["blind"] and body:
            body = example_pictures()["cat"]
        answer = httpx.request(
            self.command, self.server.whatsit_url + self.path, content=body, trust_env=False
        )
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
