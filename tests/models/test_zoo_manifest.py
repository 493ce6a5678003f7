import json

import pytest

from mitozoo.base.errors import WeightsError
from mitozoo.models import zoo_manifest

DROP = object()


def changed(manifest, key, value):
    data = json.loads(zoo_manifest.to_json(manifest))
    *above, last = key.split(".")
    place = data[above[0]] if above else data
    if value is DROP:
        del place[last]
    else:
        place[last] = value
    return json.dumps(data)


def test_a_manifest_survives_writing_and_reading(a_manifest):
    manifest = a_manifest("https://example.org/tiny.weights.h5", hours=None)
    assert zoo_manifest.parse(zoo_manifest.to_json(manifest), "m") == manifest


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("title", DROP, "the key 'title' is missing"),
        ("title", " ", "'title' must be a text that is not empty, and is \" \""),
        ("treshold", 0.5, "it has no key 'treshold'; did you mean 'threshold'"),
        ("zzz", 0.5, "it has no key 'zzz'"),
        ("threshold", 1.5, "'threshold' must be a number from 0 to 1, and is 1.5"),
        ("threshold", True, "'threshold' must be a number from 0 to 1, and is true"),
        ("um_per_px", 0, "'um_per_px' must be a plausible spacing in µm per pixel, and is 0"),
        ("input_px", 64.5, "'input_px' must be a whole number above 0, and is 64.5"),
        ("classes", [], "'classes' must be a list of texts that is not empty, and is []"),
        ("hours", -1, "'hours' must be a number of hours or null, and is -1"),
        ("date", "31.1.2026", "'date' must be a date as 2026-01-31, and is \"31.1.2026\""),
        ("date", "2026-02-30", "'date' must be a date as 2026-01-31, and is \"2026-02-30\""),
        ("settings", [], "'settings' must be an object, and is []"),
        ("weights", "x", "'weights' must be an object, and is \"x\""),
        ("weights.bytes", 0, "'weights.bytes' must be a whole number above 0, and is 0"),
        ("weights.sha256", "AB" * 32, f"'weights.sha256' must be 64 hex digits, and is \"{'AB' * 32}\""),
        ("weights.urls", DROP, "the key 'weights.urls' is missing"),
        (
            "weights.file",
            "../tiny.weights.h5",
            "'weights.file' must be a plain file name that ends with .weights.h5, and is \"../tiny.weights.h5\"",
        ),
        (
            "weights.urls",
            ["http://example.org/a"],
            "the URL 'http://example.org/a' is http, which anyone on the way can change; use https",
        ),
    ],
)
def test_a_malformed_manifest_names_file_key_and_remedy(a_manifest, key, value, problem):
    with pytest.raises(WeightsError) as caught:
        zoo_manifest.parse(changed(a_manifest(), key, value), "zoo/tiny/manifest.json")
    assert str(caught.value) == (
        f"The manifest zoo/tiny/manifest.json cannot be used: {problem}. Mend it, or take the zoo's own."
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("[1]", "it is not a JSON object"),
        ('{"threshold": NaN}', "it is not JSON (NaN is not a JSON number)"),
    ],
)
def test_a_manifest_that_is_no_object(text, problem):
    with pytest.raises(WeightsError) as caught:
        zoo_manifest.parse(text, "m")
    assert str(caught.value) == f"The manifest m cannot be used: {problem}. Mend it, or take the zoo's own."


def test_a_manifest_that_cannot_be_read(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(WeightsError) as caught:
        zoo_manifest.read(tmp_path / "manifest.json")
    assert str(caught.value) == (
        f"The manifest {tmp_path / 'manifest.json'} cannot be read: it is not UTF-8 text. Take the zoo's own."
    )


def test_results_that_are_nan_are_not_written(a_manifest):
    with pytest.raises(WeightsError, match="^The manifest manifest.json cannot be written as JSON: Out of range float"):
        zoo_manifest.to_json(a_manifest(results={"f1": float("nan")}))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://example.org/a.weights.h5", None),
        ("file:///mnt/zoo/a.weights.h5", None),
        ("file://localhost/mnt/a.weights.h5", None),
        ("http://127.0.0.1:8000/a", None),
        ("http://localhost/a", None),
        ("http://[::1]:8000/a", None),
        ("stn/a.weights.h5", None),
        ("http://127.0.0.1.example.org/a", "is http, which anyone on the way can change; use https"),
        ("https:///a", "names no host"),
        ("https://me:secret@example.org/a", "holds a user name or a password"),
        ("file://server/share/a", "is a file on another host"),
        ("ftp://example.org/a", "is neither https, file nor a path inside the zoo"),
        ("../secret", "is neither https, file nor a path inside the zoo"),
        ("a/../../secret", "is neither https, file nor a path inside the zoo"),
        ("/etc/passwd", "is neither https, file nor a path inside the zoo"),
        ("C:\\a", "is neither https, file nor a path inside the zoo"),
        ("", "is neither https, file nor a path inside the zoo"),
        ("https://[::1/a", "is not a URL"),
    ],
)
def test_where_weights_may_come_from(url, problem):
    assert zoo_manifest.url_problem(url) == problem
