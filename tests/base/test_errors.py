"""What an unknown name says."""

import inspect

from mitozoo.base import errors
from mitozoo.base.errors import MitozooError, UnknownNameError


def test_the_nearest_name_is_proposed():
    assert str(UnknownNameError("model", "snt", ["stn", "cnn12"])) == "No model named 'snt'. Did you mean 'stn'?"


def test_all_names_where_none_is_near():
    assert (
        str(UnknownNameError("model", "resnet", {"stn": 1, "cnn12": 2}))
        == "No model named 'resnet'. Known: cnn12, stn."
    )


def test_names_may_come_from_a_generator():
    assert str(UnknownNameError("model", "stn2", (name for name in ("stn",)))).endswith("Did you mean 'stn'?")


def test_every_error_is_caught_as_one():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert len(kinds) >= 8
    assert all(issubclass(kind, MitozooError) for kind in kinds)
