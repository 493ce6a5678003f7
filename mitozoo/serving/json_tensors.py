"""TensorFlow Serving's JSON: requests to tensors, and tensors to answers.

Rows: {"instances": [...]}, answered by {"predictions": [...]}. Columns: {"inputs": ...}, answered by {"outputs": ...}.
Bytes are {"b64": "..."}; of outputs, those whose name ends in `_bytes`.
Source: TensorFlow Serving, RESTful API, "Request format" and "Encoding binary values".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mitozoo.serving.signature import Signature, TensorForm, Tensors
from mitozoo.serving.status import Code, Refused, invalid, plain

_KEYS = {"instances", "inputs", "signature_name"}
#: Nested lists beyond this are no tensor.
_DEEPEST = 32


@dataclass(frozen=True)
class Parsed:
    """A request.

    Attributes: signature_name, "" for the default; by_rows, whether it came as "instances"; body, those or "inputs".
    """

    signature_name: str
    by_rows: bool
    body: Any


def parse(content: bytes) -> Parsed:
    """Read the body of a request. Raises: Refused where it is not such JSON."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {plain(str(error))}") from None
    if not isinstance(document, dict):
        raise invalid('The body must be a JSON object: {"instances": [...]} or {"inputs": ...}.')
    if ("instances" in document) == ("inputs" in document):
        given = "both" if "instances" in document else "neither"
        raise invalid(f"Send 'instances' (rows) or 'inputs' (columns): {given} of them is here.")
    if unknown := sorted(set(document) - _KEYS):
        raise invalid(f"Unknown key {plain(unknown[0])!r}. Keys of a request: {', '.join(sorted(_KEYS))}.")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("'signature_name' must be a string.")
    by_rows = "instances" in document
    if by_rows and (not isinstance(document["instances"], list) or not document["instances"]):
        raise invalid("'instances' must be a list of one item at least.")
    return Parsed(plain(name), by_rows, document["instances" if by_rows else "inputs"])


def tensors(parsed: Parsed, signature: Signature) -> Tensors:
    """The inputs that a request gives. Raises: Refused for values that are not of the signature's types."""
    return _rows(parsed.body, signature) if parsed.by_rows else _columns(parsed.body, signature)


def _rows(instances: list[Any], signature: Signature) -> Tensors:
    named = [_is_named(item) for item in instances]
    if not any(named):
        form = _only(signature, "'instances'")
        return {form.name: to_array(instances, form)}
    if not all(named):
        at = named.index(not named[0])
        raise invalid(f"instances[{at}] is not of the same kind as instances[0]. Name the inputs in all, or in none.")
    keys = list(instances[0])
    for number, item in enumerate(instances):
        if set(item) != set(keys):
            raise invalid(f"instances[{number}] has other keys than instances[0]: {plain(', '.join(map(str, item)))}.")
    return {key: to_array([item[key] for item in instances], _form(signature, key)) for key in keys}


def _columns(inputs: Any, signature: Signature) -> Tensors:
    if _is_named(inputs):
        if not inputs:
            raise invalid("'inputs' is empty. Name every input, or give the only one as it is.")
        return {key: to_array(value, _form(signature, key)) for key, value in inputs.items()}
    form = _only(signature, "'inputs'")
    return {form.name: to_array(inputs, form)}


def _is_named(item: Any) -> bool:
    return isinstance(item, dict) and set(item) != {"b64"}


def _only(signature: Signature, where: str) -> TensorForm:
    if len(signature.inputs) != 1:
        raise invalid(f"Signature {signature.name} has the inputs {', '.join(signature.inputs)}: name them in {where}.")
    return next(iter(signature.inputs.values()))


def _form(signature: Signature, key: str) -> TensorForm:
    if key not in signature.inputs:
        raise invalid(
            f"Signature {signature.name} has no input {plain(key)!r}. It takes: {', '.join(signature.inputs)}."
        )
    return signature.inputs[key]


def to_array(value: Any, form: TensorForm) -> np.ndarray:
    """A value of JSON as a tensor of a form's type. Raises: Refused for another type, or ragged lists."""
    if form.is_string:
        return _strings(value, form.name)
    try:
        array = np.array(value)
    except (ValueError, OverflowError, RecursionError):
        raise invalid(f"{form.name}: lists of different lengths are no tensor.") from None
    if array.dtype.kind not in _kinds(form.dtype) and array.size:
        raise invalid(f"{form.name} must hold {form.dtype.name} values alone.")
    if form.dtype.kind in "iu" and array.size:
        limits = np.iinfo(form.dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise invalid(f"{form.name} has values outside {limits.min} to {limits.max}.")
    with np.errstate(over="ignore"):
        return array.astype(form.dtype)


def _kinds(dtype: np.dtype) -> str:
    return {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}.get(dtype.kind, "")


def _strings(value: Any, name: str) -> np.ndarray:
    """Nested lists of strings and {"b64"} as an array of bytes."""
    leaves: list[bytes] = []
    shape = _walk(value, name, leaves, ())
    array = np.empty(len(leaves), object)
    array[:] = leaves
    return array.reshape(shape)


def _walk(value: Any, name: str, leaves: list[bytes], place: tuple[int, ...]) -> tuple[int, ...]:
    if not isinstance(value, list):
        leaves.append(_bytes(value, name + "".join(f"[{i}]" for i in place)))
        return ()
    if len(place) >= _DEEPEST:
        raise invalid(f"{name} is nested more than {_DEEPEST} deep.")
    shapes = {_walk(item, name, leaves, (*place, number)) for number, item in enumerate(value)}
    if len(shapes) > 1:
        raise invalid(f"{name}: lists of different lengths are no tensor.")
    return (len(value), *(shapes.pop() if shapes else ()))


def _bytes(value: Any, where: str) -> bytes:
    if isinstance(value, str):
        # A lone surrogate, which JSON can write, has no UTF-8.
        return value.encode("utf-8", "surrogatepass")
    text = value.get("b64") if isinstance(value, dict) and set(value) == {"b64"} else None
    if not isinstance(text, str):
        raise invalid(f'{where} must be a string, or bytes as {{"b64": "…"}}.')
    packed = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{where}: Unable to base64 decode.") from None


def answer(outputs: Mapping[str, np.ndarray], *, by_rows: bool) -> bytes:
    """The body of an answer. Raises: Refused for rows of outputs that have different numbers of them."""
    values = {name: _to_json(name, value) for name, value in sorted(outputs.items())}
    if by_rows:
        counts = {value.shape[0] if value.ndim else -1 for value in outputs.values()}
        if len(counts) != 1 or -1 in counts:
            raise Refused(Code.INVALID_ARGUMENT, "The outputs have no common batch dimension. Ask with 'inputs'.")
        names = list(values)
        rows = zip(*values.values(), strict=True)
        predictions = [row[0] if len(names) == 1 else dict(zip(names, row, strict=True)) for row in rows]
        document: dict[str, Any] = {"predictions": predictions}
    else:
        document = {"outputs": next(iter(values.values())) if len(values) == 1 else values}
    return json.dumps(document).encode()


def _to_json(name: str, value: np.ndarray) -> Any:
    if value.dtype.kind not in "OS":
        return value.tolist()

    def text(item: Any) -> Any:
        if isinstance(item, list):
            return [text(one) for one in item]
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(item).decode()}
        return item.decode("utf-8", "replace")

    return text(value.tolist())
