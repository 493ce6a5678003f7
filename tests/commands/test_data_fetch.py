"""`mitozoo data fetch` against a server on this machine that plays Zenodo and figshare."""

import hashlib
import io
import json
import sys
import zipfile

import pytest
from archive_server import ZENODO, Cut, serving

from mitozoo.commands import main
from mitozoo.data.fetch import answers
from mitozoo.data.fetch.sources import SOURCES

CONTENT = bytes(range(256)) * 40
FIGSHARE = "/api.figshare.com/v2"


@pytest.fixture
def archive():
    with serving() as state:
        yield state


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(answers, "wait", lambda seconds: None)


def run(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(["data", "fetch", *map(str, words)])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


def fetch(capsys, archive, out, *words):
    return run(capsys, "midog21", "--out", out, "--accept-licence", "--mirror", archive.url, *words)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_whole_set(archive, tmp_path, capsys):
    archive.add("001.tiff", CONTENT)
    archive.add("MIDOG.json", b"{}")
    out = tmp_path / "m"
    code, said, err = fetch(capsys, archive, out)
    assert (code, err) == (0, "")
    assert said.splitlines() == [
        "MIDOG 2021 training set: 200 fields of human breast cancer, four scanners, 151-200 without labels",
        "From     https://zenodo.org/records/4643381",
        f"Licence  {SOURCES['midog21'].licence}",
        f"Cite     {SOURCES['midog21'].citation}",
        "Stated by the archive: cc-by-4.0 (https://zenodo.org/records/4643381)",
        "2 files, 0.00 GB",
        f"2 files of midog21 in {out}, checked. Next: mitozoo data check {out}",
    ]
    assert (out / "001.tiff").read_bytes() == CONTENT
    assert names(out) == ["001.tiff", "MIDOG.json", "SOURCE.json"]
    record = json.loads((out / "SOURCE.json").read_text())
    assert record["set"] == "midog21" and record["complete"] is True
    assert record["archives"] == ["https://zenodo.org/records/4643381"] and record["mirror"] == archive.url
    assert record["licence_stated_by_archive"] == ["cc-by-4.0 (https://zenodo.org/records/4643381)"]
    assert record["files"]["001.tiff"] == {
        "size": 10240,
        "checksum": "md5:" + hashlib.md5(CONTENT).hexdigest(),
        "url": f"{archive.url}/zenodo.org/files/001.tiff",
        "there": True,
    }
    # A second time nothing is fetched but the list.
    archive.log.clear()
    assert fetch(capsys, archive, out)[0] == 0
    assert [path for path, _, _ in archive.log] == [ZENODO]


def test_single_files_add_up(archive, tmp_path, capsys):
    for name in ("001.tiff", "002.tiff", "MIDOG.json"):
        archive.add(name, name.encode())
    out = tmp_path / "m"
    assert "1 file of midog21" in fetch(capsys, archive, out, "--only", "MIDOG.json")[1]
    assert names(out) == ["MIDOG.json", "SOURCE.json"]
    assert json.loads((out / "SOURCE.json").read_text())["complete"] is False
    assert "2 files of midog21" in fetch(capsys, archive, out, "--only", "*.tiff")[1]
    record = json.loads((out / "SOURCE.json").read_text())
    assert record["complete"] is True and all(entry["there"] for entry in record["files"].values())


def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(archive, tmp_path, capsys, monkeypatch):
    archive.add("a.tiff", CONTENT)
    archive.faults["/zenodo.org/files/a.tiff"] = [Cut(5000)]

    def stop(seconds):
        raise KeyboardInterrupt

    out = tmp_path / "m"
    with monkeypatch.context() as patch:
        patch.setattr(answers, "wait", stop)
        code, _, err = fetch(capsys, archive, out)
    assert code == 130 and err == f"\nStopped. What came is kept in {out}. The same command goes on.\n"
    assert (out / "a.tiff.part").stat().st_size == 5000
    assert json.loads((out / "SOURCE.json").read_text())["complete"] is False
    assert fetch(capsys, archive, out)[0] == 0
    assert archive.asked("a.tiff") == [(None, 5000), ("bytes=5000-", 5240)]
    assert names(out) == ["SOURCE.json", "a.tiff"]


def test_ctrl_c_while_the_archive_is_asked(archive, tmp_path, capsys, monkeypatch):
    def stop(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(answers, "wait", stop)
    archive.faults[ZENODO] = [503]
    assert fetch(capsys, archive, tmp_path / "m")[::2] == (130, "\nStopped. Nothing was fetched.\n")
    assert not (tmp_path / "m").exists()


def test_a_changed_file_is_only_replaced_with_overwrite(archive, tmp_path, capsys):
    archive.add("MIDOG.json", b'{"a": 1}')
    out = tmp_path / "m"
    fetch(capsys, archive, out)
    (out / "MIDOG.json").write_bytes(b'{"b": 2}')
    code, _, err = fetch(capsys, archive, out)
    assert code == 2 and err.strip() == (
        f"Error: {out / 'MIDOG.json'} is there and is not the archive's file: changed, damaged or of another version. "
        "Move it away, or add --overwrite to replace it."
    )
    assert (out / "MIDOG.json").read_bytes() == b'{"b": 2}'
    assert fetch(capsys, archive, out, "--overwrite")[0] == 0
    assert (out / "MIDOG.json").read_bytes() == b'{"a": 1}'


def test_a_folder_of_another_set(archive, tmp_path, capsys):
    archive.add("a.tiff", b"1")
    fetch(capsys, archive, tmp_path / "m")
    code, _, err = run(capsys, "midog22", "--out", tmp_path / "m", "--accept-licence", "--mirror", archive.url)
    assert code == 2 and f"{tmp_path / 'm'} holds the set 'midog21' already. Choose another --out." in err


def test_a_fetched_folder_is_a_mirror(archive, tmp_path, capsys):
    archive.add("001.tiff", CONTENT)
    archive.add("002.tiff", CONTENT)
    first = tmp_path / "sets" / "midog21"
    fetch(capsys, archive, first, "--only", "001.tiff")
    archive.log.clear()
    for i, mirror in enumerate((tmp_path / "sets", first)):
        out = tmp_path / f"copy{i}"
        code, said, _ = run(capsys, "midog21", "--out", out, "--accept-licence", "--mirror", mirror)
        assert code == 0 and "Stated by the archive: cc-by-4.0" in said
        assert (out / "001.tiff").read_bytes() == CONTENT and names(out) == ["001.tiff", "SOURCE.json"]
    assert archive.log == []
    # Its checksums are those of the archive: what was changed there is not taken over.
    (first / "001.tiff").write_bytes(bytes(10240))
    code, _, err = run(capsys, "midog21", "--out", tmp_path / "c", "--accept-licence", "--mirror", first)
    assert code == 2 and "001.tiff came twice with a wrong checksum" in err
    code, _, err = run(capsys, "midog22", "--out", tmp_path / "d", "--accept-licence", "--mirror", first)
    assert code == 2 and "Give a folder that 'mitozoo data fetch' has filled." in err
    record = json.loads((first / "SOURCE.json").read_text())
    record["files"] = {"../../001.tiff": record["files"]["001.tiff"]}
    (first / "SOURCE.json").write_text(json.dumps(record))
    code, _, err = run(capsys, "midog21", "--out", tmp_path / "e", "--accept-licence", "--mirror", first)
    assert code == 2 and "which has no place in a folder" in err


def test_a_long_list_is_not_asked_for_again(archive, tmp_path, capsys):
    file = {"name": "1.svs", "size": 3, "computed_md5": hashlib.md5(b"abc").hexdigest()}
    archive.files |= {
        f"{FIGSHARE}/collections/4951281": {"articles_count": 1},
        f"{FIGSHARE}/collections/4951281/articles": [{"id": 7}],
        f"{FIGSHARE}/articles/7": {
            "license": {"name": "CC0"},
            "files": [file | {"download_url": "https://ndownloader.figshare.com/files/1"}],
        },
        "/ndownloader.figshare.com/files/1": b"abc",
        "/api.github.com/repos/DeepMicroscopy/MITOS_WSI_CMC": {},
        "/api.github.com/repos/DeepMicroscopy/MITOS_WSI_CMC/git/trees/HEAD": {"sha": "a", "tree": []},
    }
    words = ("cmc", "--out", tmp_path / "c", "--accept-licence", "--mirror", archive.url)
    assert run(capsys, *words)[0] == 0
    archive.log.clear()
    code, said, _ = run(capsys, *words)
    assert code == 0 and archive.log == [] and "Stated by the archive: CC0" in said
    record = json.loads((tmp_path / "c" / "SOURCE.json").read_text())
    (tmp_path / "c" / "SOURCE.json").write_text(json.dumps(record | {"listed": "2020-01-01T00:00:00+00:00"}))
    run(capsys, *words)
    assert len(archive.log) == 5


def test_archives_are_unpacked_where_asked(archive, tmp_path, capsys):
    packed, evil = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr("x/1.png", b"one")
    with zipfile.ZipFile(evil, "w") as zipped:
        zipped.writestr("../1.png", b"one")
    archive.add("images.zip", packed.getvalue())
    out = tmp_path / "m"
    assert "Packed: images.zip. Add --unpack to unpack." in fetch(capsys, archive, out)[1]
    assert names(out) == ["SOURCE.json", "images.zip"]
    assert f"Unpacked: {out / 'images'}" in fetch(capsys, archive, out, "--unpack")[1]
    assert (out / "images" / "x" / "1.png").read_bytes() == b"one"
    assert "Unpacked before: images.zip" in fetch(capsys, archive, out, "--unpack")[1]
    archive.add("evil.zip", evil.getvalue())
    code, _, err = fetch(capsys, archive, out, "--unpack")
    assert code == 2 and "holds '../1.png', which leads out of its folder. It is not unpacked." in err
    assert not (tmp_path / "m" / "1.png").exists() and not (out / "evil").exists()


def test_the_licence_is_asked_for(archive, tmp_path, capsys, monkeypatch):
    archive.add("a.tiff", b"1")
    words = ("midog21", "--out", tmp_path / "m", "--mirror", archive.url)

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    code, said, err = run(capsys, *words)
    assert code == 2 and "Do you accept the licence? [y/N]" in said
    assert err == "Error: Nothing was fetched: the licence was not accepted.\n"
    assert not (tmp_path / "m").exists()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert run(capsys, *words)[0] == 0
    assert names(tmp_path / "m") == ["SOURCE.json", "a.tiff"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["amibr", "--out", "m"], "No public data set named 'amibr'. Did you mean 'ami-br'?"),
        (["midog21", "--out", "m"], "Read the licence, then accept it with --accept-licence."),
        (["midog21", "--out", "m", "--accept-licence", "--only", "a.tif"], "Did you mean 'a.tiff'?"),
        (["midog21", "--out", "m", "--accept-licence", "--only", "*.png"], "No file of midog21 named '*.png'."),
        (["midog21", "--accept-licence"], "Missing option '--out'."),
        (["tupac16", "--out", "m", "--accept-licence"], "Register at tupac.grand-challenge.org"),
        (["icpr12"], "icpr12 is given after registration, and not fetched. The contest's page is"),
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
    for mirror in ("http://example.org", "ftp://127.0.0.1", tmp_path / "none"):
        code, _, err = run(capsys, "midog21", "--out", tmp_path / "m", "--accept-licence", "--mirror", mirror)
        assert code == 2 and "Give an https:// URL, http:// on this machine, or a folder." in err


def test_lists(archive, capsys):
    code, said, _ = run(capsys, "--list")
    assert code == 0 and [line.split()[0] for line in said.splitlines()] == list(SOURCES)
    assert [line.split()[0] for line in said.splitlines() if line.endswith("(after registration)")] == [
        "tupac16",
        "amida13",
        "mitos-atypia-14",
        "icpr12",
    ]
    archive.add("a.tiff", b"1234")
    code, said, _ = run(capsys, "midog21", "--list", "--mirror", archive.url)
    assert code == 0 and said.splitlines()[-1].split() == ["4", "a.tiff"]
