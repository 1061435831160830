"""devops/nginx/nginx.conf, run on the loopback in front of the real application."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from models.settings import ROOT
from tests.certificates import make_chain
from tests.orders import some_color_id, sql

CONF = ROOT / "devops" / "nginx" / "nginx.conf"
WAIT_SECONDS = 60.0


def nginx_program() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip("nginx is not installed (Debian: nginx)")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Front:
    """nginx as it runs: its plain port, its TLS port, whom to trust, and its access log."""

    plain: int
    tls: int
    issuer: ssl.SSLContext
    access_log: Path

    def client(self) -> httpx.Client:
        url = f"https://127.0.0.1:{self.tls}"
        return httpx.Client(base_url=url, verify=self.issuer, trust_env=False, timeout=30)


def configuration(folder: Path, api: str, plain: int, tls: int) -> str:
    """The file as it is, with this machine's ports and folders in it. `http2 on` needs nginx 1.25,
    `resolve` 1.27.3; Debian's 1.22 says the one in the listen line, and gets an address."""
    changes = {
        "/tmp/": f"{folder}/",  # before any other: the folder may lie in /tmp itself
        "server api:8000 resolve;": f"server {api};",
        "listen 8080 ": f"listen 127.0.0.1:{plain} ",
        "listen 8443 ssl ": f"listen 127.0.0.1:{tls} ssl http2 ",
        "        http2 on;\n": "",
        "/etc/nginx/tls/": f"{folder}/",
        "include /etc/nginx/mime.types;": "types { text/html html; }",
        "/dev/stdout": f"{folder}/access.log",
        "/dev/stderr": f"{folder}/error.log",
    }
    text = CONF.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def front(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    program = nginx_program()
    folder = tmp_path_factory.mktemp("nginx")
    chain = make_chain(ExtendedKeyUsageOID.SERVER_AUTH)
    (folder / "fullchain.pem").write_bytes(chain.certificates)
    (folder / "privkey.pem").write_bytes(chain.key)
    plain, tls = free_port(), free_port()
    text = configuration(folder, base_url.removeprefix("http://"), plain, tls)
    (folder / "nginx.conf").write_text(text)
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(plain) or process.poll() is not None)
        assert process.poll() is None, (folder / "start.log").read_text()
        issuer = ssl.create_default_context(cadata=chain.issuer.decode())
        yield Front(plain, tls, issuer, folder / "access.log")
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def tls(front: Front, clean: None) -> Iterator[httpx.Client]:
    with front.client() as client:
        yield client


def test_plain_http_leads_to_https(front: Front) -> None:
    answer = httpx.get(f"http://127.0.0.1:{front.plain}/catalog?x=1", trust_env=False)
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://127.0.0.1/catalog?x=1"


def test_every_answer_over_tls_asks_for_tls_for_good(tls: httpx.Client) -> None:
    for path in ("/livez", "/catalog", "/nothing/here", "/metrics"):
        assert tls.get(path).headers["strict-transport-security"].startswith("max-age=63072000")


def test_the_api_s_own_headers_come_through_and_nginx_s_version_does_not(
    tls: httpx.Client,
) -> None:
    headers = tls.get("/livez").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-request-id"]
    assert headers["server"] == "nginx"


def test_text_is_compressed_and_pictures_are_not(tls: httpx.Client) -> None:
    catalog = tls.get("/catalog")
    assert catalog.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in catalog.headers["vary"]
    swatch = catalog.json()["families"][0]["colors"][0]["swatch_url"]
    picture = tls.get(httpx.URL(swatch).raw_path.decode())
    assert picture.status_code == 200
    assert picture.headers["content-type"].startswith("image/")
    assert "content-encoding" not in picture.headers


def test_the_metrics_are_not_for_the_world(tls: httpx.Client, client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 200
    assert tls.get("/metrics").status_code == 404


def test_the_api_counts_by_the_real_address_whatever_the_client_claims(
    tls: httpx.Client, setting: Callable[..., None]
) -> None:
    setting(trusted_proxy_hops=1)
    order = {"color_id": some_color_id(), "cuts": ["recto"], "quality": "preview"}
    claims = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"}
    assert tls.post("/api/v1/generations", json=order, headers=claims).status_code == 202
    subjects = sql("SELECT json_agg(subject) FROM hits")
    assert any("127.0.0.1" in subject for subject in subjects)
    assert not any("203.0.113.9" in subject for subject in subjects)


def test_too_large_a_body_is_refused_before_it_reaches_the_api(tls: httpx.Client) -> None:
    answer = tls.post("/api/v1/swatches", content=b"x" * (11 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert "x-request-id" not in answer.headers  # the API was not asked


def test_no_signature_is_written_to_the_log(front: Front, tls: httpx.Client) -> None:
    tls.get("/files/renders/x.jpg?expires=1&signature=canary-5150")
    wait_until(lambda: "/files/renders/x.jpg" in front.access_log.read_text())
    log = front.access_log.read_text()
    assert "canary-5150" not in log
    last = json.loads(log.splitlines()[-1])
    assert (last["status"], last["address"], last["method"]) == (403, "127.0.0.1", "GET")


def test_an_old_protocol_is_refused(front: Front) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in CONF.read_text()
    old.set_ciphers("AES128-SHA")  # no forward secrecy
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", front.tls), timeout=5) as raw,
        pytest.raises(ssl.SSLError),
    ):
        old.wrap_socket(raw)
