"""The registry: names, specs and settings."""

import pkgutil
import subprocess
import sys

import pytest

from mitozoo.base.errors import UnknownNameError
from mitozoo.models import architectures, registry
from mitozoo.models.registry import ModelSpec


@pytest.fixture
def toy(monkeypatch):
    """A model named toy-net whose builder returns what it is given."""
    monkeypatch.setattr(registry, "_BUILDERS", {})
    spec = ModelSpec(
        name="toy-net", title="Toy", task="classify", input_px=2, outputs={"y": (1,)}, params=0, source="here",
        settings={"width": 4, "dropout": 0.5},
    )  # fmt: skip

    @registry.register(spec)
    def build(**settings):
        return settings

    return spec, build


def test_defaults_and_settings_reach_the_builder(toy):
    assert registry.build("toy-net") == {"width": 4, "dropout": 0.5}
    assert registry.build("toy-net", width=8) == {"width": 8, "dropout": 0.5}
    assert toy[0].settings["width"] == 4


def test_the_decorator_returns_the_builder(toy):
    assert toy[1](width=1) == {"width": 1}
    assert registry.spec("toy-net") is toy[0]


def test_an_unknown_setting_is_not_passed_on(toy):
    with pytest.raises(UnknownNameError) as error:
        registry.build("toy-net", widht=8)
    assert str(error.value) == "No setting of toy-net named 'widht'. Did you mean 'width'?"


def test_a_name_is_taken_once(toy):
    with pytest.raises(ValueError, match="A model named 'toy-net' is registered already."):
        registry.register(toy[0])(lambda: None)
    assert registry.build("toy-net") == {"width": 4, "dropout": 0.5}


def test_a_spec_cannot_be_changed_and_has_the_usual_spacing_and_classes(toy):
    with pytest.raises(AttributeError):
        toy[0].params = 1
    assert toy[0].um_per_px == 0.25
    assert toy[0].classes == ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")


def test_every_file_registers_its_own_name():
    files = sorted(module.name for module in pkgutil.iter_modules(architectures.__path__))
    assert [registry.spec(name).name.replace("-", "_") for name in registry.names()] == files


@pytest.mark.parametrize("name", ["", "../stn", "stn.py", "STN"])
def test_what_is_no_name(name):
    with pytest.raises(UnknownNameError, match="No model named "):
        registry.spec(name)


def test_names_come_without_keras():
    code = "import sys; from mitozoo.models import registry; registry.names(); print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
