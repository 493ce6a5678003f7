import pytest

from mitozoo.base.errors import InputError, RecipeError
from mitozoo.inference.memory import largest_image_px, limit_gpus


@pytest.mark.parametrize(("limit_mb", "pixels"), [(928, 1_000_000), (1180, 10_000_000), (3700, 100_000_000)])
def test_largest_image(limit_mb, pixels):
    assert largest_image_px(limit_mb) == pixels


@pytest.mark.parametrize("limit_mb", [-1, 0, 927.9, float("inf")])
def test_limits_that_cannot_work(limit_mb):
    with pytest.raises(InputError) as caught:
        largest_image_px(limit_mb)
    assert str(caught.value) == f"--limit-memory {limit_mb:g} is not enough: the least that works is 928 MB."


@pytest.fixture
def two_gpus(monkeypatch):
    """What TensorFlow would do with two GPUs, of which "used" may be in use."""
    import tensorflow as tf

    limits, used = {}, []

    def configure(gpu, wanted):
        if gpu in used:
            raise RuntimeError("Virtual devices cannot be modified after being initialized")
        limits[gpu] = wanted

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a", "b"] if kind == "GPU" else [])
    monkeypatch.setattr(tf.config, "get_logical_device_configuration", limits.get)
    monkeypatch.setattr(tf.config, "set_logical_device_configuration", configure)
    return limits, used


def test_every_gpu_gets_the_limit(two_gpus):
    limits, used = two_gpus
    limit_gpus(2000)
    used += ["a", "b"]
    limit_gpus(2000)
    assert {gpu: [item.memory_limit for item in wanted] for gpu, wanted in limits.items()} == {"a": [2000], "b": [2000]}


def test_another_limit_comes_too_late(two_gpus):
    two_gpus[1].append("b")
    with pytest.raises(RecipeError) as caught:
        limit_gpus(950)
    assert str(caught.value) == (
        "--limit-memory 950 comes too late: TensorFlow uses the GPU already. Start Python again and give the limit at "
        "once."
    )


def test_without_a_gpu_nothing_happens():
    limit_gpus(950)
