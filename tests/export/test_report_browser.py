"""`report.html` of a slide in a real browser: every picture is displayed, and nothing is asked of the network."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image as PillowImage
from slide_files import Oracle, put, tissue, write_slide

from mitozoo.export.folder import OutputFolder
from mitozoo.inference.slide_search import search_slide

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in _NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome was found: apt-get install chromium")
WIDTH_PX, HEIGHT_PX = 1200, 1600
#: Mitotic figures, one of them (the last) by itself, far from the hotspot's others.
PLACES = [(1200, 900), (1300, 1000), (1250, 1100), (1400, 950), (2600, 2100)]
#: Put into a copy of the page: says what is displayed, once everything is loaded, and what was fetched.
PROBE = """<script>
const images = [...document.images];
for (const image of images) image.loading = "eager";
addEventListener("load", () => {
  const said = images.map(i => [i.naturalWidth, i.naturalHeight, i.width, i.closest(".crops") ? 1 : 0].join(","));
  const fetched = performance.getEntriesByType("resource").map(e => e.name).filter(name => !name.startsWith("data:"));
  const box = images[0].getBoundingClientRect();
  document.documentElement.dataset.images = said.join(" ");
  document.documentElement.dataset.fetched = fetched.join(" ");
  document.documentElement.dataset.overview = [box.left + scrollX, box.top + scrollY, box.width, box.height].join(",");
});
</script>"""


def browse(page, folder, *options):
    """Run the browser on a page; it can reach nothing: every host name leads nowhere."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
        f"--window-size={WIDTH_PX},{HEIGHT_PX}", "--virtual-time-budget=10000", *options, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What the browser says of the page (attributes of its root) and what it looks like, uint8 (h, w, 3)."""
    folder = tmp_path_factory.mktemp("report")
    pixels = tissue(3000, 3600, (600, 500, 3000, 2500))
    for x, y in PLACES:
        put(pixels, x, y)
    path = write_slide(folder / "slide.tif", pixels, levels=(4,))
    result, view = search_slide(Oracle(), "slide.tif", path)
    out = OutputFolder(folder / "found", hotspot_mm2=0.02)
    out.add_view(result, view)
    out.finish({"model": "oracle", "threshold": 0.5})
    page = folder / "probed.html"
    text = (folder / "found" / "report.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    dom = browse(page, folder, "--dump-dom")
    browse(page, folder, f"--screenshot={folder / 'shot.png'}")
    root = re.search(r"<html[^>]*>", dom)[0]
    said = dict(re.findall(r'data-(\w+)="([^"]*)"', root))
    with PillowImage.open(folder / "shot.png") as picture:
        return said, np.asarray(picture.convert("RGB"))


def test_every_picture_is_displayed(shown):
    images = [[float(value) for value in text.split(",")] for text in shown[0]["images"].split()]
    assert all(natural_width > 0 and natural_height > 0 for natural_width, natural_height, _, _ in images)
    gallery = [image for image in images if image[3]]
    assert len(images) - len(gallery) == 1, "one thumbnail of the slide"
    assert [image[:2] for image in gallery] == [[96, 96]] * len(PLACES)
    assert all(image[2] >= 96 for image in images)


def test_nothing_is_fetched(shown):
    assert shown[0]["fetched"] == ""


def test_the_screenshot_shows_tissue_outline_hotspot_and_figures(shown):
    said, picture = shown
    assert picture.shape == (HEIGHT_PX, WIDTH_PX, 3)
    left, top, width, height = (round(float(value)) for value in said["overview"].split(","))
    overview = picture[top : top + height, left : left + width].astype(int)
    assert min(overview.shape[:2]) > 150, "the thumbnail is on the first screen"
    scale = width / 3600
    red, green, blue = np.moveaxis(overview, -1, 0)
    # Tissue is pink, glass is grey.
    x, y = round(2000 * scale), round(2300 * scale)
    inside, outside = overview[y - 3 : y + 4, x - 3 : x + 4].mean((0, 1)), overview[3:10, 3:10].mean((0, 1))
    assert inside[0] - inside[1] > 40 and np.ptp(outside) < 12
    # A dark line runs along all four sides of the tissue (JPEG leaves little of its green).
    line = overview.max(axis=-1) < 140
    left, top, right, bottom = (round(value * scale) for value in (600, 500, 3000, 2500))
    rows, columns = slice(top + 10, bottom - 10), slice(left + 10, right - 10)
    assert line[rows, left - 4 : left + 5].any(axis=1).mean() > 0.9
    assert line[rows, right - 4 : right + 5].any(axis=1).mean() > 0.9
    assert line[top - 4 : top + 5, columns].any(axis=0).mean() > 0.9
    assert line[bottom - 4 : bottom + 5, columns].any(axis=0).mean() > 0.9
    # Within, the hotspot's black frame surrounds the four figures; a red ring surrounds every one.
    y_px, x_px = np.nonzero(overview[rows, columns].max(axis=-1) < 80)
    for values, low, high in ((x_px + columns.start, 1200, 1400), (y_px + rows.start, 900, 1100)):
        assert low * scale - 40 < values.min() < low * scale - 5
        assert high * scale + 5 < values.max() < high * scale + 40
    for x, y in PLACES:
        around = np.s_[round(y * scale) - 15 : round(y * scale) + 16, round(x * scale) - 15 : round(x * scale) + 16]
        assert ((red[around] > 200) & (green[around] < 80) & (blue[around] < 80)).sum() > 20
