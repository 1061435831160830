"""RunPod's REST API (v1) as far as scale.py uses it, and our /metrics, on the loopback."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

API_KEY = "runpod-key-0123456789"
METRICS_TOKEN = "metrics-token-0123456789"


@dataclass
class RunPodFake:
    """Pods by id, the queue that /metrics tells of, and what is to go wrong."""

    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: int = 0
    processing: int = 0
    wait_seconds: float = 0.0
    metrics_text: Callable[[], str] | None = None
    broken: set[str] = field(default_factory=set)  # "GET /v1/pods" answers 500
    requests: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, name: str, started: str | None, price: object = 0.7, **about: Any) -> str:
        id = f"pod{len(self.pods)}"
        self.pods[id] = {
            "id": id,
            "name": name,
            "desiredStatus": "RUNNING",
            "costPerHr": price,
            "lastStartedAt": started,
        } | about
        return id

    def metrics(self) -> str:
        if self.metrics_text is not None:
            return self.metrics_text()
        return (
            "# TYPE queue_pending_jobs gauge\n"
            f"queue_pending_jobs {self.pending}.0\n"
            "# TYPE queue_processing_jobs gauge\n"
            f"queue_processing_jobs {self.processing}.0\n"
            "# TYPE queue_next_wait_seconds gauge\n"
            'queue_next_wait_seconds{engine="drape"} 0.0\n'
            f'queue_next_wait_seconds{{engine="sdxl_inpaint"}} {self.wait_seconds}\n'
        )

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, str]:
        self.requests.append(f"{method} {path}")
        if f"{method} {path}" in self.broken:
            return 500, '{"error": "no instances available"}'
        if path == "/metrics":
            return (200, self.metrics()) if token == f"Bearer {METRICS_TOKEN}" else (401, "")
        if token != f"Bearer {API_KEY}":
            return 401, "{}"
        if (method, path) == ("GET", "/v1/pods"):
            return 200, json.dumps(list(self.pods.values()))
        if (method, path) == ("POST", "/v1/pods"):
            asked = json.loads(body)
            self.bodies.append(asked)
            return 201, json.dumps(self.pods[self.add(asked["name"], None)])
        gone = self.pods.pop(path.rpartition("/")[2], None) if method == "DELETE" else None
        return (204, "") if gone else (404, '{"error": "pod not found"}')


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: RunPodFake


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers.get("Authorization", "")
        status, text = self.server.fake.answer(self.command, self.path, token, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 (names that http.server calls)
