#!/usr/bin/env python3
"""Draw the picture of README.md: a drawn field with the detections of the bundled weights.

python scripts/readme_picture.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2

import mitozoo
from mitozoo.base.files import write_bytes
from mitozoo.data.synthetic import write_sample

TARGET = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "overlay.png"
SEED, SIZE_PX = 3, (640, 960)


def main() -> None:
    """Draw."""
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder) / "fields", count=1, size_px=SIZE_PX, seed=SEED)
        mitozoo.predict(Path(folder) / "fields" / "field_0001.png", out=Path(folder) / "found")
        picture = cv2.imread(str(next((Path(folder) / "found").glob("*.overlay.png"))))
    ok, encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert ok
    write_bytes(TARGET, encoded.tobytes())
    print(TARGET)


if __name__ == "__main__":
    main()
