import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mitozoo.base.errors import WeightsError
from mitozoo.models import zoo, zoo_cache

TRY = (
    "Go online and run 'mitozoo zoo fetch tiny', set MITOZOO_MIRROR to a folder or URL that has tiny/tiny.weights.h5, "
    "or copy that file to {target}."
)


def respond(handler, body, length=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def where(manifest):
    return zoo_cache.cached_path("tiny", manifest.weights)


def failure(name="tiny"):
    with pytest.raises(WeightsError) as caught:
        zoo.weights_path(name)
    return str(caught.value)


def cannot(manifest, *tried):
    listed = "; ".join([f"{where(manifest)} (not there)", *tried])
    hint = TRY.format(target=where(manifest))
    return f"Cannot get the weights of 'tiny' (0.1 MB). Tried: {listed}. {hint}"


def leftovers(manifest):
    return [path.name for path in where(manifest).parent.iterdir()]


def test_the_cache_follows_the_variable_and_the_platform(monkeypatch):
    monkeypatch.setenv("MITOZOO_CACHE", "/big/disk")
    assert zoo_cache.cache_folder() == Path("/big/disk")
    monkeypatch.delenv("MITOZOO_CACHE")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert zoo_cache.cache_folder() == Path("/home/ada/.cache/mitozoo")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/ada")
    assert zoo_cache.cache_folder() == Path("/var/ada/mitozoo")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert zoo_cache.cache_folder() == Path("/home/ada/Library/Caches/mitozoo")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/c/ada/Local")
    assert zoo_cache.cache_folder() == Path("/c/ada/Local/mitozoo")


def test_a_bundled_file_is_used_where_it_lies(put, a_manifest, content):
    bundled = put(a_manifest()) / "tiny.weights.h5"
    bundled.write_bytes(content)
    assert zoo.weights_path("tiny") == bundled
    assert zoo.place("tiny") == "bundled"
    assert not where(a_manifest()).exists()


def test_a_bundled_file_with_another_hash_is_an_error(put, a_manifest, content):
    bundled = put(a_manifest()) / "tiny.weights.h5"
    bundled.write_bytes(content[:-1] + b"!")
    actual, wanted = hashlib.sha256(content[:-1] + b"!").hexdigest(), hashlib.sha256(content).hexdigest()
    assert failure() == (
        f"The bundled weights {bundled} were changed or damaged: their SHA-256 is {actual[:12]}…, the manifest says "
        f"{wanted[:12]}…. Restore the file from the repository, or install mitozoo again."
    )


def test_weights_come_from_a_file_url_and_stay_in_the_cache(put, a_manifest, content, tmp_path):
    (tmp_path / "a b.h5").write_bytes(content)
    manifest = a_manifest((tmp_path / "a b.h5").as_uri())
    put(manifest)
    assert zoo.place("tiny") == "remote"
    assert zoo.weights_path("tiny") == where(manifest)
    assert where(manifest).read_bytes() == content
    assert zoo.place("tiny") == "cached"
    (tmp_path / "a b.h5").unlink()
    assert zoo.weights_path("tiny") == where(manifest)
    assert leftovers(manifest) == ["tiny.weights.h5"]


def test_a_relative_url_starts_from_the_zoo(put, a_manifest, content, zoo_folder):
    put(a_manifest("parts/tiny.h5"))
    (zoo_folder / "parts").mkdir()
    (zoo_folder / "parts" / "tiny.h5").write_bytes(content)
    assert zoo.weights_path("tiny").read_bytes() == content


def test_weights_come_over_loopback_http(put, a_manifest, content, serve):
    asked = []

    def answer(handler):
        asked.append(handler.path)
        respond(handler, content)

    put(a_manifest(serve(answer) + "/w/tiny.weights.h5"))
    assert zoo.weights_path("tiny").read_bytes() == content
    zoo.weights_path("tiny")
    assert asked == ["/w/tiny.weights.h5"]


def test_a_half_written_cached_file_is_fetched_again(put, a_manifest, content, tmp_path):
    (tmp_path / "w.h5").write_bytes(content)
    manifest = a_manifest((tmp_path / "w.h5").as_uri())
    put(manifest)
    where(manifest).parent.mkdir(parents=True)
    where(manifest).write_bytes(content[:100])
    assert zoo.place("tiny") == "remote"
    assert zoo.weights_path("tiny").read_bytes() == content


def test_a_damaged_cached_file_offline_says_what_to_do(put, a_manifest, content, tmp_path):
    url = (tmp_path / "gone.h5").as_uri()
    manifest = a_manifest(url)
    put(manifest)
    where(manifest).parent.mkdir(parents=True)
    where(manifest).write_bytes(content[:-1] + b"!")
    assert failure() == (
        f"Cannot get the weights of 'tiny' (0.1 MB). Tried: {where(manifest)} (damaged or half-written); "
        f"{url} (No such file or directory). {TRY.format(target=where(manifest))}"
    )


@pytest.mark.parametrize("kind", ["folder", "file", "http"])
def test_a_mirror_is_asked_first(put, a_manifest, content, tmp_path, monkeypatch, serve, kind):
    paths = []

    def answer(handler):
        paths.append(handler.path)
        respond(handler, content)

    (tmp_path / "mirror" / "tiny").mkdir(parents=True)
    (tmp_path / "mirror" / "tiny" / "tiny.weights.h5").write_bytes(content)
    mirror = {"folder": str(tmp_path / "mirror"), "file": (tmp_path / "mirror").as_uri(), "http": serve(answer) + "/m/"}
    monkeypatch.setenv("MITOZOO_MIRROR", mirror[kind])
    put(a_manifest((tmp_path / "never-asked.h5").as_uri()))
    assert zoo.weights_path("tiny").read_bytes() == content
    assert paths == (["/m/tiny/tiny.weights.h5"] if kind == "http" else [])


def test_after_the_mirror_come_the_urls(put, a_manifest, content, tmp_path, monkeypatch):
    monkeypatch.setenv("MITOZOO_MIRROR", str(tmp_path / "empty"))
    (tmp_path / "w.h5").write_bytes(content)
    put(a_manifest((tmp_path / "w.h5").as_uri()))
    assert zoo.weights_path("tiny").read_bytes() == content


def test_a_mirror_over_plain_http_is_refused(put, a_manifest, monkeypatch):
    monkeypatch.setenv("MITOZOO_MIRROR", "http://example.org/zoo")
    put(a_manifest())
    assert failure() == (
        "The mirror in MITOZOO_MIRROR is http, which anyone on the way can change; use https. "
        "Give an https:// or file:// URL or a folder."
    )


def test_the_error_lists_all_that_was_tried(put, a_manifest, content, tmp_path, monkeypatch, serve):
    monkeypatch.setenv("MITOZOO_MIRROR", str(tmp_path / "empty"))
    wrong = bytes(reversed(content))

    def answer(handler):
        if handler.path == "/missing":
            handler.send_error(404)
        elif handler.path == "/short":
            respond(handler, content[:1000], len(content))
        elif handler.path == "/small":
            respond(handler, content[:1000])
        elif handler.path == "/wrong":
            respond(handler, wrong)
        elif handler.path == "/away":
            handler.send_response(302)
            handler.send_header("Location", "http://example.org/tiny")
            handler.end_headers()
        else:
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(content + b"more")

    base = serve(answer)
    manifest = a_manifest(*(f"{base}/{path}" for path in ("missing", "short", "small", "wrong", "away", "endless")))
    put(manifest)
    actual, wanted = hashlib.sha256(wrong).hexdigest(), hashlib.sha256(content).hexdigest()
    assert failure() == cannot(
        manifest,
        f"{tmp_path / 'empty' / 'tiny' / 'tiny.weights.h5'} (No such file or directory)",
        f"{base}/missing (HTTP 404 Not Found)",
        f"{base}/short (it broke off after 1000 of 76800 bytes)",
        f"{base}/small (it offers 1000 bytes, the manifest says 76800)",
        f"{base}/wrong (its SHA-256 is {actual[:12]}…, the manifest says {wanted[:12]}…)",
        f"{base}/away (it redirects to a place that is http, which anyone on the way can change; use https)",
        f"{base}/endless (it gave more than the 76800 bytes that the manifest says)",
    )
    assert leftovers(manifest) == []


def test_offline_without_a_copy(put, a_manifest):
    manifest = a_manifest("https://example.org/tiny.weights.h5")
    put(manifest)
    assert failure() == cannot(manifest, "https://example.org/tiny.weights.h5 (Name or service not known)")


def test_an_entry_without_any_url(put, a_manifest):
    put(a_manifest())
    assert failure() == cannot(a_manifest())


def test_a_silent_server_is_left(put, a_manifest, serve, monkeypatch):
    monkeypatch.setattr(zoo_cache, "TIMEOUT_S", 0.2)
    done = threading.Event()
    url = serve(lambda handler: done.wait(10)) + "/tiny"
    manifest = a_manifest(url)
    put(manifest)
    start = time.monotonic()
    assert failure() == cannot(manifest, f"{url} (no answer within 0.2 s)")
    assert time.monotonic() - start < 5
    done.set()


def test_two_processes_fetch_at_once(put, a_manifest, content, serve):
    both = threading.Barrier(2, timeout=60)

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:30_000])
        handler.wfile.flush()
        both.wait()
        handler.wfile.write(content[30_000:])

    manifest = a_manifest(serve(answer) + "/tiny")
    folder = put(manifest)
    script = (
        "import sys; from pathlib import Path; from mitozoo.models import zoo_cache, zoo_manifest\n"
        "folder = Path(sys.argv[1])\n"
        "weights = zoo_manifest.read(folder / 'manifest.json').weights\n"
        "print(zoo_cache.sha256_of(zoo_cache.fetch('tiny', weights, folder.parent)))"
    )
    command = [sys.executable, "-c", script, str(folder)]
    root = Path(zoo_cache.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == [manifest.weights.sha256] * 2
    assert leftovers(manifest) == ["tiny.weights.h5"]


def test_what_a_killed_download_left_is_removed_after_a_day(put, a_manifest, content, tmp_path):
    (tmp_path / "w.h5").write_bytes(content)
    manifest = a_manifest((tmp_path / "w.h5").as_uri())
    put(manifest)
    folder = where(manifest).parent
    folder.mkdir(parents=True)
    (folder / ".part-old.h5").write_bytes(b"x")
    (folder / ".part-new.h5").write_bytes(b"x")
    os.utime(folder / ".part-old.h5", (0, 0))
    zoo.weights_path("tiny")
    assert sorted(leftovers(manifest)) == [".part-new.h5", "tiny.weights.h5"]


def test_a_cache_that_cannot_be_written(put, a_manifest, content, tmp_path, monkeypatch):
    (tmp_path / "w.h5").write_bytes(content)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MITOZOO_CACHE", str(tmp_path / "file"))
    manifest = a_manifest((tmp_path / "w.h5").as_uri())
    put(manifest)
    assert failure() == (
        f"Cannot write into the cache {where(manifest).parent}: Not a directory. "
        "Set MITOZOO_CACHE to a folder with room."
    )
