"""Unpacking archives that nobody vouches for."""

import io
import shutil
import stat
import tarfile
import zipfile

import pytest

from mitozoo.base.errors import DataError, OutputError
from mitozoo.data.fetch import unpack as unpacking
from mitozoo.data.fetch.unpack import folder_of, is_archive, unpack


def zipped(path, *files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def tarred(path, *entries):
    with tarfile.open(path, "w:gz") as archive:
        for name, content, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return path


def refusal(path, error=DataError):
    with pytest.raises(error) as caught:
        unpack(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return str(caught.value)


def test_which_files_are_archives_and_where_they_go(tmp_path):
    assert [is_archive(name) for name in ("a.zip", "a.TAR.GZ", "a.tgz", "a.tiff", "zip")] == [True, True, True, 0, 0]
    assert folder_of(tmp_path / "a.b.tar.gz") == tmp_path / "a.b"
    assert folder_of(tmp_path / "a.ZIP") == tmp_path / "a"


def test_a_zip_and_a_tar_are_unpacked_once(tmp_path):
    zipped(tmp_path / "a.zip", ("x/1.png", b"one"), ("2.png", b"two"), ("empty/", b""))
    tarred(tmp_path / "b.tar.gz", ("./x/1.png", b"one", tarfile.REGTYPE), ("x", b"", tarfile.DIRTYPE))
    assert unpack(tmp_path / "a.zip") == tmp_path / "a"
    assert unpack(tmp_path / "b.tar.gz") == tmp_path / "b"
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert found == {"a/x/1.png": b"one", "a/2.png": b"two", "b/x/1.png": b"one"}
    (tmp_path / "a" / "2.png").write_bytes(b"mine")
    assert unpack(tmp_path / "a.zip") is None
    assert (tmp_path / "a" / "2.png").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.zip", "b", "b.tar.gz"]


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "c:out", "a\\..\\out", "a\0b"])
def test_no_way_out_of_the_folder(tmp_path, name):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("safe")
        entry.filename = name
        archive.writestr(entry, b"out")
    assert "which leads out of its folder. It is not unpacked." in refusal(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_no_links_and_devices_in_a_tar(tmp_path, kind):
    path = tarred(tmp_path / "a.tar.gz", ("x", b"", kind))
    assert refusal(path) == f"{path} holds 'x', which is a link, a device or encrypted. It is not unpacked."


def test_a_tar_leads_nowhere_else_either(tmp_path):
    assert "leads out" in refusal(tarred(tmp_path / "a.tar.gz", ("../out", b"out", tarfile.REGTYPE)))


def test_no_links_in_a_zip(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("x")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, b"/etc/passwd")
    assert "is a link" in refusal(path)


def test_two_files_of_one_name(tmp_path):
    path = zipped(tmp_path / "a.zip", ("A.png", b"one"), ("a.png", b"two"))
    assert refusal(path) == f"{path} holds 'a.png' twice. It is not unpacked."


def test_what_does_not_fit_is_not_begun(tmp_path, monkeypatch):
    # 3 MB of zeros pack to a few kB: what counts is what is declared.
    free = 3_149_999
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free}))
    for pack in (
        lambda: zipped(tmp_path / "a.zip", ("x", bytes(3_000_000))),
        lambda: tarred(tmp_path / "b.tar.gz", ("x", bytes(3_000_000), tarfile.REGTYPE)),
    ):
        path = pack()
        assert path.stat().st_size < 10_000
        assert refusal(path, OutputError) == (f"{path} unpacks to 0.00 GB or more, and 0.00 GB are free. Make room.")
        path.unlink()
    free = 3_150_000
    assert unpack(zipped(tmp_path / "a.zip", ("x", bytes(3_000_000)))) == tmp_path / "a"
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a.zip").unlink()
    monkeypatch.setattr(unpacking, "_MOST_FILES", 1)
    many = zipped(tmp_path / "c.zip", ("x", b""), ("y", b""))
    assert "holds more than 1 files" in refusal(many)


def test_damaged_archives(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"no zip")
    assert refusal(path) == f"{path} cannot be unpacked: File is not a zip file. Remove it and fetch it again."
    path.unlink()
    content = zipped(tmp_path / "b.zip", ("x", b"12345")).read_bytes()
    damaged = tmp_path / "b.zip"
    # The same name and lengths with another content: the sum does not fit.
    damaged.write_bytes(content.replace(zipped_stream(b"12345"), zipped_stream(b"12346")))
    assert "Bad CRC-32" in refusal(damaged)
    damaged.unlink()
    cut = tarred(tmp_path / "c.tar.gz", ("x", bytes(range(256)) * 40, tarfile.REGTYPE))
    cut.write_bytes(cut.read_bytes()[:150])
    assert "cannot be unpacked" in refusal(cut)


def zipped_stream(content):
    import zlib

    packer = zlib.compressobj(-1, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()
