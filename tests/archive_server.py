"""A server on this machine that plays Zenodo, figshare and GitHub: /HOST/PATH, as mirrors are asked."""

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ZENODO = "/zenodo.org/api/records/4643381"


class Cut(int):
    """How many bytes come before the connection breaks off."""


class Archive:
    """What is served, by path with its query or without it.

    `log` holds (path, Range, bytes sent) of every question; `faults` by path what happens at the next ones: a number is
    a status, `Cut(n)` breaks off after n bytes, None is a good answer. `tag` is the ETag,
    `ranges` whether the rest of a file can be asked for, `headers` by path are sent too.
    """

    def __init__(self):
        self.files, self.log, self.faults, self.headers = {}, [], {}, {}
        self.tag, self.ranges, self.url = '"one"', True, ""

    def add(self, name, content, checksum=None):
        """Put a file into the Zenodo record of midog21."""
        self.files[f"/zenodo.org/files/{name}"] = content
        record = self.files.setdefault(ZENODO, {"files": [], "metadata": {"license": {"id": "cc-by-4.0"}}})
        record["files"].append(
            {
                "key": name,
                "size": len(content),
                "checksum": checksum or "md5:" + hashlib.md5(content).hexdigest(),
                "links": {"self": f"https://zenodo.org/files/{name}"},
            }
        )

    def asked(self, name):
        """The ranges that were asked of a file, and how many bytes were sent each time."""
        return [(wanted, sent) for path, wanted, sent in self.log if path.endswith(name)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    @property
    def state(self):
        return self.server.archive

    def do_GET(self):  # noqa: N802 - the name that http.server wants
        path = self.path.partition("?")[0]
        faults = self.state.faults.get(path, [])
        told = faults.pop(0) if faults else None
        content = self.state.files.get(self.path, self.state.files.get(path))
        status = None if isinstance(told, Cut) else told
        if status or content is None:
            return self.answer(path, status or 404, b"", {})
        if isinstance(content, dict | list):
            content = json.dumps(content).encode()
        start, wanted = 0, self.headers.get("Range")
        if wanted and self.state.ranges and self.headers.get("If-Range") == self.state.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        extra = {"ETag": self.state.tag} if self.state.tag else {}
        if start:
            extra["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.answer(path, 206 if start else 200, content[start:], extra, cut=told)

    def answer(self, path, code, content, extra, cut=None):
        sent = content if cut is None else content[:cut]
        # Before anything is sent, so that the log is whole when the client goes on.
        self.state.log.append((path, self.headers.get("Range"), len(sent)))
        self.send_response(code)
        for key, value in {**extra, **self.state.headers.get(path, {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = True


@contextlib.contextmanager
def serving():
    """Yield an `Archive` that is served at its `url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.archive = Archive()
    server.archive.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.archive
    finally:
        server.shutdown()
        server.server_close()
