"""Patches and fields that tests draw: dark plates, violet nuclei, pink tissue, yellow paint."""

import cv2
import numpy as np

DARK, VIOLET = (55, 25, 90), (135, 95, 170)


def tissue(height, width, seed=0, colour=(222, 172, 203)):
    """Tissue with a nucleus in every square of 32 px, save in the middle of a patch, where there are four around."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 14, (height, width, 3)), (0, 0), 1.2)
    image = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    places = [(x, y) for x in range(16, width, 32) for y in range(16, height, 32)]
    if (height, width) == (128, 128):
        places = [(32, 32), (96, 32), (32, 96), (96, 96)]
    for x, y in places:
        at = (x + int(rng.integers(-2, 3)), y + int(rng.integers(-2, 3)))
        cv2.ellipse(image, at, (8, 6), float(rng.uniform(0, 180)), 0, 360, VIOLET, -1)
    return image


def patch(seed=0):
    """128 px with one plate in the middle."""
    image = tissue(128, 128, seed, colour=(215, 180, 190))
    cv2.ellipse(image, (64, 64), (13, 6), 37.0 * seed, 0, 360, DARK, -1)
    return cv2.GaussianBlur(image, (0, 0), 0.7)


def write_patches(folder, cases=("001.tiff", "002.tiff"), each=2):
    """AMi-Br patches."""
    rows = ["file,label,dataset,slide"]
    (folder / "patches").mkdir(parents=True)
    for number in range(each * len(cases)):
        name = f"p{number}.png"
        cv2.imwrite(str(folder / "patches" / name), patch(number)[..., ::-1])
        rows.append(f"{name},normal,MIDOG21,{cases[number % len(cases)]}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder


def write_painted(folder, names=("A00_00", "A01_00"), side=420, painted=((120, 130), (300, 280), (20, 200))):
    """Painted fields; the last painted cell lies at the side."""
    folder.mkdir(parents=True)
    rows = ["file,x,y,major_axis_px"]
    for seed, name in enumerate(names):
        image = tissue(side, side, 50 + seed)
        for x, y in painted:
            cv2.ellipse(image, (x, y), (13, 10), 0, 0, 360, (255, 255, 0), -1)
            rows.append(f"{name}.jpg,{x},{y},26")
        cv2.imwrite(str(folder / f"{name}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])
    (folder / "mitoses.csv").write_text("\n".join(rows) + "\n")
    return folder
