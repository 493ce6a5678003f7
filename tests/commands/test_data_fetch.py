"""`mitozoo data fetch` against a server on this machine that plays Zenodo and GitHub."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mitozoo.base.errors import DataError, OutputError
from mitozoo.commands import main
from mitozoo.data.fetch import download as downloads
from mitozoo.data.fetch.download import check_room, digest_of, download, is_whole
from mitozoo.data.fetch.listing import RemoteFile, list_files
from mitozoo.data.fetch.sources import SOURCES, source

RECORD = "/zenodo.org/api/records/4643381"


class Archive:
    """Files by path; `log` of (path, Range); `faults` by path: the next answers, 503 or where they break off."""

    def __init__(self):
        self.files, self.log, self.faults, self.tag, self.ranges = {}, [], {}, '"one"', True

    def add(self, name, content, checksum=None):
        self.files[f"/zenodo.org/files/{name}"] = content
        entries = self.files.get(RECORD, {"files": []})["files"]
        entries.append(
            {
                "key": name,
                "size": len(content),
                "checksum": checksum or "md5:" + hashlib.md5(content).hexdigest(),
                "links": {"self": f"https://zenodo.org/files/{name}"},
            }
        )
        self.files[RECORD] = {"files": entries}


@pytest.fixture
def archive():
    state = Archive()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):  # noqa: N802 - the name that http.server wants
            path = self.path.partition("?")[0]
            wanted = self.headers.get("Range")
            state.log.append((path, wanted))
            fault = state.faults.get(path, [])
            told = fault.pop(0) if fault else None
            if told in (429, 503):
                return self.answer(told, b"")
            content = state.files.get(path)
            if content is None:
                return self.answer(404, b"")
            content = json.dumps(content).encode() if isinstance(content, dict) else content
            start = 0
            if wanted and state.ranges and self.headers.get("If-Range") == state.tag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            extra = {"ETag": state.tag}
            if start:
                extra["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.answer(206 if start else 200, content[start:], extra, cut=told)

        def answer(self, code, content, extra=None, cut=None):
            self.send_response(code)
            for key, value in (extra or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if cut is None else content[:cut])
            if cut is not None:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE_S", 0.0)


def run(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(["data", "fetch", *map(str, words)])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


def remote(archive, name, content, **change):
    archive.add(name, content)
    entry = archive.files[RECORD]["files"][-1]
    values = {"name": name, "size": entry["size"], "checksum": entry["checksum"]} | change
    return RemoteFile(**values, url=f"{archive.url}/zenodo.org/files/{name}")


def ranges(archive, name):
    return [wanted for path, wanted in archive.log if path.endswith(name)]


CONTENT = bytes(range(256)) * 40


def test_a_whole_set(archive, tmp_path, capsys):
    archive.add("001.tiff", CONTENT)
    archive.add("MIDOG.json", b"{}")
    code, out, err = run(capsys, "midog21", "--out", tmp_path / "m", "--accept-licence", "--mirror", archive.url)
    assert (code, err) == (0, "")
    assert "Licence: as its Zenodo record says" in out and "2 files" in out
    assert (
        out.splitlines()[-1]
        == f"All of midog21 is in {tmp_path / 'm'}, checked. Next: mitozoo data check {tmp_path / 'm'}"
    )
    assert (tmp_path / "m" / "001.tiff").read_bytes() == CONTENT
    record = json.loads((tmp_path / "m" / "SOURCE.json").read_text())
    assert record["record"] == "4643381" and set(record["files"]) == {"001.tiff", "MIDOG.json"}
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["001.tiff", "MIDOG.json", "SOURCE.json"]
    # A second time nothing is fetched but the list.
    before = len(archive.log)
    assert run(capsys, "midog21", "--out", tmp_path / "m", "--accept-licence", "--mirror", archive.url)[0] == 0
    assert [path for path, _ in archive.log[before:]] == [RECORD]


def test_it_goes_on_where_it_broke_off(archive, tmp_path):
    file = remote(archive, "a.tiff", CONTENT)
    archive.faults["/zenodo.org/files/a.tiff"] = [4000, 3000]
    assert download(file, tmp_path, lambda done: None).read_bytes() == CONTENT
    assert ranges(archive, "a.tiff") == [None, "bytes=4000-", "bytes=7000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.tiff"]


def test_a_server_without_ranges_and_another_version_start_anew(archive, tmp_path):
    for change in ("ranges", "tag"):
        archive.log.clear()
        name = f"{change}.tiff"
        file = remote(archive, name, CONTENT)
        (tmp_path / f"{name}.part").write_bytes(b"x" * 100)
        (tmp_path / f"{name}.part.json").write_text('{"tag": "\\"older\\""}')
        if change == "ranges":
            archive.ranges = False
            (tmp_path / f"{name}.part.json").write_text(json.dumps({"tag": archive.tag}))
        assert download(file, tmp_path, lambda done: None).read_bytes() == CONTENT
        assert ranges(archive, name) == ["bytes=100-"]
        archive.ranges = True


def test_a_part_that_nothing_is_known_of_is_not_trusted(archive, tmp_path):
    file = remote(archive, "a.tiff", CONTENT)
    (tmp_path / "a.tiff.part").write_bytes(b"x" * 100)
    assert download(file, tmp_path, lambda done: None).read_bytes() == CONTENT
    assert ranges(archive, "a.tiff") == [None]


def test_a_wrong_checksum_is_tried_once_more(archive, tmp_path):
    file = remote(archive, "a.tiff", CONTENT, checksum="md5:" + "0" * 32)
    with pytest.raises(
        DataError, match=r"a\.tiff came twice with a wrong checksum: md5:\w+, where the archive says md5:0"
    ):
        download(file, tmp_path, lambda done: None)
    assert len(ranges(archive, "a.tiff")) == 2 and not (tmp_path / "a.tiff").exists()
    assert not (tmp_path / "a.tiff.part").exists()


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(archive, tmp_path):
    file = remote(archive, "a.tiff", CONTENT)
    archive.faults["/zenodo.org/files/a.tiff"] = [503, 503]
    pauses = []
    download(file, tmp_path, lambda done: None, pauses.append)
    assert len(ranges(archive, "a.tiff")) == 3 and len(pauses) == 2
    gone = remote(archive, "b.tiff", CONTENT)
    del archive.files["/zenodo.org/files/b.tiff"]
    with pytest.raises(DataError, match=r"b\.tiff cannot be fetched from .*: HTTP 404"):
        download(gone, tmp_path, lambda done: None)
    assert len(ranges(archive, "b.tiff")) == 1


def test_a_stop_keeps_what_came(archive, tmp_path, capsys, monkeypatch):
    archive.add("a.tiff", CONTENT)
    archive.faults["/zenodo.org/files/a.tiff"] = [5000]

    def stop(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads.download, "__defaults__", (stop,))
    words = ("midog21", "--out", tmp_path / "m", "--accept-licence", "--mirror", archive.url)
    code, _, err = run(capsys, *words)
    assert code == 130 and f"What came is kept in {tmp_path / 'm'}. The same command goes on." in err
    assert (tmp_path / "m" / "a.tiff.part").stat().st_size == 5000
    assert run(capsys, *words)[0] == 0
    assert ranges(archive, "a.tiff") == [None, "bytes=5000-"]


def test_too_little_room(tmp_path, monkeypatch):
    file = RemoteFile("a", 2_000_000_000, "md5:0", "https://example.org/a")
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2_000_000_000}))
    with pytest.raises(OutputError, match=r"has 2\.00 GB free, and 2\.10 GB are needed"):
        check_room(tmp_path, [file])
    (tmp_path / "a.part").write_bytes(b"0" * 1000)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2_100_000_000}))
    check_room(tmp_path, [file])


def test_github_lists_a_folder_with_git_checksums(archive, tmp_path):
    content = b"labels"
    blob = hashlib.sha1(b"blob 6\0labels").hexdigest()
    tree = [
        {"type": "tree", "path": "databases"},
        {"type": "blob", "path": "databases/MIDOG++.json", "size": 6, "sha": blob},
        {"type": "blob", "path": "README.md", "size": 9, "sha": "0" * 40},
    ]
    record = "DeepMicroscopy/MIDOGpp"
    archive.files[f"/api.github.com/repos/{record}/git/trees/HEAD"] = {"sha": "abc", "tree": tree}
    archive.files[f"/raw.githubusercontent.com/{record}/abc/databases/MIDOG%2B%2B.json"] = content
    (file,) = list_files(source("midog++-labels"), archive.url)
    assert (file.name, file.size, file.checksum) == ("MIDOG++.json", 6, f"git:{blob}")
    path = download(file, tmp_path, lambda done: None)
    assert is_whole(path, file) and digest_of(path, "md5:") == "md5:" + hashlib.md5(content).hexdigest()


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "c:a", "a\\b", "a//b", "x.part", ""])
def test_a_name_outside_the_folder(archive, name):
    archive.add(name, b"1")
    with pytest.raises(DataError, match="has no place in a folder"):
        list_files(source("midog21"), archive.url)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["amibr", "--out", "m"], "No public data set named 'amibr'. Did you mean 'ami-br'?"),
        (["midog21", "--out", "m"], "Read the licence, then accept it with --accept-licence."),
        (["midog21", "--out", "m", "--accept-licence", "--only", "b"], "No file of midog21 named 'b'."),
        (["midog21", "--accept-licence"], "Missing option '--out'."),
        (["tupac16", "--out", "m", "--accept-licence"], "Register at tupac.grand-challenge.org"),
        ([], "Missing argument 'NAME'. 'mitozoo data fetch --list' lists the sets."),
    ],
)
def test_what_is_refused(archive, tmp_path, capsys, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    archive.add("a.tiff", b"1")
    code, _, err = run(capsys, *words, "--mirror", archive.url)
    assert code == 2 and text in err
    assert not (tmp_path / "m").exists()


def test_mirrors_that_are_not_asked(tmp_path, capsys):
    for mirror in ("http://example.org", "ftp://127.0.0.1", "/folder"):
        code, _, err = run(capsys, "midog21", "--out", tmp_path / "m", "--accept-licence", "--mirror", mirror)
        assert code == 2 and "Give an https:// URL, or http:// on this machine." in err


def test_lists(archive, capsys):
    code, out, _ = run(capsys, "--list")
    assert code == 0 and all(name in out for name in SOURCES)
    archive.add("a.tiff", b"1234")
    code, out, _ = run(capsys, "midog21", "--list", "--mirror", archive.url)
    assert code == 0 and out.splitlines()[-1].split() == ["4", "a.tiff"]


def test_every_source_can_be_had_or_says_how():
    for item in SOURCES.values():
        assert bool(item.archive) == bool(item.record) != bool(item.how)
        assert item.licence and item.citation and item.title
