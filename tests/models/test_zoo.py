import hashlib
import json
import pickle
import re
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from mitozoo.base.errors import UnknownNameError, WeightsError
from mitozoo.models import registry, zoo, zoo_manifest

HINT = "Give a Keras .weights.h5 file, as 'mitozoo train' writes them."
ONES = np.ones((1, 2), "float32")


def failure(name, weights=None, kind=WeightsError):
    with pytest.raises(kind) as caught:
        zoo.load(name, weights)
    return str(caught.value)


def as_float16(source, target):
    import h5py

    with h5py.File(source) as old, h5py.File(target, "w") as new:

        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                new.create_dataset(name, data=item[()].astype("float16"))
            else:
                new.require_group(name).attrs.update(item.attrs)

        old.visititems(copy)
    return target


def test_the_folder_is_the_checkouts():
    assert zoo.folder() == Path(zoo.__file__).parents[2] / "zoo"


def test_without_a_checkout_the_package_is_taken(tmp_path, monkeypatch):
    import mitozoo

    package = tmp_path / "site-packages" / "mitozoo"
    (package / "zoo").mkdir(parents=True)
    (package / "zoo" / "__init__.py").touch()
    monkeypatch.setattr(mitozoo, "__file__", str(package / "__init__.py"))
    monkeypatch.setattr(mitozoo, "__path__", [str(package)])
    assert zoo.folder() == package / "zoo"
    (package / "zoo" / "__init__.py").unlink()
    (package / "zoo").rmdir()
    # An editable installation, in which these tests may run, would still find the checkout's.
    finders = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
    monkeypatch.setattr(sys, "meta_path", finders)
    with pytest.raises(WeightsError) as caught:
        zoo.folder()
    assert str(caught.value) == "The zoo's folder is missing from this installation. Install mitozoo again."


def test_every_entry_of_the_real_zoo_is_whole():
    for name in zoo.entries():
        zoo.verify(name)
        assert zoo.card(name), f"zoo/{name} has no CARD.md"
        assert zoo.manifest(name).model in registry.names()
        path = zoo.folder() / name / zoo.manifest(name).weights.file
        assert [where for where, values in arrays_of(path) if not np.isfinite(values).all()] == []


def arrays_of(path):
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda where, item: found.append((where, item[()])) if isinstance(item, h5py.Dataset) else None)
    return [(where, values) for where, values in found if values.dtype.kind == "f"]


def test_entries_are_folders_with_a_manifest(put, a_manifest, zoo_folder):
    put(a_manifest(), "tiny-slim")
    put(a_manifest(), "tiny")
    (zoo_folder / "not-an-entry").mkdir()
    assert zoo.entries() == ["tiny", "tiny-slim"]
    assert zoo.manifest("tiny-slim") == a_manifest()


def test_an_unknown_name_gives_the_nearest(put, a_manifest, tiny):
    put(a_manifest())
    with pytest.raises(UnknownNameError) as caught:
        zoo.manifest("tyni")
    assert str(caught.value) == "No zoo entry named 'tyni'. Did you mean 'tiny'?"
    assert failure("../tiny", kind=UnknownNameError) == "No zoo entry named '../tiny'. Did you mean 'tiny'?"
    assert (
        failure("tiny-dep", Path("x.weights.h5"), UnknownNameError)
        == "No model named 'tiny-dep'. Did you mean 'tiny-deep'?"
    )


def test_an_architecture_without_trained_weights(put, a_manifest, tiny):
    put(a_manifest())
    assert failure("tiny-deep") == (
        "The zoo has no trained weights for 'tiny-deep' yet. Train it with 'mitozoo train tiny-deep' and give the "
        "checkpoint with --weights."
    )


def test_an_empty_zoo(zoo_folder, tiny):
    assert (
        failure("tyni") == "The zoo is empty: it has no weights for 'tyni'. Train some, and give them with --weights."
    )


def test_an_entry_loads_with_its_own_settings(zoo_folder, a_manifest, tiny_weights):
    written = zoo.write_entry(zoo_folder / "tiny-slim", a_manifest(content=b"unlike"), tiny_weights)
    content = tiny_weights.read_bytes()
    assert written.weights.sha256 == hashlib.sha256(content).hexdigest()
    assert written.weights.bytes == len(content)
    loaded = zoo.load("tiny-slim")
    np.testing.assert_array_equal(loaded.model(ONES), [[4.5, 5.5]])
    assert (loaded.name, loaded.manifest, loaded.threshold) == ("tiny-slim", written, 0.25)
    assert (loaded.spec.name, loaded.spec.um_per_px, loaded.spec.classes) == (
        "tiny",
        0.5,
        ("non_mitotic", "mitotic_figure"),
    )
    assert loaded.decoder == {"radius_um": 7.5}
    assert loaded.sha256 == written.weights.sha256
    assert loaded.weights == zoo_folder / "tiny-slim" / "tiny.weights.h5"
    assert zoo.params("tiny-slim") == 6
    assert zoo.verify("tiny-slim") == "bundled"


def test_weights_stored_in_float16_load_as_float32(zoo_folder, a_manifest, tiny_weights, tmp_path):
    half = as_float16(tiny_weights, tmp_path / "half.weights.h5")
    zoo.write_entry(zoo_folder / "tiny", a_manifest(), half)
    model = zoo.load("tiny").model
    np.testing.assert_array_equal(model(ONES), [[4.5, 5.5]])
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}


def test_an_entry_in_place_is_hashed_anew(zoo_folder, a_manifest, tiny_weights):
    inside = zoo_folder / "tiny" / "tiny.weights.h5"
    inside.parent.mkdir()
    tiny_weights.rename(inside)
    written = zoo.write_entry(inside.parent, a_manifest(), inside)
    assert zoo_manifest.read(inside.parent / "manifest.json") == written
    assert zoo.load("tiny").manifest == written


def test_a_bad_manifest_leaves_the_entry_untouched(zoo_folder, a_manifest, tiny_weights):
    with pytest.raises(WeightsError, match="'threshold' must be a number from 0 to 1, and is 2"):
        zoo.write_entry(zoo_folder / "tiny", a_manifest(threshold=2), tiny_weights)
    assert not (zoo_folder / "tiny").exists()


def test_a_checkpoint_loads_without_an_entry(zoo_folder, tiny_weights):
    loaded = zoo.load("tiny", tiny_weights)
    np.testing.assert_array_equal(loaded.model(ONES), [[4.5, 5.5]])
    assert (loaded.manifest, loaded.threshold, loaded.spec.um_per_px) == (None, None, 0.25)


def test_a_checkpoint_of_a_compiled_model_loads(zoo_folder, tiny, tmp_path):
    model = tiny.build("tiny")
    model.compile("adam", "mse")
    model.fit(ONES, ONES, verbose=0)
    model.save_weights(tmp_path / "c.weights.h5")
    np.testing.assert_allclose(zoo.load("tiny", tmp_path / "c.weights.h5").model(ONES), model(ONES))


def test_a_run_beside_a_checkpoint_tells_settings_and_threshold(zoo_folder, tiny, tmp_path):
    path = tmp_path / "wide.weights.h5"
    tiny.build("tiny", units=3).save_weights(path)
    assert failure("tiny", path) == (
        f"The weights {path} are not of 'tiny', which has 6 parameters. They hold 9 parameters, which no architecture "
        "of mitozoo has by default. Name the model that they were trained for."
    )
    run = {"model": "tiny", "settings": {"units": 3}, "classes": ["a", "b", "c"], "threshold": 0.75, "seed": 1}
    (tmp_path / "run.json").write_text(json.dumps(run))
    loaded = zoo.load("tiny", path)
    assert loaded.model(ONES).shape == (1, 3)
    assert (loaded.threshold, loaded.spec.settings) == (0.75, {"units": 3})
    assert loaded.spec.classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"model": "tiny-deep"}', None),
        ("[]", "is not a JSON object. Mend it or move it away."),
        ('{"threshold": "high"}', "has a 'threshold' that makes no sense. Mend it or move it away."),
        ("{", "cannot be read (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)). "
              "Mend it or move it away."),
    ],
)  # fmt: skip
def test_a_run_that_does_not_fit(zoo_folder, tiny_weights, text, problem):
    run = tiny_weights.parent / "run.json"
    run.write_text(text)
    other = (
        f"The weights {tiny_weights} are of 'tiny-deep', not of 'tiny', as run.json beside them says. "
        "Name the model that they were trained for."
    )
    assert failure("tiny", tiny_weights) == (f"{run} beside the weights {problem}" if problem else other)


@pytest.mark.parametrize(("asked", "made"), [("tiny", "tiny-deep"), ("tiny-deep", "tiny")])
def test_weights_of_another_architecture_name_both(zoo_folder, tiny, tmp_path, asked, made):
    path = tmp_path / "other.weights.h5"
    tiny.build(made).save_weights(path)
    assert failure(asked, path) == (
        f"The weights {path} are not of {asked!r}, which has {tiny.spec(asked).params} parameters. "
        f"They look like those of {made!r}. Name the model that they were trained for."
    )


def test_nan_in_the_weights(zoo_folder, tiny, tmp_path):
    import h5py

    model = tiny.build("tiny")
    model.set_weights([np.array([[1.0, np.nan], [0.0, 0.0]]), np.zeros(2)])
    path = tmp_path / "nan.weights.h5"
    model.save_weights(path)
    with h5py.File(path) as file:
        assert np.isnan(file["layers/dense/vars/0"][0, 1])
    text = re.sub(r"\(in dense[^/]*/kernel\)", "(in KERNEL)", failure("tiny", path))
    assert text == (
        f"The weights {path} hold NaN or infinity (in KERNEL): their training failed. "
        "Take an earlier checkpoint, or train again with a lower learning rate."
    )


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_never_run(zoo_folder, tiny, tmp_path):
    path = tmp_path / "evil.weights.h5"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    assert failure("tiny", path) == (
        f"{path} does not hold weights: it is a Python pickle, which could run any program. {HINT}"
    )
    assert not (tmp_path / "ran").exists()


def test_other_files_are_refused(zoo_folder, tiny, tiny_weights, tmp_path):
    import h5py

    zipped, text, empty = (tmp_path / f"{name}.weights.h5" for name in ("zip", "text", "empty"))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a", "b")
    text.write_text("version https://example.org")
    empty.touch()
    assert failure("tiny", zipped) == (
        f"{zipped} does not hold weights: it is a zip archive (a .keras or .pt file). {HINT}"
    )
    assert failure("tiny", text) == f"{text} does not hold weights: it is not HDF5. {HINT}"
    assert failure("tiny", empty) == f"{empty} does not hold weights: it is empty. {HINT}"
    assert failure("tiny", tmp_path / "no") == f"There are no weights at {tmp_path / 'no'}. {HINT}"
    bare = tmp_path / "bare.weights.h5"
    with h5py.File(bare, "w") as file:
        file["table"] = [1, 2]
    assert failure("tiny", bare) == f"{bare} is HDF5 without Keras weights in it. {HINT}"
    old = tmp_path / "old.weights.h5"
    with h5py.File(old, "w") as file:
        file.create_group("model_weights")
    assert failure("tiny", old) == (
        f"{old} is of the old Keras format. Save it again with model.save_weights('….weights.h5')."
    )
    named = tiny_weights.rename(tmp_path / "best.h5")
    assert failure("tiny", named) == f"Keras loads weights by their name only: rename {named} to end with .weights.h5."


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused(zoo_folder, tiny_weights, share):
    whole = tiny_weights.read_bytes()
    tiny_weights.write_bytes(whole[: int(len(whole) * share)])
    assert failure("tiny", tiny_weights) == (
        f"The weights {tiny_weights} are truncated or damaged. Fetch or train them again."
    )
