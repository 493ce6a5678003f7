"""Waiting, batches, limits: with a model that a test can hold back."""

import asyncio
import threading

import numpy as np
import pytest

from mitozoo.serving.engine import Engine, Limits
from mitozoo.serving.metrics import Metrics
from mitozoo.serving.signature import Signature, TensorForm
from mitozoo.serving.status import Code, Refused, graph_message, invalid

NUMBERS = TensorForm("x", np.dtype(np.float32), (None,))
DOUBLE = Signature("double", {"x": NUMBERS}, {"y": NUMBERS})


class Model:
    """Doubles numbers; refuses those below 0. Nothing runs while `gate` is closed."""

    name, version = "double", 1

    def __init__(self):
        self.gate, self.batches = threading.Event(), []
        self.entered = threading.Semaphore(0)

    def run(self, signature, inputs):
        self.entered.release()
        assert self.gate.wait(20)
        self.batches.append(inputs["x"].tolist())
        if (inputs["x"] < 0).any():
            raise invalid("a number is below 0")
        return {"y": inputs["x"] * 2}


def numbers(*values):
    return {"x": np.array(values, np.float32)}


async def entered(model):
    await asyncio.to_thread(model.entered.acquire, timeout=20)


async def answers(model, requests, *, limits):
    """The first request holds the only worker until all others wait. Returns: answers and errors in order."""
    engine = Engine(limits, Metrics())
    first = asyncio.create_task(engine.run(model, DOUBLE, requests[0]))
    await entered(model)
    others = [asyncio.create_task(engine.run(model, DOUBLE, inputs)) for inputs in requests[1:]]
    await asyncio.sleep(0)
    model.gate.set()
    found = await asyncio.gather(first, *others, return_exceptions=True)
    await engine.finished()
    return [str(item) if isinstance(item, Exception) else item["y"].tolist() for item in found]


def test_requests_that_wait_are_run_together():
    model = Model()
    found = asyncio.run(answers(model, [numbers(1), numbers(2), numbers(3, 4), numbers(5)], limits=Limits(workers=1)))
    assert found == [[2], [4], [6, 8], [10]]
    assert model.batches == [[1], [2, 3, 4, 5]]


def test_a_batch_holds_eight_items_at_most():
    model = Model()
    requests = [numbers(0), numbers(*range(5)), numbers(*range(5)), numbers(1, 2, 3)]
    assert len(asyncio.run(answers(model, requests, limits=Limits(workers=1)))) == 4
    assert [len(batch) for batch in model.batches] == [1, 8, 5]


def test_without_batching_each_is_run_alone():
    model = Model()
    limits = Limits(workers=1, batching=False)
    assert asyncio.run(answers(model, [numbers(1), numbers(2), numbers(3)], limits=limits)) == [[2], [4], [6]]
    assert model.batches == [[1], [2], [3]]


def test_a_bad_request_fails_alone_and_its_item_is_named():
    model = Model()
    requests = [numbers(1), numbers(2), numbers(3, -4), numbers(5)]
    found = asyncio.run(answers(model, requests, limits=Limits(workers=1)))
    assert found == [[2], [4], "x[1]: a number is below 0", [10]]


def test_a_fault_of_the_server_is_no_fault_of_the_request(caplog):
    class Broken(Model):
        def run(self, signature, inputs):
            self.entered.release()
            raise ZeroDivisionError

    found = asyncio.run(answers(Broken(), [numbers(1)], limits=Limits(workers=1)))
    assert found == ["double failed (ZeroDivisionError); see the log."]
    assert "double 1 failed" in caplog.text


def test_places_are_limited():
    async def run():
        engine = Engine(Limits(queue=1, workers=1), Metrics())
        async with engine.slot(), engine.slot():
            with pytest.raises(Refused) as caught:
                async with engine.slot():
                    pass
        async with engine.slot():
            return caught.value

    error = asyncio.run(run())
    assert error.code is Code.UNAVAILABLE and error.code.value == 503
    assert str(error) == "The server is busy: 1 requests wait. Try again later."


def test_who_waits_too_long_or_hangs_up_gives_the_place_free():
    async def run():
        model, engine = Model(), Engine(Limits(workers=1, timeout_s=0.05), Metrics())

        async def ask(value):
            async with engine.slot():
                return await engine.run(model, DOUBLE, numbers(value))

        running = asyncio.create_task(engine.run(model, DOUBLE, numbers(1)))
        await entered(model)
        with pytest.raises(Refused) as late:
            await ask(2)
        gone = asyncio.create_task(ask(3))
        await asyncio.sleep(0.01)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        model.gate.set()
        await running
        await engine.finished()
        return late.value, model.batches

    error, batches = asyncio.run(run())
    assert error.code is Code.DEADLINE_EXCEEDED and error.code.value == 504
    assert str(error) == "No answer within 0.05 s. Send smaller images, or raise --timeout-s."
    assert batches == [[1]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "Graph execution error:\n\nDetected at node while/Assert defined at (most recent call last):\n"
            "<stack traces unavailable>\nassertion failed: [image_bytes[0] is empty (0 bytes).]\n"
            "\t [[{{node while/Assert/Assert}}]] [Op:__inference_1]",
            "image_bytes[0] is empty (0 bytes).",
        ),
        ("Invalid PNG data, size 173\n\t [[{{node a}}]] [Op:b]", "Invalid PNG data, size 173"),
        ("two\nlines\x00", "two lines"),
    ],
)
def test_the_message_of_a_graph(text, wanted):
    assert graph_message(text) == wanted
