"""Three services of Azure that a machine asks, on one loopback port.

They are: tokens for its identity, a Key Vault with one secret, and a container registry that takes
images in and hands them out.
"""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

CLIENT_ID = "00000000-0000-0000-0000-00000000c11e"


class Azure:
    """The services, and what they were asked."""

    def __init__(self) -> None:
        self.password = "TheFirstPasswordOfRedis"
        self.vault_answers = True
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.uploads: dict[str, bytes] = {}
        self.logins = 0
        azure = self

        class Handler(_Handler):
            state = azure

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Azure

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _say_json(self, status: int, **document: str) -> None:
        self._say(status, json.dumps(document).encode(), Content_Type="application/json")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/metadata/identity/oauth2/token":
            known = self.headers.get("Metadata") == "true" and asked["client_id"] == CLIENT_ID
            self._say_json(200, access_token=f"token-for-{asked['resource']}") if known else (
                self._say_json(400, error="invalid_request")
            )
        elif url.path == "/secrets/redis-password":
            token = self.headers.get("Authorization")
            if not self.state.vault_answers:
                self._say_json(503)
            elif token != "Bearer token-for-https://vault.azure.net":
                self._say_json(401)
            else:
                self._say_json(200, value=self.state.password)
        elif not self._may_pull():
            self._say(401, WWW_Authenticate='Basic realm="registry"')
        elif url.path == "/v2/":
            self._say_json(200)
        elif found := re.fullmatch(r"/v2/.+/blobs/(sha256:\w+)", url.path):
            blob = self.state.blobs.get(found[1])
            self._say(404) if blob is None else self._say(
                200, blob, Docker_Content_Digest=found[1], Content_Length=str(len(blob))
            )
        elif found := re.fullmatch(r"/v2/.+/manifests/(.+)", url.path):
            if found[1] not in self.state.manifests:
                self._say(404)
                return
            kind, manifest = self.state.manifests[found[1]]
            self._say(200, manifest, Content_Type=kind, Docker_Content_Digest=_digest(manifest))
        else:
            self._say(404)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/oauth2/exchange":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            if form.get("access_token") == "token-for-https://management.azure.com/":
                self._say_json(200, refresh_token="refresh-token")
            else:
                self._say_json(401)
        else:
            name = uuid4().hex
            self.state.uploads[name] = b""
            self._say(202, Location=f"{self.path.split('?')[0]}{name}", Range="0-0")

    def do_PATCH(self) -> None:
        name = urlsplit(self.path).path.rsplit("/", 1)[1]
        self.state.uploads[name] += self._body()
        end = max(len(self.state.uploads[name]) - 1, 0)
        self._say(202, Location=self.path, Range=f"0-{end}")

    def do_PUT(self) -> None:
        body, url = self._body(), urlsplit(self.path)
        if found := re.fullmatch(r"/v2/.+/manifests/(.+)", url.path):
            digest = _digest(body)
            kept = (self.headers["Content-Type"], body)
            self.state.manifests[digest] = self.state.manifests[found[1]] = kept
            self._say(201, Docker_Content_Digest=digest, Location=self.path)
            return
        digest = parse_qs(url.query)["digest"][0]
        self.state.blobs[digest] = self.state.uploads.pop(url.path.rsplit("/", 1)[1]) + body
        self._say(201, Docker_Content_Digest=digest, Location=self.path)

    def _may_pull(self) -> bool:
        expected = "00000000-0000-0000-0000-000000000000:refresh-token"
        offered = self.headers.get("Authorization", "")
        if offered == "Basic " + base64.b64encode(expected.encode()).decode():
            self.state.logins += 1
            return True
        return False


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
