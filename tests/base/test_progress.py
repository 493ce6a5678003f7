"""Progress bars speak to people only."""

import io
import sys

from mitozoo.base.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream, monkeypatch, **settings):
    monkeypatch.setattr(sys, "stderr", stream)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar("Reading", 4, **settings) as tell:
        tell(1, "")
        tell(4, "the last")
    return stream.getvalue()


def test_silent_where_nobody_watches(monkeypatch):
    assert shown(io.StringIO(), monkeypatch).strip() == ""


def test_silent_when_asked(monkeypatch):
    assert shown(Terminal(), monkeypatch, quiet=True).strip() == ""


def test_a_terminal_sees_title_count_and_note(monkeypatch):
    text = shown(Terminal(), monkeypatch)
    assert "Reading" in text and "4/4" in text and "the last" in text
