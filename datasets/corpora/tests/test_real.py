"""Real text: a file that is there is checked, one that is not is downloaded from a server, here one on this machine."""

import dataclasses
import hashlib
import http.server
import threading
from pathlib import Path

import corpora
import pytest
from corpora import real

from autograder.errors import BadInput

SHARED = Path(__file__).parents[4] / "shared" / "data"
STORIES = b"One day.\nIt rained.\n<|endoftext|>\nTwo cats sat.\n<|endoftext|>\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CORPUS_DIR", str(tmp_path / "corpora"))
    return tmp_path / "corpora"


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path != "/missing" else 404)
            self.send_header("Content-Length", str(len(STORIES) + (self.path == "/cut")))
            self.end_headers()
            self.wfile.write(STORIES)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def put(monkeypatch, name, **changes):
    monkeypatch.setitem(real.FILES, name, dataclasses.replace(real.FILES[name], **changes))


@pytest.mark.skipif(not (SHARED / "tinyshakespeare.txt").is_file(), reason="tiny Shakespeare is not on this machine")
def test_tiny_shakespeare_is_the_expected_file(monkeypatch):
    monkeypatch.setenv("CORPUS_DIR", str(SHARED))
    loaded = corpora.load("shakespeare")
    assert loaded.text.startswith("First Citizen:") and loaded.floor is None
    assert len(loaded.text) + len(loaded.held_out_text) == 1_115_394 and len(set(loaded.text)) == 65


def test_a_file_is_downloaded_once_and_pinned(monkeypatch, folder, server, capsys):
    put(monkeypatch, "tinystories", url=f"{server}/stories")
    loaded = corpora.load("tinystories")
    assert loaded.train == ("One day.\nIt rained.<|endoftext|>",) and loaded.held_out == ("Two cats sat.<|endoftext|>",)
    assert "no checksum is known" in capsys.readouterr().err
    assert hashlib.sha256(STORIES).hexdigest() in (folder / "TinyStoriesV2-GPT4-valid.txt.sha256").read_text()
    put(monkeypatch, "tinystories", url="http://127.0.0.1:1/")
    assert corpora.load("tinystories") == loaded and capsys.readouterr().err == ""
    (folder / "TinyStoriesV2-GPT4-valid.txt").write_bytes(STORIES + b"more")
    with pytest.raises(BadInput, match=r"not the expected file.*pinned in TinyStoriesV2-GPT4-valid.txt.sha256"):
        corpora.load("tinystories")


def test_another_file_under_the_name_is_refused(folder):
    folder.mkdir()
    (folder / "tinyshakespeare.txt").write_text("First Citizen:\r\n")
    with pytest.raises(BadInput, match=r"SHA-256 is [0-9a-f]{64}, expected 86c4e6aa.*line ends"):
        corpora.load("shakespeare")


@pytest.mark.parametrize("path", ["missing", "cut", None])
def test_a_download_that_fails_says_what_to_put_where_and_leaves_nothing(monkeypatch, folder, server, path):
    url = f"{server}/{path}" if path else "http://127.0.0.1:1/"
    put(monkeypatch, "shakespeare", url=url)
    with pytest.raises(BadInput) as error:
        corpora.load("shakespeare")
    assert (
        url in str(error.value) and str(folder / "tinyshakespeare.txt") in str(error.value) and "CORPUS_DIR" in str(error.value)
    )
    assert list(folder.iterdir()) == []


def test_without_corpus_dir_a_cache_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("CORPUS_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert real.folder() == tmp_path / "llm-course"
