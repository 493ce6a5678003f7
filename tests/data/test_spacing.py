import math
import struct

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from mitozoo.base.errors import InputError
from mitozoo.data.images import read_image
from mitozoo.data.spacing import resolve_spacing

PICTURE = PillowImage.fromarray(np.zeros((8, 8, 3), np.uint8))


def tiff(path, *, description=None, across=None, down=None, unit=None):
    tags = ImageFileDirectory_v2()
    if description is not None:
        tags[270] = description
    if across is not None:
        tags[282], tags[283] = IFDRational(*across), IFDRational(*(down or across))
    if unit is not None:
        tags[296] = unit
    PICTURE.save(path, tiffinfo=tags)
    return read_image(path).um_per_px


def test_tiff_resolution_in_centimetres_and_inches(tmp_path):
    # 40,000 px per cm is 4 px per µm; 101,600 px per inch as well, since an inch is 25,400 µm.
    assert tiff(tmp_path / "a.tif", across=(40000, 1), unit=3) == pytest.approx(0.25)
    assert tiff(tmp_path / "a.tif", across=(101600, 1), unit=2) == pytest.approx(0.25)
    assert tiff(tmp_path / "a.tif", across=(203200, 2), unit=None) == pytest.approx(0.25)
    assert tiff(tmp_path / "a.tif", across=(40000, 1), unit=1) is None


@pytest.mark.parametrize("dpi", [1, 72, 96, 150, 300, 600])
def test_what_programs_write_by_default_is_no_spacing(tmp_path, dpi):
    assert tiff(tmp_path / "a.tif", across=(dpi, 1), unit=2) is None
    for suffix in (".png", ".jpg", ".bmp"):
        PICTURE.save(tmp_path / f"a{suffix}", dpi=(dpi, dpi))
        assert read_image(tmp_path / f"a{suffix}").um_per_px is None


def test_pixels_that_are_not_square_have_no_one_spacing(tmp_path):
    assert tiff(tmp_path / "a.tif", across=(40000, 1), down=(20000, 1), unit=3) is None
    assert tiff(tmp_path / "a.tif", across=(40000, 1), down=(40400, 1), unit=3) == pytest.approx(0.24876, abs=1e-5)


def test_zero_resolution_is_ignored(tmp_path):
    assert tiff(tmp_path / "a.tif", across=(0, 1), unit=3) is None
    assert tiff(tmp_path / "a.tif", across=(1, 0), unit=3) is None


def test_aperio_description_comes_before_the_resolution(tmp_path):
    text = "Aperio Image Library v10\n2220x2967 |AppMag = 40|MPP = 0.2456|Left = 25.6"
    assert tiff(tmp_path / "a.tif", description=text, across=(72, 1), unit=2) == 0.2456
    assert tiff(tmp_path / "a.tif", description="Aperio|MPP = 0,2456") == 0.2456
    assert tiff(tmp_path / "a.tif", description="Aperio|MPP = 0") is None


def test_ome_xml(tmp_path):
    text = '<?xml version="1.0"?><OME><Pixels PhysicalSizeX="{}" {}PhysicalSizeY="{}" SizeX="8"/></OME>'
    assert tiff(tmp_path / "a.tif", description=text.format("0.25", "", "0.25")) == 0.25
    nanometres = 'PhysicalSizeXUnit="nm" PhysicalSizeYUnit="nm" '
    assert tiff(tmp_path / "a.tif", description=text.format("230", nanometres, "230")) == pytest.approx(0.23)
    assert tiff(tmp_path / "a.tif", description=text.format("1", 'PhysicalSizeXUnit="pixel" ', "1")) is None


def test_imagej_unit_micron(tmp_path):
    text = "ImageJ=1.53\nunit={}\nloop=false\n"
    assert tiff(tmp_path / "a.tif", description=text.format("micron"), across=(4, 1), unit=1) == 0.25
    assert tiff(tmp_path / "a.tif", description=text.format("\\u00B5m"), across=(2, 1), unit=1) == 0.5
    assert tiff(tmp_path / "a.tif", description=text.format("pixel"), across=(4, 1), unit=1) is None


def test_png_phys_jfif_density_and_bmp(tmp_path):
    PICTURE.save(tmp_path / "a.png", dpi=(101600, 101600))
    assert read_image(tmp_path / "a.png").um_per_px == pytest.approx(0.25)
    PICTURE.save(tmp_path / "a.bmp", dpi=(101600, 101600))
    assert read_image(tmp_path / "a.bmp").um_per_px == pytest.approx(0.25)
    # JFIF counts in 16 bits, so 0.25 µm per pixel needs its unit 2, dots per centimetre: 40,000.
    PICTURE.save(tmp_path / "a.jpg")
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    assert content[6:11] == b"JFIF\0"
    struct.pack_into(">BHH", content, 13, 2, 40000, 40000)
    (tmp_path / "a.jpg").write_bytes(content)
    assert read_image(tmp_path / "a.jpg").um_per_px == pytest.approx(0.25)
    struct.pack_into(">BHH", content, 13, 0, 40000, 40000)
    (tmp_path / "a.jpg").write_bytes(content)
    assert read_image(tmp_path / "a.jpg").um_per_px is None


def test_the_flag_comes_before_the_file_before_the_model():
    assert resolve_spacing(0.5, 0.23, 0.25) == (0.23, "flag")
    assert resolve_spacing(0.5, None, 0.25) == (0.5, "file")
    assert resolve_spacing(None, None, 0.25) == (0.25, "assumed")
    for wrong in (0.0, -1.0, 250.0, math.nan, math.inf):
        with pytest.raises(InputError, match="is not plausible"):
            resolve_spacing(0.5, wrong, 0.25)
