"""From the bytes of a PNG or JPEG to pixels, in the graph; what is no such image is refused by number, with a reason.

The pixels are those that `mitozoo.data.images` gives: orientation tags are not applied, transparency is laid on white.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
#: Bytes of a PNG up to the end of its header chunk, where its bit depth stands, and what follows a JPEG's frame marker.
_PNG_HEADER_BYTES, _PNG_DEPTH_AT, _JPEG_FRAME_BYTES = 33, 24, 10
#: Markers from the first to the last that start a frame; three of them do not (tables and extensions).
_FRAMES, _NO_FRAMES = (0xC0, 0xCF), (0xC4, 0xC8, 0xCC)


def decoded(contents: tf.Tensor, index: tf.Tensor, most_px: int) -> tf.Tensor:
    """Decode one image of a batch.

    Args: contents string (batch,); index; most_px, pixels above which an image is refused before it is decoded.
    Returns: uint8 (H, W, 3).
    Raises, when the graph runs: InvalidArgumentError that names the image and says what is wrong with it.
    """
    content = contents[index]

    def check(ok: tf.Tensor, problem: str, *more: tf.Tensor) -> tf.Operation:
        said = [tf.strings.as_string(value) for value in more]
        parts = ["image_bytes[", tf.strings.as_string(index), "] ", *_interleaved(problem.split("%"), said)]
        return tf.debugging.Assert(ok, [tf.strings.join(parts)])

    start = tf.strings.substr(content, 0, len(_PNG))
    is_png, is_jpeg = start == _PNG, tf.strings.substr(content, 0, len(_JPEG)) == _JPEG
    with tf.control_dependencies(
        [
            check(tf.strings.length(content) > 0, "is empty (0 bytes). Send the bytes of a PNG or JPEG file."),
            check(is_png | is_jpeg, "is neither a PNG nor a JPEG. Send the bytes of a PNG or JPEG file."),
        ]
    ):
        content = tf.identity(content)
    image = tf.cond(is_png, lambda: _png(content, check, most_px), lambda: _jpeg(content, check, most_px))
    return tf.ensure_shape(image, (None, None, 3))


def check_pixels(images: tf.Tensor, most_px: int) -> tf.Tensor:
    """Return uint8 images (batch, h, w, 3) if each has a pixel, and not too many.

    Raises, when the graph runs: InvalidArgumentError.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    size = [tf.strings.as_string(width), " x ", tf.strings.as_string(height)]
    large = ["image_tensor: images of ", *size, f" px; {most_px} px are searched at most. Send tiles."]
    area = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    none = "image_tensor: images without pixels. Send uint8 (batch, h, w, 3) with h and w of 1 or more."
    with tf.control_dependencies(
        [tf.debugging.Assert(area > 0, [none]), tf.debugging.Assert(area <= most_px, [tf.strings.join(large)])]
    ):
        return tf.identity(images)


Check = Callable[..., tf.Operation]


def _interleaved(texts: list[str], values: list[tf.Tensor]) -> list[str | tf.Tensor]:
    out: list[str | tf.Tensor] = [texts[0]]
    for text, value in zip(texts[1:], values, strict=True):
        out += [value, text]
    return out


def _check_size(check: Check, width: tf.Tensor, height: tf.Tensor, most_px: int) -> tf.Operation:
    area = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
    problem = f"is % x % px; between 1 and {most_px} px are searched at once. Send tiles of it."
    return check((width > 0) & (height > 0) & (area <= most_px), problem, width, height)


def _png(content: tf.Tensor, check: Check, most_px: int) -> tf.Tensor:
    cut_off = "is cut off: its end is missing. Send the whole file."
    with tf.control_dependencies([check(tf.strings.length(content) >= _PNG_HEADER_BYTES, cut_off)]):
        content = tf.identity(content)
    code = tf.io.decode_raw(content, tf.uint8)
    size = tf.io.decode_raw(tf.strings.substr(content, 16, 8), tf.int32, little_endian=False)
    # TensorFlow's decoder cuts 16 bits to 8 and does not stretch fewer.
    bits = tf.cast(code[_PNG_DEPTH_AT], tf.int32)
    checks = [
        _check_size(check, size[0], size[1], most_px),
        check(bits == 8, "has samples of % bits. Save it with 8 bits a sample.", bits),
        check(_holds(code, b"IEND"), cut_off),
    ]
    with tf.control_dependencies(checks):
        image = tf.io.decode_png(content, channels=4)
    opaque = tf.reduce_all(image[..., 3] == 255)
    return tf.cond(opaque, lambda: image[..., :3], lambda: _on_white(image))


def _on_white(image: tf.Tensor) -> tf.Tensor:
    alpha = tf.cast(image[..., 3:], tf.int32)
    colour = tf.cast(image[..., :3], tf.int32)
    return tf.cast((colour * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _jpeg(content: tf.Tensor, check: Check, most_px: int) -> tf.Tensor:
    code = tf.io.decode_raw(content, tf.uint8)
    frame = _jpeg_frame(code)
    known = frame + _JPEG_FRAME_BYTES <= tf.size(code)
    with tf.control_dependencies([check(known, "is a damaged JPEG: its header has no size. Send another copy.")]):
        header = tf.cast(code[frame : frame + _JPEG_FRAME_BYTES], tf.int32)
    height, width = header[5] * 256 + header[6], header[7] * 256 + header[8]
    checks = [
        _check_size(check, width, height, most_px),
        check(header[9] <= 3, "is a CMYK JPEG. Save it as RGB."),
        check(_holds(code, b"\xff\xd9"), "is cut off: its end is missing. Send the whole file."),
    ]
    with tf.control_dependencies(checks):
        return tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")


def _jpeg_frame(code: tf.Tensor) -> tf.Tensor:
    """Where the marker of a JPEG's frame stands; the length of the code where there is none."""
    count = tf.size(code)

    def is_frame(marker: tf.Tensor) -> tf.Tensor:
        others = tf.reduce_any(marker == tf.constant(_NO_FRAMES))
        return (marker >= _FRAMES[0]) & (marker <= _FRAMES[1]) & ~others

    def going(at: tf.Tensor) -> tf.Tensor:
        return tf.cond(at + 4 <= count, lambda: ~is_frame(tf.cast(code[at + 1], tf.int32)), lambda: False)

    def step(at: tf.Tensor) -> list[tf.Tensor]:
        four = tf.cast(code[at : at + 4], tf.int32)
        # A byte 255 may be repeated before a marker; what does not start with one is no segment.
        after = tf.where(four[1] == 0xFF, at + 1, at + 2 + four[2] * 256 + four[3])
        return [tf.where(four[0] == 0xFF, after, count)]

    return tf.while_loop(going, step, [2], parallel_iterations=1)[0]


def _holds(code: tf.Tensor, wanted: bytes) -> tf.Tensor:
    """Whether bytes uint8 (n,) hold a sequence of bytes anywhere."""
    count = tf.maximum(tf.size(code) - len(wanted) + 1, 0)
    same = tf.stack([code[i : i + count] == byte for i, byte in enumerate(wanted)])
    return tf.reduce_any(tf.reduce_all(same, axis=0))
