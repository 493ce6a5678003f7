"""The public names are few, and all of them work."""

import pytest

import mitozoo

PUBLIC = ["build", "evaluate", "export", "load", "predict"]


def test_the_public_names():
    assert mitozoo.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(mitozoo))


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError) as caught:
        mitozoo.biuld  # noqa: B018
    assert str(caught.value) == "module 'mitozoo' has no attribute 'biuld'"


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_a_documented_function(name):
    function = getattr(mitozoo, name)
    assert callable(function)
    assert function.__doc__
