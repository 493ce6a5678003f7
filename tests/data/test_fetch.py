"""Lists and files of data sets from a server on this machine that plays Zenodo, figshare and GitHub."""

import hashlib
import json

import pytest
from archive_server import Cut, serving

from mitozoo.base.errors import DataError, OutputError, UnknownNameError
from mitozoo.data.fetch import answers
from mitozoo.data.fetch import download as downloads
from mitozoo.data.fetch.download import check_room, digest_of, download, is_whole
from mitozoo.data.fetch.listing import RemoteFile, list_files, via
from mitozoo.data.fetch.sources import SOURCES, source

CONTENT = bytes(range(256)) * 40
FIGSHARE = "/api.figshare.com/v2"


@pytest.fixture
def archive():
    with serving() as state:
        yield state


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses that were wanted; none is made."""
    wanted = []
    monkeypatch.setattr(answers, "wait", wanted.append)
    return wanted


def remote(archive, name, content=CONTENT, **change):
    archive.files[f"/{name}"] = content
    values = {"size": len(content), "checksum": "md5:" + hashlib.md5(content).hexdigest()} | change
    return RemoteFile(name, url=f"{archive.url}/{name}", **values)


def get(file, folder):
    return download(file, folder, lambda done: None)


def failure(error, call, *words):
    with pytest.raises(error) as caught:
        call(*words)
    return str(caught.value)


# Lists


def test_zenodo_names_files_checksums_and_licence(archive):
    archive.add("001.tiff", CONTENT)
    archive.add("MIDOG.json", b"{}")
    listing = list_files(source("midog21"), archive.url)
    assert listing.licences == ("cc-by-4.0 (https://zenodo.org/records/4643381)",)
    assert listing.files == (
        RemoteFile(
            "001.tiff", 10240, "md5:" + hashlib.md5(CONTENT).hexdigest(), f"{archive.url}/zenodo.org/files/001.tiff"
        ),
        RemoteFile(
            "MIDOG.json", 2, "md5:99914b932bd37a50b983c5e7c90ae93b", f"{archive.url}/zenodo.org/files/MIDOG.json"
        ),
    )


def article(number, *files, licence="CC0"):
    items = [
        {"name": name, "size": size, "computed_md5": md5, "download_url": f"https://ndownloader.figshare.com/files/{i}"}
        for i, (name, size, md5) in enumerate(files, number * 100)
    ]
    return {"id": number, "license": {"name": licence}, "files": items}


def collection(archive, *articles, count=None, record="6615571"):
    archive.files[f"{FIGSHARE}/collections/{record}"] = {"articles_count": len(articles) if count is None else count}
    page = [{"id": each["id"]} for each in articles]
    archive.files[f"{FIGSHARE}/collections/{record}/articles?page_size=1000&page=1"] = page
    for each in articles:
        archive.files[f"{FIGSHARE}/articles/{each['id']}"] = each


def no_labels_on_github(archive):
    archive.files["/api.github.com/repos/DeepMicroscopy/MIDOGpp"] = {"license": {"spdx_id": "MIT"}}
    archive.files["/api.github.com/repos/DeepMicroscopy/MIDOGpp/git/trees/HEAD"] = {"sha": "abc", "tree": []}


A, B, C = "a" * 32, "b" * 32, "c" * 32


def test_figshare_names_the_files_of_all_articles_of_a_collection(archive):
    linked = article(9, ("elsewhere.tiff", 1, A))
    linked["files"][0]["is_link_only"] = True
    supplied = article(8, ("003.tiff", 7, A))
    supplied["files"][0] |= {"supplied_md5": C, "download_url": "https://figshare.com/ndownloader/files/5"}
    collection(archive, article(7, ("002.tiff", 5, B)), article(3, ("001.tiff", 4, A)), supplied, linked)
    no_labels_on_github(archive)
    said = []
    listing = list_files(source("midog++"), archive.url, lambda done, total: said.append((done, total)))
    assert [(file.name, file.size, file.checksum) for file in listing.files] == [
        ("001.tiff", 4, f"md5:{A}"),
        ("002.tiff", 5, f"md5:{B}"),
        ("003.tiff", 7, f"md5:{C}"),
    ]
    assert listing.files[2].url == f"{archive.url}/ndownloader.figshare.com/files/5"
    assert listing.licences == (
        "CC0 (https://doi.org/10.6084/m9.figshare.c.6615571)",
        "MIT (https://github.com/DeepMicroscopy/MIDOGpp)",
    )
    assert said[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_figshares_long_lists_and_files_of_one_name(archive):
    # An article's own answer names ten files at most: the eleventh is in the list of files.
    many = [(f"{i:02}.svs", i + 1, A) for i in range(11)]
    whole = article(1, *many)
    archive.files[f"{FIGSHARE}/articles/1/files?page_size=1000&page=1"] = whole["files"]
    collection(
        archive, {**whole, "files": whole["files"][:10]}, article(2, ("00.svs", 1, A)), article(5, ("00.svs", 1, B))
    )
    no_labels_on_github(archive)
    listing = list_files(source("midog++"), archive.url)
    assert [file.name for file in listing.files] == [*(name for name, *_ in many), "5/00.svs"]


def test_a_collection_that_names_too_few_articles_is_refused(archive):
    collection(archive, article(7, ("002.tiff", 5, B)), count=2)
    assert failure(DataError, list_files, source("midog++"), archive.url) == (
        "https://doi.org/10.6084/m9.figshare.c.6615571 gave a list of files that cannot be read (ValueError: 1 of 2 "
        "articles are named). Try again later, or give --mirror."
    )


def test_of_two_places_with_one_name_the_first_counts(archive):
    collection(archive, article(1, ("MIDOG++.json", 3, A)))
    no_labels_on_github(archive)
    tree = [{"type": "blob", "path": "databases/MIDOG++.json", "size": 4, "sha": "0" * 40}]
    archive.files["/api.github.com/repos/DeepMicroscopy/MIDOGpp/git/trees/HEAD"]["tree"] = tree
    assert [file.size for file in list_files(source("midog++"), archive.url).files] == [3]


def test_github_names_the_files_of_one_version_with_gits_checksums(archive, tmp_path):
    base = "/api.github.com/repos/DeepMicroscopy/MIDOGpp"
    blob = hashlib.sha1(b"blob 6\0labels").hexdigest()
    tree = [
        {"type": "tree", "path": "databases"},
        {"type": "blob", "path": "databases/MIDOG++.json", "size": 6, "sha": blob},
        {"type": "blob", "path": "databases/old.json", "size": 9, "sha": "0" * 40},
        {"type": "blob", "mode": "120000", "path": "README.link", "size": 9, "sha": "0" * 40},
    ]
    archive.files[base] = {"license": None}
    archive.files[f"{base}/git/trees/HEAD?recursive=1"] = {"sha": "abc", "tree": tree}
    archive.files["/raw.githubusercontent.com/DeepMicroscopy/MIDOGpp/abc/databases/MIDOG%2B%2B.json"] = b"labels"
    listing = list_files(source("midog++-labels"), archive.url)
    (file,) = listing.files
    assert (file.name, file.size, file.checksum, listing.licences) == ("MIDOG++.json", 6, f"git:{blob}", ())
    path = get(file, tmp_path)
    assert is_whole(path, file) and digest_of(path, "md5") == "md5:" + hashlib.md5(b"labels").hexdigest()
    archive.files[f"{base}/git/trees/HEAD?recursive=1"]["truncated"] = True
    assert "the list is cut short" in failure(DataError, list_files, source("midog++-labels"), archive.url)


def test_an_archive_that_is_busy_is_asked_again(archive, pauses):
    collection(archive, article(1, ("001.tiff", 3, A)))
    no_labels_on_github(archive)
    archive.faults[f"{FIGSHARE}/articles/1"] = [403, 503]
    archive.headers[f"{FIGSHARE}/articles/1"] = {"Retry-After": "7"}
    assert len(list_files(source("midog++"), archive.url).files) == 1
    assert pauses == [7, 7]
    archive.add("a", b"1")
    archive.faults["/zenodo.org/api/records/4643381"] = [403]
    assert failure(DataError, list_files, source("midog21"), archive.url) == (
        f"https://zenodo.org/records/4643381 does not answer at {archive.url}/zenodo.org/api/records/4643381 (HTTP 403 "
        "Forbidden). Try again later, or give --mirror."
    )
    archive.faults["/zenodo.org/api/records/4643381"] = [503] * 5
    assert "(HTTP 503 Service Unavailable)" in failure(DataError, list_files, source("midog21"), archive.url)
    assert archive.faults["/zenodo.org/api/records/4643381"] == []


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "c:a", "a\\b", "a//b", "x.part", "SOURCE.json", ""])
def test_a_name_outside_the_folder(archive, name):
    archive.add(name, b"1")
    assert failure(DataError, list_files, source("midog21"), archive.url) == (
        f"https://zenodo.org/records/4643381 names a file {name!r}, which has no place in a folder. Nothing is fetched."
    )


@pytest.mark.parametrize("checksum", ["md5:0", "md5", "crc32:00000000", "shake_128:" + "0" * 32])
def test_a_checksum_that_is_none(archive, checksum):
    archive.add("a", b"1", checksum)
    said = failure(DataError, list_files, source("midog21"), archive.url)
    assert f"(ValueError: a has 1 bytes and the checksum {checksum!r})" in said


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("file:///etc/passwd", "is not https"),
        ("http://zenodo.org/a", "is not https"),
        ("https://ada:secret@zenodo.org/a", "holds a user name or a password"),
    ],
)
def test_an_address_that_is_not_fetched_from(url, problem):
    text = f"The archive gives the address {url!r}, which {problem}. Nothing is fetched."
    assert failure(DataError, via, None, url) == text


def test_mirrors():
    assert via("https://mirror.example/x/", "https://zenodo.org/a?b=1") == "https://mirror.example/x/zenodo.org/a?b=1"
    assert via(None, "https://zenodo.org/a?b=1") == "https://zenodo.org/a?b=1"
    for mirror, problem in [
        ("http://example.org", "is http, which anyone on the way can change; use https"),
        ("/no/such/folder", "is no folder that is there and no http(s) address"),
    ]:
        assert failure(DataError, via, mirror, "https://zenodo.org/a") == (
            f"The mirror {mirror} {problem}. Give an https:// URL, http:// on this machine, or a folder."
        )


def test_every_source_can_be_had_or_says_how():
    for item in SOURCES.values():
        assert bool(item.places) != bool(item.how)
        assert item.licence and item.citation and item.title and item.facts
    for name in ("icpr12", "mitos-atypia-14", "amida13", "tupac16"):
        item = source(name)
        assert failure(DataError, list_files, item) == (
            f"{name} is given after registration, and not fetched. {item.how}"
        )
    assert failure(UnknownNameError, source, "amibr") == "No public data set named 'amibr'. Did you mean 'ami-br'?"


# Files


def test_it_goes_on_where_it_broke_off(archive, tmp_path, pauses):
    archive.faults["/a.tiff"] = [Cut(4000), Cut(3000)]
    assert get(remote(archive, "a.tiff"), tmp_path).read_bytes() == CONTENT
    # 10240 bytes in all, none of them sent twice.
    assert archive.asked("a.tiff") == [(None, 4000), ("bytes=4000-", 3000), ("bytes=7000-", 3240)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.tiff"]
    assert pauses == [1, 1]


def test_it_goes_on_as_long_as_something_comes(archive, tmp_path):
    archive.faults["/a.tiff"] = [Cut(1000)] * 9
    assert get(remote(archive, "a.tiff"), tmp_path).read_bytes() == CONTENT
    assert len(archive.asked("a.tiff")) == 10


def test_a_server_without_ranges_starts_anew(archive, tmp_path):
    archive.ranges = False
    archive.faults["/a.tiff"] = [Cut(4000)]
    assert get(remote(archive, "a.tiff"), tmp_path).read_bytes() == CONTENT
    assert archive.asked("a.tiff") == [(None, 4000), ("bytes=4000-", 10240)]


def test_another_version_starts_anew(archive, tmp_path):
    (tmp_path / "a.tiff.part").write_bytes(b"x" * 100)
    (tmp_path / "a.tiff.part.json").write_text(json.dumps({"tag": '"older"'}))
    assert get(remote(archive, "a.tiff"), tmp_path).read_bytes() == CONTENT
    assert archive.asked("a.tiff") == [("bytes=100-", 10240)]


@pytest.mark.parametrize("note", [None, "{", "[]", '{"tag": null}', '{"tag": "W/\\"one\\""}'])
def test_a_part_of_an_unknown_version_is_not_trusted(archive, tmp_path, note):
    (tmp_path / "a.tiff.part").write_bytes(b"x" * 100)
    if note:
        (tmp_path / "a.tiff.part.json").write_text(note)
    assert get(remote(archive, "a.tiff"), tmp_path).read_bytes() == CONTENT
    assert archive.asked("a.tiff") == [(None, 10240)]


def test_a_wrong_checksum_is_tried_once_more(archive, tmp_path):
    file = remote(archive, "a.tiff", checksum="md5:" + "0" * 32)
    assert failure(DataError, get, file, tmp_path) == (
        f"a.tiff came twice with a wrong checksum: md5:{hashlib.md5(CONTENT).hexdigest()}, where the archive says "
        f"md5:{'0' * 32}. It was not kept. Try again later, or another --mirror."
    )
    assert archive.asked("a.tiff") == [(None, 10240)] * 2
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_part_is_mended_by_starting_anew(archive, tmp_path):
    (tmp_path / "a.tiff.part").write_bytes(bytes(4000))
    (tmp_path / "a.tiff.part.json").write_text(json.dumps({"tag": archive.tag}))
    assert get(remote(archive, "a.tiff"), tmp_path).read_bytes() == CONTENT
    assert archive.asked("a.tiff") == [("bytes=4000-", 6240), (None, 10240)]


def test_a_file_without_a_stated_checksum_is_checked_by_its_size(archive, tmp_path):
    file = remote(archive, "a.tiff", checksum="")
    assert is_whole(get(file, tmp_path), file)
    (tmp_path / "a.tiff").write_bytes(CONTENT[1:])
    assert not is_whole(tmp_path / "a.tiff", file)


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(archive, tmp_path, pauses):
    archive.faults["/a.tiff"] = [503, 503]
    get(remote(archive, "a.tiff"), tmp_path)
    assert archive.asked("a.tiff") == [(None, 0), (None, 0), (None, 10240)] and pauses == [1, 2]
    gone = remote(archive, "b.tiff")
    del archive.files["/b.tiff"]
    assert failure(DataError, get, gone, tmp_path) == (
        f"b.tiff cannot be fetched from {archive.url}/b.tiff (HTTP 404 Not Found). Try again later."
    )
    assert len(archive.asked("b.tiff")) == 1


def test_a_server_that_stays_broken_is_left_and_what_came_is_kept(archive, tmp_path):
    archive.faults["/a.tiff"] = [Cut(4000), 500, 500, 500, 500]
    assert failure(DataError, get, remote(archive, "a.tiff"), tmp_path) == (
        f"a.tiff cannot be fetched from {archive.url}/a.tiff (HTTP 500 Internal Server Error). Its first 4,000 bytes "
        "are kept: run the command again."
    )
    assert (tmp_path / "a.tiff.part").read_bytes() == CONTENT[:4000]
    archive.faults.clear()
    assert get(remote(archive, "a.tiff"), tmp_path).read_bytes() == CONTENT
    assert archive.asked("a.tiff")[-1] == ("bytes=4000-", 6240)


def test_more_or_less_than_the_archive_says(archive, tmp_path):
    assert "it gave more than the 100 bytes that the archive says" in failure(
        DataError, get, remote(archive, "long", size=100), tmp_path
    )
    assert not (tmp_path / "long.part").exists()
    said = failure(DataError, get, remote(archive, "short", size=20_000), tmp_path)
    # Every second question is for a rest that the server does not have.
    assert archive.asked("short") == [(None, 10240), ("bytes=10240-", 0), (None, 10240), ("bytes=10240-", 0)]
    assert "it answered 'bytes 10240-10239/10240' when asked for the rest" in said


def test_an_answer_that_is_not_the_file(archive, tmp_path):
    # A guard in front of the archive answers 202 with a page of its own.
    archive.faults["/a.tiff"] = [302]
    archive.headers["/a.tiff"] = {"Location": "http://example.org/a.tiff"}
    assert "(it redirects to a place that is http, which anyone on the way can change; use https)" in failure(
        DataError, get, remote(archive, "a.tiff"), tmp_path
    )
    assert len(archive.asked("a.tiff")) == 1


def test_too_little_room_says_both_numbers(tmp_path, monkeypatch):
    def free(count):
        monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: type("Usage", (), {"free": count}))

    file = RemoteFile("a", 2_000_000_000, "", "https://example.org/a")
    free(2_000_000_000)
    assert failure(OutputError, check_room, tmp_path, [file]) == (
        f"{tmp_path} has 2.00 GB free, and 2.10 GB are needed (the files and 5 % more). Make room, choose "
        "another --out, or fetch single files with --only."
    )
    free(2_100_000_000)
    check_room(tmp_path, [file])
    # What came before needs no room again: (2e9 - 1000) * 1.05 = 2,099,998,950.
    (tmp_path / "a.part").write_bytes(b"0" * 1000)
    free(2_099_998_950)
    check_room(tmp_path, [file])
    free(2_099_998_949)
    failure(OutputError, check_room, tmp_path, [file])


def test_a_folder_of_links_out_is_not_written_through(archive, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    file = remote(archive, "sub/a.tiff")
    assert "would be written outside" in failure(OutputError, get, file, tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []
