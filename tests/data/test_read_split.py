"""Splits by case."""

import json

import pytest

from mitozoo.base.errors import DataError
from mitozoo.data.split import read_split


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_parts_by_name(tmp_path):
    path = write(tmp_path / "split.json", {"parts": {"train": ["a", "b"], "test": ["c"], "validation": []}})
    assert read_split(path) == {"train": ("a", "b"), "test": ("c",), "validation": ()}


def test_a_case_in_two_parts_is_refused(tmp_path):
    path = write(tmp_path / "split.json", {"parts": {"train": ["a", "b"], "test": ["b"]}})
    with pytest.raises(DataError) as error:
        read_split(path)
    assert str(error.value) == f"{path}: case 'b' is in 'train' and in 'test'. Leave it in one part."


@pytest.mark.parametrize("content", [[], {}, {"parts": {}}, {"parts": {"train": "a"}}, {"parts": {"train": [1]}}])
def test_what_is_no_split(tmp_path, content):
    with pytest.raises(DataError, match="is not a split. It should hold"):
        read_split(write(tmp_path / "split.json", content))


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read as a split"):
        read_split(tmp_path / "none.json")
