"""Which versions a folder asks for, and what comes and goes while a server runs; nothing is really loaded."""

import asyncio
import shutil
from types import SimpleNamespace

import pytest

from mitozoo.base.errors import InputError
from mitozoo.serving.status import Code, Refused
from mitozoo.serving.versions import Asked, Versions
from mitozoo.serving.wanted import wanted_models

CONFIG = """
model_config_list {{
  config {{ name: "red" base_path: "/models/red" model_platform: "tensorflow" {} }}
}}
"""


def put(folder, name, version, whole=True):
    place = folder / name / str(version)
    (place / "variables").mkdir(parents=True)
    (place / "saved_model.pb").write_bytes(b"graph")
    if whole:
        (place / "variables" / "variables.index").write_bytes(b"")
    return place


def load(name, version, folder):
    if (folder / "bad").exists():
        raise Refused(Code.UNAVAILABLE, f"{name} {version} cannot be loaded: bad")
    return SimpleNamespace(name=name, version=version)


def states(versions, name="red"):
    return {version: slot.state for version, slot in versions.states(Asked(name))}


def test_all_that_is_there_without_a_config(tmp_path):
    put(tmp_path, "red", 2)
    put(tmp_path, "red", 10)
    put(tmp_path, "blue", 1)
    put(tmp_path, "half", 1, whole=False)
    (tmp_path / "notes").mkdir()
    assert {name: model.versions for name, model in wanted_models(tmp_path).items()} == {"red": (2, 10), "blue": (1,)}


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("model_version_policy { all {} }", (1, 2, 3)),
        ("model_version_policy { latest { num_versions: 2 } }", (2, 3)),
        ("model_version_policy { specific { versions: 1 versions: 3 versions: 9 } }", (1, 3)),
        ("", (3,)),
    ],
)
def test_what_a_config_chooses(tmp_path, policy, versions):
    for number in (1, 2, 3):
        put(tmp_path, "red", number)
    put(tmp_path, "blue", 1)
    (tmp_path / "models.config").write_text(CONFIG.format(policy))
    assert {name: model.versions for name, model in wanted_models(tmp_path).items()} == {"red": versions}


def test_a_folder_or_config_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError) as caught:
        wanted_models(tmp_path / "none")
    place = tmp_path / "none"
    assert str(caught.value) == (
        f"No such folder: {place}. Export a model into it with: mitozoo export scout --out {place}"
    )
    (tmp_path / "models.config").write_text("model_config_list {")
    with pytest.raises(InputError, match="cannot be read: .* Export a model again, which writes it anew."):
        wanted_models(tmp_path)


def test_versions_come_and_go(tmp_path):
    put(tmp_path, "red", 1)
    versions = Versions(tmp_path, load)
    asyncio.run(versions.refresh())
    first = versions.find(Asked("red"))
    assert first.version == 1
    put(tmp_path, "red", 2)
    asyncio.run(versions.refresh())
    assert versions.find(Asked("red")).version == 2
    assert versions.find(Asked("red", 1)) is first
    assert states(versions) == {2: "AVAILABLE", 1: "AVAILABLE"}
    shutil.rmtree(tmp_path / "red" / "2")
    asyncio.run(versions.refresh())
    assert versions.find(Asked("red")) is first
    assert states(versions) == {2: "END", 1: "AVAILABLE"}
    shutil.rmtree(tmp_path / "red")
    asyncio.run(versions.refresh())
    assert versions.available() == {}


def test_a_version_that_cannot_be_loaded_is_tried_again_once_it_changes(tmp_path):
    put(tmp_path, "red", 1)
    bad = put(tmp_path, "red", 2) / "bad"
    bad.touch()
    tries = []

    def counted(name, version, folder):
        tries.append(version)
        return load(name, version, folder)

    versions = Versions(tmp_path, counted)
    asyncio.run(versions.refresh())
    asyncio.run(versions.refresh())
    assert tries == [1, 2]
    assert versions.find(Asked("red")).version == 1
    assert versions.errors() == ["red 2 cannot be loaded: bad"]
    bad.unlink()
    asyncio.run(versions.refresh())
    assert versions.find(Asked("red")).version == 2 and versions.errors() == []


def test_labels(tmp_path):
    put(tmp_path, "red", 1)
    put(tmp_path, "red", 2)
    policy = 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }'
    (tmp_path / "models.config").write_text(CONFIG.format(policy))
    versions = Versions(tmp_path, load)
    asyncio.run(versions.refresh())
    assert versions.find(Asked("red", label="stable")).version == 1
    with pytest.raises(Refused, match="Unrecognized servable version label: canary") as caught:
        versions.find(Asked("red", label="canary"))
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (Asked("blue"), "Servable not found for request: Latest(blue)"),
        (Asked("red", 7), "Servable not found for request: Specific(red, 7)"),
        (Asked("blue", label="stable"), "Servable not found for request: Latest(blue)"),
    ],
)
def test_what_is_not_served(tmp_path, asked, text):
    put(tmp_path, "red", 1)
    versions = Versions(tmp_path, load)
    asyncio.run(versions.refresh())
    with pytest.raises(Refused) as caught:
        versions.find(asked)
    assert (str(caught.value), caught.value.code) == (text, Code.NOT_FOUND)


def test_the_watch_goes_on_after_an_error(tmp_path, caplog):
    put(tmp_path, "red", 1)

    async def run():
        versions = Versions(tmp_path, load)
        await versions.refresh()
        (tmp_path / "models.config").write_text("{")
        watch = asyncio.create_task(versions.watch(0.01))
        await asyncio.sleep(0.1)
        assert versions.find(Asked("red")).version == 1
        (tmp_path / "models.config").unlink()
        put(tmp_path, "red", 2)
        for _ in range(200):
            await asyncio.sleep(0.01)
            if len(versions.available()["red"]) == 2:
                break
        watch.cancel()
        return versions.available()

    assert asyncio.run(run()) == {"red": [2, 1]}
    assert "models.config cannot be read" in caplog.text
