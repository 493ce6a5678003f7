"""Cells near the threshold: which are kept, in which order, what the report and doubtful.csv say of them."""

import csv
import dataclasses
from html.parser import HTMLParser

import pytest

from mitozoo.base.points import ATYPICAL, Detection
from mitozoo.export.doubtful import Gallery
from mitozoo.export.folder import OutputFolder
from mitozoo.export.report import ReportEntry, report_html
from mitozoo.export.summary import summarise


@pytest.fixture
def near(result):
    """Threshold 0.5 (odds 1 : 1), doubtful from 1/3 (1 : 2), so that detections up to 2/3 (2 : 1) are near it."""
    counted = (Detection(50, 60, 0.9), Detection(70, 80, 2 / 3, ATYPICAL, 0.7), Detection(90, 100, 0.52))
    below = (Detection(110, 120, 0.49), Detection(130, 140, 1 / 3), Detection(150, 160, 0.33))
    return dataclasses.replace(result, detections=counted, below=below, threshold=0.5, look_again=1 / 3)


def scores(gallery):
    return [round(cell.detection.score, 3) for cell in gallery.cells]


def test_the_nearest_come_first_on_both_sides(near):
    gallery = Gallery()
    gallery.add(near, lambda item: str(item.x_px).encode())
    # Log odds: 0.49 -0.04, 0.52 +0.08, then twice and half the odds at equal distance, the first that came first.
    assert scores(gallery) == [0.49, 0.52, 0.667, 0.333]
    assert [cell.counts for cell in gallery.cells] == [False, True, True, False]
    assert (gallery.below, gallery.above, gallery.total) == (2, 2, 4)
    assert [cell.picture for cell in gallery.cells] == [b"110", b"90", b"70", b"130"]


def test_the_nearest_of_all_images_are_kept_and_the_rest_counted(near):
    gallery, asked = Gallery(most=2), []
    for name in ("a.png", "b.png", "c.png"):
        gallery.add(dataclasses.replace(near, name=name), lambda item: asked.append(item) or b"")
    assert [(cell.image, cell.detection.score) for cell in gallery.cells] == [("a.png", 0.49), ("b.png", 0.49)]
    assert gallery.total == 12
    assert len(asked) < 12  # no picture of what is not kept in any case


@pytest.mark.parametrize("changes", [{"look_again": 0.5}, {"look_again": None}, {"threshold": None}])
def test_nothing_is_near_where_nobody_said_how_near(near, changes):
    gallery = Gallery()
    gallery.add(dataclasses.replace(near, **changes))
    assert (gallery.total, gallery.cells) == (0, [])


class Figures(HTMLParser):
    """Classes of the figures under "Look again", and all words."""

    def __init__(self, text):
        super().__init__()
        self.classes, self.words, self.links = [], "", set()
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag, attrs):
        if tag == "figure":
            self.classes.append(dict(attrs).get("class"))
        if tag == "a":
            self.links.add(dict(attrs)["href"])

    def handle_data(self, data):
        self.words += data


def test_the_report_shows_them_before_the_detections(near):
    gallery = Gallery(most=3)
    gallery.add(near, lambda item: b"jpeg")
    run = {"threshold": 0.5, "look_again": 1 / 3}
    text = report_html([ReportEntry(summarise(near), (b"a", b"b", b"c"))], run, gallery=gallery)
    page = Figures(text)
    assert page.classes[:3] == ["doubtful", "counts", "atypical"]
    assert text.index('<h2 id="look-again">Look again</h2>') < text.index("<h2>Detections</h2>")
    assert "#look-again" in page.links
    assert (
        "4 cells have scores near the threshold, and here the nearest are first. 2 of them have a score of 0.333 up to "
        "the threshold of 0.500 and do not count; 2 have one as near above it and count. The nearest 3 are shown; "
        "doubtful.csv and detections.csv list all."
    ) in page.words
    assert "3 mitotic figures" in page.words
    plain = report_html([ReportEntry(summarise(near))], run, gallery=Gallery())
    assert "look-again" not in plain.replace("look_again", "")


def test_names_are_escaped(near):
    gallery = Gallery()
    evil = dataclasses.replace(near, name='<b>"x"</b>.png')
    gallery.add(evil, lambda item: b"jpeg")
    text = report_html([ReportEntry(summarise(evil))], {}, gallery=gallery)
    assert "<b>&quot;x" not in text and '<b>"x' not in text
    assert "score near the threshold of" not in text


def test_doubtful_cells_have_a_table_of_their_own_and_change_no_other(tmp_path, near, field):
    tables = {}
    for place, result in (("with", near), ("without", dataclasses.replace(near, look_again=0.5))):
        folder = OutputFolder(tmp_path / place, ["csv", "geojson", "overlay", "coco", "midog"])
        folder.check([near.name])
        folder.add(result, field)
        folder.finish({"versions": {}})
        tables[place] = {
            path.relative_to(tmp_path / place).as_posix(): path.read_bytes()
            for path in (tmp_path / place).rglob("*")
            if path.is_file()
        }
    doubtful = tables["with"].pop("doubtful.csv").decode().splitlines()
    nobody = tables["without"].pop("doubtful.csv").decode().splitlines()
    assert tables["with"] == tables["without"]
    assert nobody == doubtful[:1]
    rows = list(csv.DictReader(doubtful))
    assert [(row["image"], row["x_px"], row["y_px"], row["score"]) for row in rows] == [
        ("slides/A1.png", "110.00", "120.00", "0.4900"),
        ("slides/A1.png", "130.00", "140.00", "0.3333"),
    ]
