import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import InputError
from mitozoo.data.images import list_images, read_header, read_image

RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [200, 150, 100], [255, 255, 255]]], np.uint8)


def png(width, height, bits, colour_type, rows, extra=b""):
    """A PNG by hand: `rows` are the packed rows without their filter bytes."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    data = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def png_chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def tiff(width, height, data, entries, order="<", big=False):
    """An uncompressed one-strip TIFF by hand; `entries` are (tag, type, value) with values that fit inline."""
    start = (b"II" if order == "<" else b"MM") + (
        struct.pack(order + "HHHQ", 43, 8, 0, 16 + len(data)) if big else struct.pack(order + "HI", 42, 8 + len(data))
    )
    entries = [(256, 4, width), (257, 4, height), (273, 4, len(start)), (279, 4, len(data)), *entries]
    body = b""
    for tag, kind, value in sorted(entries):
        packed = struct.pack(order + {3: "H", 4: "I"}[kind], value)
        body += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, 1) + packed.ljust(8 if big else 4, b"\0")
    count = struct.pack(order + ("Q" if big else "H"), len(entries))
    return start + data + count + body + bytes(8 if big else 4)


def write(path, content):
    path.write_bytes(content)
    return path


def test_plain_8_bit_rgb_is_unchanged_and_needs_no_note(tmp_path):
    for suffix in (".png", ".bmp", ".tif", ".TIFF"):
        PillowImage.fromarray(RGB).save(tmp_path / f"a{suffix}")
        image = read_image(tmp_path / f"a{suffix}")
        assert image.pixels.dtype == np.uint8 and image.pixels.flags.c_contiguous
        np.testing.assert_array_equal(image.pixels, RGB)
        assert image.notes == () and image.um_per_px is None


def test_jpeg_colours_are_in_the_order_red_green_blue(tmp_path):
    PillowImage.new("RGB", (16, 16), (200, 30, 90)).save(tmp_path / "a.jpg", quality=100)
    pixels = read_image(tmp_path / "a.jpg").pixels.astype(int)
    assert np.abs(pixels - [200, 30, 90]).max() <= 2


def test_grey_is_repeated(tmp_path):
    grey = np.array([[0, 128, 255]], np.uint8)
    for suffix in (".png", ".tif", ".bmp"):
        PillowImage.fromarray(grey).save(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}").pixels, np.repeat(grey[..., None], 3, 2))
    assert read_image(tmp_path / "a.png").notes == ("Grey was converted to RGB.",)


def test_transparency_is_laid_on_white(tmp_path):
    # 0.4 (102/255) of red 100 on 0.6 of white 255: 0.4 * 100 + 0.6 * 255 = 193.
    rgba = np.array([[[100, 0, 0, 102], [9, 9, 9, 0], [1, 2, 3, 255]]], np.uint8)
    grey_alpha = np.array([[[100, 102], [9, 0], [7, 255]]], np.uint8)
    PillowImage.fromarray(rgba, "RGBA").save(tmp_path / "rgba.png")
    PillowImage.fromarray(grey_alpha, "LA").save(tmp_path / "la.png")
    PillowImage.fromarray(rgba, "RGBA").save(tmp_path / "rgba.tif")
    for name in ("rgba.png", "rgba.tif"):
        image = read_image(tmp_path / name)
        assert image.pixels[0].tolist() == [[193, 153, 153], [255, 255, 255], [1, 2, 3]]
        assert image.notes == ("Transparency was laid on white.",)
    assert read_image(tmp_path / "la.png").pixels[0].tolist() == [[193] * 3, [255] * 3, [7] * 3]


def test_palette_with_and_without_a_transparent_colour(tmp_path):
    palette = png_chunk(b"PLTE", bytes([10, 20, 30, 250, 240, 230]))
    # Two bits a pixel: indices 0, 1, 0, 1 are 0b00010001.
    opaque = write(tmp_path / "p.png", png(4, 1, 2, 3, [bytes([0b00010001])], palette))
    assert read_image(opaque).pixels[0].tolist() == [[10, 20, 30], [250, 240, 230]] * 2
    assert read_image(opaque).notes == ("palette colours were converted to RGB.",)
    clear = write(tmp_path / "t.png", png(4, 1, 2, 3, [bytes([0b00010001])], palette + png_chunk(b"tRNS", b"\0")))
    assert read_image(clear).pixels[0].tolist() == [[255, 255, 255], [250, 240, 230]] * 2


def test_16_bit_is_scaled_by_its_full_range(tmp_path):
    # Halves of the range and both ends: 257 is 1, 32768 is 127.5 -> 128, 65535 is 255.
    rgb16 = np.array([[[0, 257, 65535], [32768, 25700, 514]]], np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), rgb16[..., ::-1])
    cv2.imwrite(str(tmp_path / "a.tif"), rgb16[..., ::-1])
    for name in ("a.png", "a.tif"):
        image = read_image(tmp_path / name)
        assert image.pixels[0].tolist() == [[0, 1, 255], [128, 100, 2]]
        assert image.notes == ("16-bit samples were scaled to 8 bits by their full range (65535 became 255).",)


def test_16_bit_with_12_bit_data_is_not_read_as_almost_black(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), np.array([[0, 4095, 2048, 273]], np.uint16))
    image = read_image(tmp_path / "a.tif")
    # 273 / 4095 * 255 = 17; 2048 / 4095 * 255 = 127.53.
    assert image.pixels[0, :, 0].tolist() == [0, 255, 128, 17]
    assert image.notes[0] == "16-bit samples hold 12-bit data (none above 4095): 4095 became 255."
    assert image.notes[1] == "Grey was converted to RGB."


def test_16_bit_rgba_is_laid_on_white(tmp_path):
    rgba = np.array([[[65535, 0, 0, 0], [65535, 0, 25700, 65535]]], np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), rgba[..., [2, 1, 0, 3]])
    assert read_image(tmp_path / "a.png").pixels[0].tolist() == [[255, 255, 255], [255, 0, 100]]


def test_16_bit_grey_tiff_with_white_as_zero(tmp_path):
    data = struct.pack("<3H", 0, 65535, 25700)
    entries = [(258, 3, 16), (259, 3, 1), (262, 3, 0), (277, 3, 1), (278, 4, 1)]
    path = write(tmp_path / "a.tif", tiff(3, 1, data, entries))
    assert read_image(path).pixels[0, :, 0].tolist() == [255, 0, 155]


def test_1_bit_images_in_both_senses(tmp_path):
    assert read_image(write(tmp_path / "a.png", png(4, 1, 1, 0, [b"\x50"]))).pixels[0, :, 0].tolist() == [
        0,
        255,
        0,
        255,
    ]
    for photometric, expected in ((1, [0, 255, 0, 255]), (0, [255, 0, 255, 0])):
        entries = [(258, 3, 1), (259, 3, 1), (262, 3, photometric), (277, 3, 1), (278, 4, 1)]
        image = read_image(write(tmp_path / "a.tif", tiff(4, 1, b"\x50", entries)))
        assert image.pixels[0, :, 0].tolist() == expected
        assert image.notes == ("1-bit pixels were converted to RGB.",)


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_cmyk_is_shown_as_a_viewer_does(tmp_path, suffix):
    # No ink is white; full magenta and yellow without cyan and black is red. JPEG stores it inverted, as Adobe does.
    cmyk = np.zeros((16, 32, 4), np.uint8)
    cmyk[:, 16:, 1:3] = 255
    PillowImage.frombytes("CMYK", (32, 16), cmyk.tobytes()).save(tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}")
    assert np.abs(image.pixels[8, 4].astype(int) - 255).max() <= 3
    assert np.abs(image.pixels[8, 28].astype(int) - [255, 0, 0]).max() <= 3
    assert image.notes == ("CMYK was converted to RGB.",)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_compressed_tiff(tmp_path, compression):
    PillowImage.new("RGB", (32, 32), (180, 60, 120)).save(tmp_path / "a.tif", compression=compression)
    assert np.abs(read_image(tmp_path / "a.tif").pixels.astype(int) - [180, 60, 120]).max() <= 3


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True), (">", True)])
def test_tiff_in_both_byte_orders_and_sizes(tmp_path, order, big):
    entries = [(258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1), (278, 4, 1)]
    path = write(tmp_path / "a.tif", tiff(3, 1, b"\x01\x80\xff", entries, order, big))
    assert read_header(path) == (3, 1, "tiff")
    assert read_image(path).pixels[0, :, 0].tolist() == [1, 128, 255]


def test_only_the_first_page_of_a_tiff(tmp_path):
    first, second = PillowImage.fromarray(RGB), PillowImage.new("RGB", (5, 5))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second, second])
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.notes == ("Only the first of its 3 pages is read.",)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_orientation_is_said_and_not_applied(tmp_path, suffix):
    exif = PillowImage.Exif()
    exif[274] = 6
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, 16:] = 255
    PillowImage.fromarray(pixels).save(tmp_path / f"a{suffix}", exif=exif)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.pixels.shape == (16, 32, 3) and image.pixels[8, 2, 0] < 5 and image.pixels[8, 30, 0] > 250
    note = "Its orientation tag (6) is not applied: coordinates are those of the stored pixels."
    assert image.notes == (note,)


def test_content_decides_and_not_the_suffix(tmp_path):
    PillowImage.fromarray(RGB).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", tmp_path / "a.jpg")
    image = read_image(tmp_path / "a.jpg")
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.notes == ("The file is a PNG although its name ends in .jpg.",)
    assert read_header(tmp_path / "a.jpg") == (3, 2, "png")


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    path = write(tmp_path / "bomb.png", png(60_000, 60_000, 8, 2, [b""]))
    with pytest.raises(InputError) as error:
        read_image(path)
    assert str(error.value) == (
        f"{path} is 60000 x 60000 px (10.8 GB), more than the 400 million pixels that are read at once. Cut it into "
        "tiles or save it as a pyramidal slide (.svs or tiled .tif), which is read piece by piece."
    )
    PillowImage.fromarray(RGB).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_px=6).pixels.size == 18
    with pytest.raises(InputError, match=r"3 x 2 px .* more than the 5e-06 million"):
        read_image(tmp_path / "a.png", max_px=5)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.999])
def test_a_cut_off_file_is_an_error(tmp_path, suffix, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    PillowImage.fromarray(noise).save(tmp_path / f"whole{suffix}")
    content = (tmp_path / f"whole{suffix}").read_bytes()
    path = write(tmp_path / f"cut{suffix}", content[: int(len(content) * kept)])
    with pytest.raises(InputError, match="cut off|cannot be decoded"):
        read_image(path)


def test_a_cut_off_jpeg_with_a_whole_thumbnail_is_an_error(tmp_path):
    # The thumbnail in the EXIF block has an end marker of its own, before the picture's data.
    PillowImage.new("RGB", (64, 64), "red").save(
        tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0\xff\xd9"
    )
    content = (tmp_path / "a.jpg").read_bytes()
    with pytest.raises(InputError, match="is cut off: its end is missing. Copy or download it again."):
        read_image(write(tmp_path / "b.jpg", content[:-40]))


def test_damaged_data_is_an_error(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    PillowImage.fromarray(noise).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[2000:2040] = bytes(40)
    with pytest.raises(InputError, match=r"cannot be decoded \(.+\)\. Save it as an 8-bit RGB PNG or TIFF\.$"):
        read_image(write(tmp_path / "a.png", bytes(content)))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty (0 bytes). Give an image or leave this file out."),
        (b"hello", "is not a PNG, JPEG, TIFF or BMP. Give an image or leave this file out."),
        (b"GIF89a" + bytes(50), "is a GIF, not a PNG, JPEG, TIFF or BMP. Give an image or leave this file out."),
        (b"%PDF-1.7", "is a PDF, not a PNG, JPEG, TIFF or BMP. Give an image or leave this file out."),
        (b"\x89PNG\r\n\x1a\n", "is cut off within its header. Give an image or leave this file out."),
        (b"\xff\xd8\xff\xe0", "is cut off within its header. Give an image or leave this file out."),
        (b"II*\0\xff\xff\xff\xff", "is cut off within its header. Give an image or leave this file out."),
        (b"BM" + bytes(30), "starts with BM, but is not a BMP that can be read. Give an image or leave this file out."),
        (png(0, 5, 8, 2, []), "has no pixels (0 x 5). Give an image or leave this file out."),
    ],
)
def test_what_is_no_image(tmp_path, content, text):
    path = write(tmp_path / "a.png", content)
    for read in (read_image, read_header):
        with pytest.raises(InputError) as error:
            read(path)
        assert str(error.value) == f"{path} {text}"


def test_samples_without_a_usual_display(tmp_path):
    PillowImage.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(InputError, match=r"f\.tif cannot be decoded \(32-bit samples, .*Save it as an 8-bit RGB PNG"):
        read_image(tmp_path / "f.tif")


def test_missing_folder_pipe_and_forbidden(tmp_path):
    PillowImage.fromarray(RGB).save(tmp_path / "slide_01.png")
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "slide_1.png")
    assert str(error.value) == f"No such file: {tmp_path}/slide_1.png. Did you mean 'slide_01.png'?"
    with pytest.raises(InputError, match="is a folder, not an image. Give a file in it."):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="is not a regular file. Give an image file."):
        read_image(tmp_path / "pipe.png")
    if os.geteuid():
        (tmp_path / "slide_01.png").chmod(0)
        with pytest.raises(InputError, match="may not be read: permission denied"):
            read_image(tmp_path / "slide_01.png")


def test_arbitrary_bytes_give_an_input_error_and_nothing_else(tmp_path):
    # Every file kind with single bytes of its header changed.
    generator = np.random.default_rng(1)
    for suffix in (".png", ".jpg", ".tif", ".bmp"):
        PillowImage.fromarray(RGB).save(tmp_path / f"a{suffix}")
        content = (tmp_path / f"a{suffix}").read_bytes()
        for _ in range(150):
            changed = bytearray(content)
            for place in generator.integers(0, len(content), 3):
                changed[place] = generator.integers(0, 256)
            path = write(tmp_path / "changed", bytes(changed))
            try:
                assert read_image(path, max_px=10**6).pixels.shape[2] == 3
            except InputError as error:
                assert str(path) in str(error)


def place(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_list_images_is_sorted_recursive_and_relative(tmp_path):
    for name in ("b.png", "a.JPG", "sub/deep/c.tiff", "notes.txt", ".hidden.png", ".git/d.png", "sub/._b.png"):
        place(tmp_path / name)
    listed = list_images([tmp_path])
    assert listed == [(name, tmp_path / name) for name in ("a.JPG", "b.png", "sub/deep/c.tiff")]


def test_list_images_takes_any_file_that_is_named(tmp_path):
    path = place(tmp_path / "scan.dat")
    assert list_images([path, str(path)]) == [("scan.dat", path)]


def test_list_images_makes_names_unique_across_roots(tmp_path):
    paths = [place(tmp_path / name) for name in ("one/x/a.png", "two/x/a.png", "two/x/b.png", "two/y/A.png")]
    listed = list_images([tmp_path / "one" / "x", tmp_path / "two" / "x", tmp_path / "two" / "y"])
    assert listed == [("b.png", paths[2]), ("one/x/a.png", paths[0]), ("two/x/a.png", paths[1]), ("y/A.png", paths[3])]


def test_list_images_lists_overlapping_roots_once(tmp_path):
    path = place(tmp_path / "sub" / "a.png")
    assert list_images([tmp_path, tmp_path / "sub", path]) == [("sub/a.png", path)]


def test_list_images_ends_in_loops_of_links_and_follows_others(tmp_path):
    place(tmp_path / "root" / "sub" / "a.png")
    place(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "root" / "sub" / "loop").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "elsewhere")
    assert [name for name, _ in list_images([tmp_path / "root"])] == ["out/b.png", "sub/a.png"]


def test_list_images_errors_say_what_to_do(tmp_path):
    place(tmp_path / "slides" / "notes.txt")
    with pytest.raises(InputError) as error:
        list_images([tmp_path / "slides"])
    assert str(error.value) == (
        f"No image in {tmp_path}/slides (looked for .png, .jpg, .jpeg, .tif, .tiff, .bmp). "
        "Give another folder or an image file."
    )
    with pytest.raises(InputError) as error:
        list_images([tmp_path / "slide"])
    assert str(error.value) == f"No such file or folder: {tmp_path}/slide. Did you mean 'slides'?"
