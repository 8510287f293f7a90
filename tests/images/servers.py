"""Servers that tests read photos from: a web server of a folder, and an object store that speaks S3."""

from __future__ import annotations

import http.server
import itertools
import re
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path


class WebServer:
    """Files of a folder. gives_parts: answers Range requests; fails: so many first requests with 503.

    cuts: of Range requests, by their number, those whose answer breaks midway; refuses: those refused with this status
    """

    def __init__(self, folder: Path, gives_parts: bool, fails: int = 0):
        asked = self.asked = []
        self.cuts: Callable[[int], bool] = lambda number: False
        self.refuses: Callable[[int], int | None] = lambda number: None
        self.redirects: dict[str, str] = {}
        owner, parts = self, itertools.count()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=str(folder))

            def log_message(self, *_):
                pass

            def do_GET(self):
                asked.append((self.path, self.headers.get("Range")))
                if len(asked) <= fails:
                    return self.send_error(503)
                if not gives_parts:
                    return super().do_GET()
                if self.path in owner.redirects:
                    self.send_response(302)
                    self.send_header("Location", owner.redirects[self.path])
                    return self.end_headers()
                file = folder / urllib.parse.unquote(self.path.lstrip("/"))
                if not file.exists():
                    return self.send_error(404)
                content, wanted = file.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
                number = next(parts) if wanted else -1
                if wanted and (status := owner.refuses(number)):
                    return self.send_error(status)
                body = content[int(wanted[1]) : int(wanted[2]) + 1] if wanted else content
                self.send_response(206 if wanted else 200)
                self.send_header("ETag", f'"{file.stat().st_mtime_ns}"')
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if wanted and owner.cuts(number) else body)
                return None

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class ObjectStore:
    """moto's S3 server in this process, with one empty bucket. `environment` leads s3fs to it, in any process."""

    bucket = "photographs"

    def __enter__(self):
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.environment = {
            "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }  # fmt: skip
        self.files = self._driver()
        self.files.mkdir(self.bucket)
        return self

    def __exit__(self, *_):
        self._server.stop()

    def put(self, file: Path, name: str) -> str:
        """The address that `file` has then."""
        self.files.put_file(str(file), f"{self.bucket}/{name}")
        return f"s3://{self.bucket}/{name}"

    def _driver(self):
        import s3fs

        return s3fs.S3FileSystem(
            key=self.environment["AWS_ACCESS_KEY_ID"], secret=self.environment["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.environment["AWS_ENDPOINT_URL"], skip_instance_cache=True,
        )  # fmt: skip
