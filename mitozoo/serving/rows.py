"""Requests that are run together, and apart again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from mitozoo.serving.signature import Signature, Tensors, rows_of
from mitozoo.serving.status import Code, Refused

#: Runs a batch of inputs.
Run = Callable[[Tensors], Tensors]
Outcome = Tensors | Exception


def batch_key(signature: Signature, inputs: Tensors) -> tuple | None:
    """What requests must share to be run together; None for one that must be run alone."""
    rows = rows_of(inputs)
    if not signature.batches or any(value.shape[0] not in (1, rows) for value in inputs.values()):
        return None
    return tuple((name, value.dtype.str, value.shape[1:]) for name, value in sorted(inputs.items()))


def run_together(run: Run, requests: Sequence[Tensors], signature: Signature) -> list[Outcome]:
    """Run requests as one batch.

    One that is refused must not fail the others: then each is run alone, and an error speaks of its own request.
    """
    if len(requests) > 1:
        counts = [rows_of(inputs) for inputs in requests]
        try:
            return list(_split(run(_merged(requests, counts)), counts))
        except Refused as error:
            if error.code not in (Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED):
                raise
    return [_outcome(run, inputs, signature) for inputs in requests]


def _merged(requests: Sequence[Tensors], counts: Sequence[int]) -> Tensors:
    def filled(value: np.ndarray, count: int) -> np.ndarray:
        return value if len(value) == count else np.repeat(value, count, axis=0)

    names = requests[0]
    return {
        name: np.concatenate([filled(each[name], count) for each, count in zip(requests, counts, strict=True)])
        for name in names
    }


def _split(outputs: Tensors, counts: Sequence[int]) -> list[Tensors]:
    total = sum(counts)
    for name, value in outputs.items():
        if not value.ndim or value.shape[0] != total:
            raise Refused(Code.INVALID_ARGUMENT, f"Output {name} has no row for each item of the batch.")
    ends = np.cumsum(counts)
    return [
        {name: value[end - count : end] for name, value in outputs.items()}
        for end, count in zip(ends, counts, strict=True)
    ]


def _outcome(run: Run, inputs: Tensors, signature: Signature) -> Outcome:
    try:
        return run(inputs)
    except Refused as error:
        if error.code is Code.INVALID_ARGUMENT and rows_of(inputs) > 1 and not re.search(r"\[\d+\]", str(error)):
            return _named(run, inputs, signature, error)
        return error


def _named(run: Run, inputs: Tensors, signature: Signature, error: Refused) -> Refused:
    """The error with the number of the item that causes it, which decoders do not tell; as it is if none does alone."""
    if batch_key(signature, inputs) is None:
        return error
    count = rows_of(inputs)
    main = next(name for name, value in inputs.items() if len(value) == count)
    for number in range(count):
        try:
            run({name: value[number : number + 1] if len(value) == count else value for name, value in inputs.items()})
        except Refused as alone:
            return Refused(alone.code, f"{main}[{number}]: {alone}")
    return error
