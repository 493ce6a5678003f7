"""Models without memory: of the paper's widths one fills gigabytes."""

import contextlib

import keras

from mitozoo.models import registry


@contextlib.contextmanager
def no_memory():
    """Within this, variables have shapes but no values."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    # What was never initialised would be, at the next chance, all at once.
    keras.utils.clear_session(free_memory=False)


def parameters(name, **settings):
    """Numbers in the weights of a model that is not built for real."""
    with no_memory():
        return registry.build(name, **settings).count_params()
