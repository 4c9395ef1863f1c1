"""A small CIFAR-10 of noise, as an .npz file and behind a misbehaving local web server."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from support.synthetic_cifar import RECORDS, Synthetic, Web, batches_of, tar_of


@pytest.fixture(scope="session")
def synthetic() -> Synthetic:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (6 * RECORDS, 3073), dtype=np.uint8)
    rows[:, 0] = np.arange(len(rows)) % 10
    members = {"cifar-10-batches-bin/readme.html": b"<html>", **batches_of(rows)}
    return Synthetic(tar_of(members), rows)


@pytest.fixture
def web(synthetic: Synthetic) -> Iterator[Web]:
    state = Web(synthetic.content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested = self.headers.get("Range")
            state.ranges_requested.append(requested)
            if state.status is not None:
                self.send_error(state.status)
                return
            start = int(re.findall(r"\d+", requested)[0]) if requested and state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                size = len(state.content)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.breaks_after])

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/cifar-10-binary.tar.gz"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def npz_folder(tmp_path: Path, synthetic: Synthetic) -> Path:
    """A folder with one .npz of 100 training and 20 test images."""
    folder = tmp_path / "source"
    folder.mkdir()
    planes = synthetic.rows[:, 1:].reshape(-1, 3, 32, 32)
    labels = synthetic.rows[:, 0]
    np.savez(
        folder / "subset.npz",
        x_train=planes[:100],
        y_train=labels[:100],
        x_test=planes[100:],
        y_test=labels[100:],
    )
    return folder
