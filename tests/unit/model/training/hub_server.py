"""A hub of one's own on loopback: as much of the protocol as its client needs to fetch a model's files."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub_of(models: dict[str, Path]) -> Iterator[str]:
    """The address of a hub that has these models, each with one commit, whose branch is `main`."""

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *_: object) -> None: ...

        def _answer(self, *, with_body: bool) -> None:
            content, headers, status = self._found(self.path.strip("/").split("/"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def _found(self, path: list[str]) -> tuple[bytes, dict[str, str], int]:
            match path:
                case ["api", "models", owner, name, "revision", revision]:
                    if (folder := models.get(f"{owner}/{name}")) is None:
                        return b"", {"X-Error-Code": "RepoNotFound"}, 404
                    if revision not in ("main", COMMIT):
                        return b"", {"X-Error-Code": "RevisionNotFound"}, 404
                    files = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
                    described = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": files}
                    return json.dumps(described).encode(), {"Content-Type": "application/json"}, 200
                case [owner, name, "resolve", _, file]:
                    content = (models[f"{owner}/{name}"] / file).read_bytes()
                    tag = hashlib.sha256(content).hexdigest()
                    return content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}, 200
                case _:
                    return b"", {}, 404

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
