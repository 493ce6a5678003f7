"""Bytes of images in the graph: the same pixels as predict reads, and a reason for what is no image."""

import io

import numpy as np
import pytest
import tensorflow as tf
from painted import png_header
from PIL import Image as PillowImage

from mitozoo.data.images import read_image
from mitozoo.data.synthetic import draw_field
from mitozoo.export.serving.images import check_pixels, decoded

MOST_PX = 100_000


@tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string), tf.TensorSpec((), tf.int32)])
def decode(contents, index):
    return decoded(contents, index, MOST_PX)


def field():
    return draw_field(256, seed=3).image[:150, :201]


def coded(kind, mode="RGB", pixels=None, **settings):
    picture = PillowImage.fromarray(field() if pixels is None else pixels)
    stream = io.BytesIO()
    (picture if mode == picture.mode else picture.convert(mode)).save(stream, kind, **settings)
    return stream.getvalue()


def translucent():
    alpha = np.broadcast_to(np.arange(201, dtype=np.uint8)[None, :, None], (150, 201, 1))
    return coded("PNG", "RGBA", np.concatenate([field(), alpha], axis=2))


KINDS = {
    "rgb.png": lambda: coded("PNG"),
    "grey.png": lambda: coded("PNG", "L"),
    "palette.png": lambda: coded("PNG", "P"),
    "translucent.png": translucent,
    "a.jpg": lambda: coded("JPEG", quality=90),
    "progressive.jpg": lambda: coded("JPEG", quality=80, progressive=True),
    "grey.jpg": lambda: coded("JPEG", "L"),
    "full-colour.jpg": lambda: coded("JPEG", subsampling=0, dpi=(300, 300)),
}


@pytest.mark.parametrize("name", KINDS)
def test_pixels_are_those_that_predict_reads(name, tmp_path):
    content = KINDS[name]()
    (tmp_path / name).write_bytes(content)
    wanted = read_image(tmp_path / name).pixels.astype(int)
    found = decode(tf.constant([b"", content]), 1).numpy().astype(int)
    assert found.shape == wanted.shape
    # Blending is rounded by each program in its own way, and so are the colours of a JPEG.
    assert np.abs(found - wanted).max() <= (0 if name.endswith(".png") and name != "translucent.png" else 1)


def reason(*contents, index=0):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decode(tf.constant(list(contents)), index)
    return caught.value.message.split("assertion failed: [")[1].split("]\n")[0].rstrip("]")


def test_what_is_no_image_is_named():
    neither = "is neither a PNG nor a JPEG. Send the bytes of a PNG or JPEG file."
    cut_off = "is cut off: its end is missing. Send the whole file."
    no_size = "is a damaged JPEG: its header has no size. Send another copy."
    png, jpeg = coded("PNG"), coded("JPEG")
    empty = "image_bytes[1] is empty (0 bytes). Send the bytes of a PNG or JPEG file."
    assert reason(png, b"", index=1) == empty
    assert reason(b"GIF89a" + bytes(50)) == f"image_bytes[0] {neither}"
    assert reason(png[:7]) == f"image_bytes[0] {neither}"
    for short in (png[:20], png[:33], png[:-12], jpeg[:-2]):
        assert reason(png, png, short, index=2) == f"image_bytes[2] {cut_off}"
    for short in (jpeg[:3], jpeg[:4], jpeg[:30], b"\xff\xd8\xff" + bytes(40)):
        assert reason(short) == f"image_bytes[0] {no_size}"
    deep = coded("PNG", "I;16", np.arange(600, dtype=np.uint16).reshape(20, 30))
    assert reason(deep) == "image_bytes[0] has samples of 16 bits. Save it with 8 bits a sample."
    few = coded("PNG", "P", field() // 128 * 128, bits=4)
    assert reason(few) == "image_bytes[0] has samples of 4 bits. Save it with 8 bits a sample."
    assert reason(coded("PNG", "1")) == "image_bytes[0] has samples of 1 bits. Save it with 8 bits a sample."
    assert reason(coded("JPEG", "CMYK")) == "image_bytes[0] is a CMYK JPEG. Save it as RGB."


def test_a_bomb_is_refused_by_its_header():
    said = "between 1 and 100000 px are searched at once. Send tiles of it."
    assert reason(png_header(60_000, 50_000)) == f"image_bytes[0] is 60000 x 50000 px; {said}"
    assert reason(png_header(0, 5)) == f"image_bytes[0] is 0 x 5 px; {said}"
    jpeg = coded("JPEG", pixels=np.zeros((400, 300, 3), np.uint8))
    assert reason(jpeg) == f"image_bytes[0] is 300 x 400 px; {said}"


def test_damage_inside_is_found_by_the_decoder():
    png = bytearray(coded("PNG"))
    png[2000:2100] = bytes(100)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant([bytes(png)]), 0)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 0, 4, 3), "image_tensor: images without pixels. Send uint8 (batch, h, w, 3) with h and w of 1 or more."),
        ((2, 300, 400, 3), "image_tensor: images of 400 x 300 px; 100000 px are searched at most. Send tiles."),
    ],
)
def test_pixels_that_are_refused(shape, said):
    run = tf.function(lambda images: check_pixels(images, MOST_PX), autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        run(tf.zeros(shape, tf.uint8))
    assert f"assertion failed: [{said}]" in caught.value.message
