"""Splits that are made: every case whole, everything spread."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mitozoo.base.errors import DataError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.split import PARTS, PartCounts, make_split, parse_parts, read_split, write_split
from mitozoo.data.spread import spread

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


def field(case, mitotic=0, look_alikes=0, atypical=0, domain=""):
    labels = [MITOTIC_FIGURE] * mitotic + [NON_MITOTIC] * look_alikes + [ATYPICAL] * atypical
    return Field(Path(f"{case}.png"), case, tuple(Cell(i, 0, label) for i, label in enumerate(labels)), domain=domain)


def many(seed=0, cases=40):
    """Three domains; the number of mitotic figures differs by a factor of 30."""
    generator = np.random.default_rng(seed)
    fields = []
    for number in range(cases):
        for _ in range(generator.integers(1, 4)):
            amounts = (generator.geometric(0.05), generator.geometric(0.1), generator.integers(3))
            fields.append(field(f"case {number}", *map(int, amounts), domain="abc"[number % 3]))
    return Dataset("many", tuple(fields))


def test_parts():
    assert parse_parts(PARTS) == SHARES
    assert parse_parts(" a = 0.5 ,b=.5") == {"a": 0.5, "b": 0.5}
    assert parse_parts("a=0.1,b=0.2,c=0.7") == {"a": 0.1, "b": 0.2, "c": 0.7}  # their sum is not 1 in binary


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train=0.7,test=0.2", "--parts add up to 0.9, not to 1. Correct a share: train=0.7,test=0.2."),
        ("a=0.5,a=0.5", "--parts has 'a' twice. Name every part once."),
        ("a=1.5,b=-0.5", "--parts: the share of 'a' is 1.5. Give a number above 0 and up to 1."),
        ("a=1,b=0", "--parts: the share of 'b' is 0. Give a number above 0 and up to 1."),
        ("b=-0.5,a=1", "--parts: the share of 'b' is -0.5. Give a number above 0 and up to 1."),
        ("a=nan", "--parts: the share of 'a' is nan. Give a number above 0 and up to 1."),
        ("a=x", "--parts: the share of 'a' is 'x', not a number. Write it like 0.15."),
        ("0.5,0.5", f"--parts has '0.5'. Write a name and a share, like {PARTS}."),
        ("a=1,", f"--parts has ''. Write a name and a share, like {PARTS}."),
        ("=1", f"--parts has '=1'. Write a name and a share, like {PARTS}."),
    ],
)
def test_parts_that_make_no_sense(text, said):
    with pytest.raises(DataError) as error:
        parse_parts(text)
    assert str(error.value) == said


def test_every_case_is_in_one_part():
    data = many()
    parts = make_split([data], SHARES).parts
    assert sorted(case for cases in parts.values() for case in cases) == data.cases
    assert list(parts) == ["train", "validation", "test"]


def test_counts_are_those_of_the_parts():
    data = Dataset("d", (field("a", 2, 1, 1), field("a", 3), field("b", 0, 4)))
    split = make_split([data], {"x": 0.5, "y": 0.5})
    found = {cases: split.counts[part] for part, cases in split.parts.items()}
    # Five mitotic figures and an atypical one on the two images of "a".
    assert found == {("a",): PartCounts(1, 2, 6, 1, 1), ("b",): PartCounts(1, 1, 0, 0, 4)}


@pytest.mark.parametrize("seed", range(5))
def test_everything_is_spread(seed):
    split = make_split([many(seed)], SHARES, seed=seed)
    total = sum(split.counts.values(), PartCounts())
    for part, share in SHARES.items():
        for kind in ("images", "mitotic_figures", "look_alikes", "atypical"):
            assert getattr(split.counts[part], kind) / getattr(total, kind) == pytest.approx(share, abs=0.04), kind
        for number, whole in enumerate((14, 13, 13)):
            cases = [case for case in split.parts[part] if int(case.split()[1]) % 3 == number]
            assert abs(len(cases) - share * whole) < 1


def test_domains_are_spread_where_nothing_else_differs():
    data = Dataset("d", tuple(field(f"{domain}{i}", 1, domain=domain) for domain in "abc" for i in range(2)))
    for seed in range(5):
        parts = make_split([data], {"x": 0.5, "y": 0.5}, seed=seed).parts
        assert [sorted(case[0] for case in cases) for cases in parts.values()] == [["a", "b", "c"]] * 2


def test_same_seed_same_split_and_other_seeds_other_ones():
    data = many()
    assert make_split([data], SHARES, seed=3) == make_split([data], SHARES, seed=3)
    reordered = Dataset("many", tuple(reversed(data.fields)))
    assert make_split([reordered], SHARES, seed=3).parts == make_split([data], SHARES, seed=3).parts
    assert len({make_split([data], SHARES, seed=seed).parts["test"] for seed in range(5)}) > 1


def test_a_case_of_two_data_sets_stays_together():
    fields = [Dataset("one", (field("s1", 5), field("s2", 1))), Dataset("two", (field("s1", 0, 0, 3), field("s3", 4)))]
    split = make_split(fields, {"x": 0.5, "y": 0.5})
    assert split.data == ("one", "two") and split.shared == ("s1",)
    held = next(part for part, cases in split.parts.items() if "s1" in cases)
    assert sum(split.counts.values(), PartCounts()) == PartCounts(3, 4, 13, 3, 0)
    assert split.parts[held] == ("s1",) and split.counts[held] == PartCounts(1, 2, 8, 3, 0)


def test_fewer_cases_than_parts():
    with pytest.raises(DataError) as error:
        make_split([Dataset("d", (field("a", 1), field("b", 1)))], SHARES)
    assert str(error.value) == (
        "2 cases cannot be divided into 3 parts, since no case is ever divided. Ask for fewer with --parts, or give "
        "more data."
    )


def test_no_part_is_empty():
    data = Dataset("d", tuple(field(case, 100 if case == "a" else 0) for case in "abc"))
    for seed in range(5):
        assert all(make_split([data], {"x": 0.98, "y": 0.01, "z": 0.01}, seed=seed).parts.values())


def test_a_written_split_is_read_and_says_what_made_it(tmp_path):
    split = make_split([many()], SHARES, seed=4)
    write_split(split, tmp_path / "split.json", mitozoo="1")
    assert read_split(tmp_path / "split.json") == split.parts
    content = json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))
    assert (content["seed"], content["data"], content["mitozoo"]) == (4, ["many"], "1")
    assert content["shares"] == SHARES
    assert content["counts"]["test"] == vars(split.counts["test"])


def test_a_case_in_train_and_test_is_refused_when_a_split_is_read(tmp_path):
    write_split(make_split([many()], SHARES), tmp_path / "split.json")
    content = json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))
    leaked = content["parts"]["train"][0]
    content["parts"]["test"].append(leaked)
    (tmp_path / "split.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_split(tmp_path / "split.json")
    assert str(error.value) == (
        f"{tmp_path}/split.json: case {leaked!r} is in 'train' and in 'test'. Leave it in one part."
    )


def cost(amounts, shares, chosen):
    portions = amounts / amounts.sum(axis=0)
    return sum((portions[chosen == part].sum(axis=0) ** 2).sum() / share for part, share in enumerate(shares))


def test_spread_is_nearly_the_best_of_all_ways():
    shares = (0.5, 0.3, 0.2)
    generator = np.random.default_rng(0)
    for seed in range(5):
        amounts = generator.integers(0, 20, (7, 3)).astype(float)
        ways = (np.array(way) for way in product(range(3), repeat=7))
        every = sorted(cost(amounts, shares, way) for way in ways if len(set(way)) == 3)
        found = cost(amounts, shares, np.array(spread(amounts, shares, seed=seed, refine=True)))
        assert every[0] - 1e-9 <= found <= every[len(every) // 50]
        assert found <= cost(amounts, shares, np.array(spread(amounts, shares, seed=seed))) + 1e-9
