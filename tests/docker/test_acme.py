"""A certificate that is ordered and proved, from an authority in a container beside the proxy.

The order, the challenge and the answer are those of Let's Encrypt; the authority is another Caddy.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.docker.compose import Compose
from tests.docker.test_tls import HTTP, HTTPS, proxy_image
from tests.support.waiting import wait_until

pytestmark = pytest.mark.docker

NAME = "whatsit.test"
SITE = f"https://127.0.0.1:{HTTPS}"
AUTHORITY = """
https://authority {
    tls /certificates/certificate.pem /certificates/key.pem
    acme_server
}
"""
BESIDE = """
services:
  authority:
    image: {image}
    volumes: ["{folder}/Caddyfile:/etc/caddy/Caddyfile:ro", "{folder}:/certificates:ro"]
    networks: [edge]
  caddy:
    depends_on: [authority]
    networks:
      edge:
        aliases: [{name}]
"""


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Compose]:
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    ours = trustme.CA()
    issued = ours.issue_cert("authority")
    ours.cert_pem.write_to_path(certificates / "authority.pem")
    issued.private_key_pem.write_to_path(certificates / "key.pem")
    for part in issued.cert_chain_pems:
        part.write_to_path(certificates / "certificate.pem", append=True)
    (certificates / "Caddyfile").write_text(AUTHORITY)
    image = proxy_image("tls", tmp_path / "image")
    beside = tmp_path / "beside.yaml"
    beside.write_text(BESIDE.format(image=image["CADDY_IMAGE"], folder=certificates, name=NAME))
    environment = {
        "WHATSIT_PUBLISH_HTTP": f"127.0.0.1:{HTTP}",
        "WHATSIT_PUBLISH_HTTPS": f"127.0.0.1:{HTTPS}",
        "WHATSIT_DOMAIN": NAME,
        "WHATSIT_CERTIFICATES": str(certificates),
        "WHATSIT_CADDY_OPTIONS": "acme_ca https://authority/acme/local/directory\n"
        "acme_ca_root /certificates/authority.pem",
        **image,
    }
    files = ("compose.yaml", "compose.tls.yaml", str(beside))
    options = [word for file in files for word in ("--file", file)]
    compose = Compose("whatsit-test-acme", environment, *options, "--profile", "tls")
    compose("down", "--volumes", check=False)
    try:
        compose("up", "--detach", "--wait", "--no-build")
        yield compose
    finally:
        compose("down", "--volumes")


def test_a_certificate_is_ordered_without_anybodys_doing(compose):
    root = "/data/caddy/pki/authorities/local/root.crt"
    pem = compose("exec", "-T", "authority", "cat", root)
    trust = ssl.create_default_context(cadata=pem)

    def answers() -> bool:
        try:
            with httpx.Client(verify=trust, trust_env=False, timeout=5) as client:
                answer = client.get(
                    f"{SITE}/readyz",
                    headers={"Host": NAME},
                    extensions={"sni_hostname": NAME},
                )
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    assert wait_until(answers), compose("logs", "caddy")
    said = compose("logs", "caddy")
    assert "certificate obtained successfully" in said
    assert "authority/acme/local/directory" in said
