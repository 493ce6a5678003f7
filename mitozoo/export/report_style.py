"""The look of `report.html`: one style sheet inside the page, no font, script or picture from elsewhere."""

from __future__ import annotations

from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE
from mitozoo.export.colours import COLOURS, LOOK_AGAIN_COLOUR


def _css_colour(rgb: tuple[int, int, int]) -> str:
    return "#" + bytes(rgb).hex()


STYLE = (
    (
        """
:root { color-scheme: light; --ink: #22252b; --soft: #6a7180; --line: #dfe2e8; --paper: #fff; --wash: #f5f6f8;
  --mitotic: MITOTIC; --atypical: ATYPICAL; --doubtful: DOUBTFUL; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; font-weight: 650; }
h2 { font-size: 18px; margin: 40px 0 10px; font-weight: 650; }
h3 { font-size: 16px; margin: 0 0 2px; font-weight: 650; overflow-wrap: anywhere; }
p { margin: 4px 0; }
.soft { color: var(--soft); }
.notice { display: inline-block; margin: 14px 0 0; padding: 6px 12px; border-left: 3px solid #c77700;
  background: #fff6e5; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 22px 0 0; }
.tile, .card { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
.tile { padding: 12px 16px; }
.tile b { display: block; font-size: 26px; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 8px 12px; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-size: 12.5px; font-weight: 600; color: var(--soft); background: var(--wash); vertical-align: bottom; }
tr:last-child td { border-bottom: 0; }
th.text, td.text { text-align: left; overflow-wrap: anywhere; }
td { white-space: nowrap; }
td.text { min-width: 160px; white-space: normal; }
.scroll + p { margin-top: 12px; }
a { color: inherit; text-decoration-color: #a9b0bd; text-underline-offset: 2px; }
.failed { color: #a4161a; }
.card { padding: 18px 20px; margin: 0 0 16px; }
.image { display: flex; flex-wrap: wrap; gap: 20px; margin-top: 12px; align-items: flex-start; }
.image > img { max-width: 100%; border-radius: 4px; }
.crops { flex: 1 1 420px; display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 10px; }
figure { margin: 0; font-size: 12.5px; line-height: 1.35; font-variant-numeric: tabular-nums; }
figure img { display: block; width: 100%; max-width: 128px; height: auto; box-sizing: content-box; border-radius: 4px;
  border-bottom: 4px solid var(--mitotic); background: var(--wash); }
figure.atypical img { border-bottom-color: var(--atypical); }
figure.doubtful img { border-bottom-color: var(--doubtful); }
figcaption .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
figcaption span { display: block; color: var(--soft); }
.key::before { content: ""; display: inline-block; width: 18px; height: 4px; margin: 0 6px 4px 0;
  background: var(--mitotic); }
.key.atypical::before { background: var(--atypical); }
.key.doubtful::before { background: var(--doubtful); }
.key { margin-right: 18px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 20px; margin: 0; font-size: 13.5px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 600px) { main { padding: 20px 12px; } dl { grid-template-columns: 1fr; } dd { margin-bottom: 6px; } }
@media print { body { background: #fff; } main { max-width: none; padding: 0; } .card, figure { break-inside: avoid; } }
"""
    )
    .replace("MITOTIC;", _css_colour(COLOURS[MITOTIC_FIGURE]) + ";")
    .replace("DOUBTFUL;", _css_colour(LOOK_AGAIN_COLOUR) + ";")
    .replace("ATYPICAL;", _css_colour(COLOURS[ATYPICAL]) + ";")
)
