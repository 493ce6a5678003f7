"""The report, parsed: self-contained, escaped, complete."""

import base64
import dataclasses
from html.parser import HTMLParser

import pytest

from mitozoo.export.report import ReportEntry, report_html
from mitozoo.export.summary import summarise

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._open, self.balanced = [], [], [], True
        self.feed(text)
        self.balanced &= not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        self.balanced &= bool(self._open) and self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def entries(result, failed):
    return [ReportEntry(summarise(result), (b"one", b"two", b"three"), b"whole"), ReportEntry(summarise(failed))]


def test_it_is_whole_and_needs_nothing_from_elsewhere(entries):
    text = report_html(entries, {"model": "stn"})
    page = Page(text)
    assert page.balanced
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    sources = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(sources) == 4 and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert all(attrs["loading"] == "lazy" and attrs["alt"] for tag, attrs in page.tags if tag == "img")
    assert "http" not in text and "url(" not in text and "@import" not in text
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    ids = {attrs.get("id") for _, attrs in page.tags}
    assert links and all(link[1:] in ids for link in links)


def test_pictures_go_by_falling_score(result):
    shuffled = dataclasses.replace(result, detections=result.detections[::-1])
    text = report_html([ReportEntry(summarise(shuffled), (b"low", b"middle", b"high"))], {})
    places = [text.index(base64.b64encode(name).decode()) for name in (b"high", b"middle", b"low")]
    assert places == sorted(places)


def test_it_says_what_a_pathologist_needs(entries):
    words = Page(report_html(entries, {"model": "stn", "threshold": 0.48, "weights": {"sha256": "abc"}})).words
    for part in (
        "Research tool, not a medical device.",
        "Model stn, threshold 0.48",
        "0.55 mm",
        "Elston & Ellis",
        "broken.tif",
        "The file ends early. Copy it again.",
        "156.25",
        "weights.sha256 abc",
        "3 mitotic figures, 1 of these atypical",
        "atypical 0.75",
        "1 could not be searched",
    ):
        assert part in words


def test_assumed_spacing_is_marked(result):
    plain = Page(report_html([ReportEntry(summarise(result))], {})).words
    assumed = dataclasses.replace(result, spacing_source="assumed")
    marked = Page(report_html([ReportEntry(summarise(assumed))], {})).words
    assert "0.2500*" in marked and "rests on a guess" in marked
    assert "0.2500*" not in plain and "rests on a guess" not in plain


def test_names_notes_reasons_and_settings_are_escaped(result, failed):
    evil = '<script>alert("1")</script>&.png'
    entries = [
        ReportEntry(summarise(dataclasses.replace(result, name=evil, notes=(evil,))), (b"a", b"b", b"c"), b"o"),
        ReportEntry(summarise(dataclasses.replace(failed, name=evil, status=evil))),
    ]
    text = report_html(entries, {"model": evil, evil: evil})
    page = Page(text)
    assert "<script" not in text
    assert page.balanced and "script" not in {tag for tag, _ in page.tags}
    assert page.words.count(evil) >= 7


def test_a_model_that_tells_no_atypical_has_a_dash_not_a_nought(result):
    bare = tuple(dataclasses.replace(item, label="mitotic_figure", atypical_score=None) for item in result.detections)
    text = report_html([ReportEntry(summarise(dataclasses.replace(result, detections=bare)))], {})
    assert "<td>3</td><td>–</td>" in text
    assert "<td>3</td><td>1</td>" in report_html([ReportEntry(summarise(result))], {})


def test_nothing_searched_still_gives_a_page(failed):
    page = Page(report_html([ReportEntry(summarise(failed))], {}))
    assert page.balanced
    assert "0 images searched" in page.words
    assert Page(report_html([], {})).balanced
