"""Files are whole or not there, and stay in their folder."""

import errno
import os
import stat

import pytest

from mitozoo.base.errors import OutputError
from mitozoo.base.files import inside, make_folder, safe_name, whole_file, write_bytes, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_is_utf8_with_unix_line_ends(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "µm\nx\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xc2\xb5m\nx\n"


def test_a_file_is_replaced_at_once_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    with whole_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_after_an_error_the_old_file_is_there(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError, match="half way"), whole_file(path) as temporary:
        temporary.write_bytes(b"ne")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_the_temporary_name_keeps_two_suffixes(tmp_path):
    with whole_file(tmp_path / "stn.v2.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")
        assert temporary.parent == tmp_path


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_files_get_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "the disk is full; free some space and run again"),
        (errno.EROFS, "the disk is read-only; choose another --out"),
        (errno.EACCES, "permission denied; choose another --out"),
        (errno.ENOTDIR, "a part of its path is a file; choose another --out"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_why_a_file_cannot_be_written(tmp_path, monkeypatch, code, reason):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError) as error:
        write_text(tmp_path / "a.txt", "x")
    assert str(error.value) == f"Cannot write {tmp_path / 'a.txt'}: {reason}."
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError) as error:
        make_folder(tmp_path / "out")
    assert str(error.value) == (
        f"Cannot write into {tmp_path / 'out'}: it is a file, not a folder. Choose another --out."
    )
    with pytest.raises(OutputError, match="a part of its path is a file; choose another --out."):
        make_folder(tmp_path / "out" / "deeper")


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("a/b.png", "a/b.png"),
        ("../../etc/passwd", "_/_/etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\a.png", "C_/Users/a.png"),
        ("a/./b//c", "a/b/c"),
        ('what?<is>"this"|*', "what__is__this___"),
        ("tab\there", "tab_here"),
        ("trailing. ", "trailing"),
        ("...", "_"),
        ("", "_"),
        ("..", "_"),
        ("Präparat 1.png", "Präparat 1.png"),
    ],
)
def test_safe_names(given, safe):
    assert safe_name(given) == safe


def test_a_link_does_not_lead_out(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    assert inside(tmp_path / "out", "../a.png") == tmp_path / "out" / "_" / "a.png"
    with pytest.raises(OutputError) as error:
        inside(tmp_path / "out", "link/a.png")
    assert str(error.value) == f"link/a.png would be written outside {tmp_path / 'out'}. Rename it and run again."
