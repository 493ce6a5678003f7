import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import DataError, LabelError, UnknownNameError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data import formats
from mitozoo.data.labels import class_of, number_rows, table_rows


def picture(path, width=40, height=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.full((height, width, 3), 200, np.uint8)).save(path)
    return path


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def by_name(dataset):
    return {field.path.name: field for field in dataset.fields}


def test_every_format_has_its_three_parts():
    assert set(formats.FORMATS) >= {
        "folder_per_class", "midog", "mitos14_frames", "atnorm_md", "tissue", "icpr12", "mitos_atypia14", "tupac",
        "sliderunner",
    }  # fmt: skip
    for name in formats.FORMATS:
        module = formats._module(name)
        assert module.TITLE and callable(module.recognises) and callable(module.read)


def test_unknown_layout_format_and_path(tmp_path):
    picture(tmp_path / "data" / "a.png")
    with pytest.raises(DataError, match=r"data is in no known label format\. Looked for:\n  ami_br: AMi-Br patches"):
        formats.read(tmp_path / "data")
    with pytest.raises(UnknownNameError) as error:
        formats.read(tmp_path / "data", "midogg")
    assert str(error.value) == "No data format named 'midogg'. Did you mean 'midog'?"
    with pytest.raises(DataError) as error:
        formats.read(tmp_path / "dat")
    assert str(error.value) == f"No such file or folder: {tmp_path}/dat. Did you mean 'data'?"


def test_two_layouts_in_one_folder_need_a_word(tmp_path):
    picture(tmp_path / "mitosis" / "a_1.png")
    picture(tmp_path / "a.png")
    text(tmp_path / "labels.csv", "image,x,y,label\na.png,1,2,mitosis\n")
    with pytest.raises(DataError, match="could be folder_per_class or mitos14_frames. Say which with --data-format."):
        formats.recognise(tmp_path)
    assert formats.read(tmp_path, "folder_per_class").count(MITOTIC_FIGURE) == 1


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Mitosis", MITOTIC_FIGURE), ("mitotic figure", MITOTIC_FIGURE), ("Not-Mitosis", NON_MITOTIC),
        ("non_mitotic", NON_MITOTIC), ("nonmitosis", NON_MITOTIC), ("not mitotic figure", NON_MITOTIC),
        ("hard negative", NON_MITOTIC), ("Atypical", ATYPICAL), ("Normal", MITOTIC_FIGURE), ("Eosinophils", None),
    ],
)  # fmt: skip
def test_class_names(name, label):
    assert class_of(name) == label


def test_number_rows_in_every_dialect(tmp_path):
    expected = [[10.5, 20.0], [3.0, 4.0]]
    for content in (
        b"10.5,20\n3,4\n",
        b"\xef\xbb\xbf10.5,20\r\n3,4\r\n\r\n",
        b"10,5;20\n3;4",
        b"10.5\t20\n3\t4\n",
        b"x,y\n10.5,20,\n3,4,\n",
        "10.5,20\n3,4\n".encode("utf-16"),
    ):
        assert [row for _, row in number_rows(text(tmp_path / "a.csv", content))] == expected
    assert number_rows(text(tmp_path / "a.csv", b"")) == []
    assert number_rows(text(tmp_path / "a.csv", b"\xef\xbb\xbf\r\n")) == []
    for content, said in ((b"1,2\n3,b\n", "line 2: 'b' is not"), (b"nan,2\n", "line 1: nan is not a finite number")):
        with pytest.raises(LabelError, match=said):
            number_rows(text(tmp_path / "a.csv", content))
    for content in (b"\x89PNG\0\0", b"1,\xff\n"):
        with pytest.raises(LabelError, match="Save it as CSV in UTF-8."):
            number_rows(text(tmp_path / "a.csv", content))


def test_table_rows_with_quotes_semicolons_and_missing_values(tmp_path):
    path = text(tmp_path / "a.csv", '\ufeffFile;Note\r\n"a;b.png"; x \r\n;\r\n')
    assert list(table_rows(path, ("file", "note"))) == [(2, {"file": "a;b.png", "note": "x"})]
    with pytest.raises(LabelError) as error:
        list(table_rows(path, ("file", "x", "y")))
    assert str(error.value) == f"{path} has no column x, y. Its first line must be file,x,y."
    with pytest.raises(LabelError, match="line 3 has 1 values, not 2"):
        list(table_rows(text(path, "a,b\n1,2\n3\n"), ("a", "b")))


def test_folder_per_class(tmp_path):
    picture(tmp_path / "Mitosis" / "A04_00Ab_mitosis.csv1.jpg", 50, 50)
    picture(tmp_path / "Mitosis" / "H04_01Bb_1.png", 51, 41)
    picture(tmp_path / "not_mitosis" / "patient 7" / "roi_2.png")
    picture(tmp_path / "not_mitosis" / "7.png")
    text(tmp_path / "docs" / "readme.txt", "no image here")
    dataset = formats.read(tmp_path)
    fields = by_name(dataset)
    assert fields["A04_00Ab_mitosis.csv1.jpg"].cells == (Cell(24.5, 24.5, MITOTIC_FIGURE),)
    assert fields["H04_01Bb_1.png"].cells == (Cell(25.0, 20.0, MITOTIC_FIGURE),)
    assert fields["roi_2.png"].cells[0].label == NON_MITOTIC
    assert [fields[name].case for name in sorted(fields)] == ["7.png", "MITOS14/04", "MITOS14/04", "patient 7"]
    assert not any(field.complete for field in dataset.fields) and all(field.labelled for field in dataset.fields)
    assert dataset.notes == (
        "Mitosis/ was read as mitotic_figure.",
        "not_mitosis/ was read as non_mitotic.",
        "1 file names do not tell the case: each of these patches counts as its own case.",
    )


def test_folder_per_class_normal_means_a_mitotic_figure_only_beside_atypical(tmp_path):
    picture(tmp_path / "Normal" / "s1_1.png")
    with pytest.raises(LabelError, match="does 'normal' mean a normal mitotic figure"):
        formats.read(tmp_path)
    picture(tmp_path / "Atypical" / "s1_2.png")
    dataset = formats.read(tmp_path)
    assert (dataset.count(MITOTIC_FIGURE), dataset.count(ATYPICAL), dataset.cases) == (1, 1, ["s1"])
    picture(tmp_path / "junk" / "s1_3.png")
    with pytest.raises(LabelError) as error:
        formats.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/junk holds images, but its name is no class. Rename it (mitosis, not_mitosis) or move it."
    )


def test_mitos14_frames(tmp_path):
    for name in ("A03_00Ad.png", "A03_00Bb.png", "H03_00Ca.png", "A03_00Da.png"):
        picture(tmp_path / name)
    table = "\ufeffimage,x,y,label\r\nA03_00Ad.png,5,6,mitosis\r\nA03_00Ad.png,7,8,nonmitosis\r\nA03_00Bb.png,,,\r\n"
    text(tmp_path / "labels.csv", table)
    dataset = formats.read(tmp_path)
    fields = by_name(dataset)
    assert fields["A03_00Ad.png"].cells == (Cell(5.0, 6.0, MITOTIC_FIGURE), Cell(7.0, 8.0, NON_MITOTIC))
    assert fields["A03_00Bb.png"].labelled and fields["A03_00Bb.png"].cells == ()
    assert not fields["H03_00Ca.png"].labelled and not fields["H03_00Ca.png"].complete
    assert (fields["A03_00Ad.png"].um_per_px, fields["H03_00Ca.png"].um_per_px) == (0.2455, 0.2274)
    assert dataset.cases == ["MITOS14/03"]
    assert dataset.notes == ("2 images have no row in labels.csv: unlabelled, not counted as negative.",)
    text(tmp_path / "labels.csv", "image,x,y,label\nnone.png,1,1,mitosis\n")
    with pytest.raises(LabelError, match=r"labels.csv line 2: .*none.png does not exist"):
        formats.read(tmp_path)
    text(tmp_path / "labels.csv", "image,x,y,label\nA03_00Ad.png,40,6,mitosis\n")
    with pytest.raises(LabelError) as error:
        formats.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/A03_00Ad.png: the mitotic_figure at x 40, y 6 lies outside the image (40 x 30 px). "
        "Correct the label file, or check that it belongs to this image."
    )


def test_atnorm_md_cases_are_contiguous_blocks_of_order(tmp_path):
    rows = ["file,order,label,experts_for_atypical_of_5,tumour"]
    for order in range(60, 0, -1):
        picture(tmp_path / "patches" / f"{order}.png", 4, 4)
        rows.append(
            f"{order}.png,{order},{'atypical' if order == 1 else 'normal'},0,{'dog A' if order <= 40 else 'dog B'}"
        )
    text(tmp_path / "index.csv", "\n".join(rows))
    dataset = formats.read(tmp_path)
    fields = by_name(dataset)
    # 40 patches in 20 blocks: 1 and 2 are the first, 39 and 40 the last; 20 patches: each its own.
    expected = {
        "1.png": "dog_a/00",
        "2.png": "dog_a/00",
        "3.png": "dog_a/01",
        "40.png": "dog_a/19",
        "41.png": "dog_b/00",
    }
    assert {name: fields[name].case for name in expected} == {n: f"AtNorm-MD/{c}" for n, c in expected.items()}
    assert len(dataset.cases) == 40
    assert fields["1.png"].cells == (Cell(63.5, 63.5, ATYPICAL),) and dataset.count(MITOTIC_FIGURE) == 59


def test_tissue_is_unlabelled(tmp_path):
    for name in ("tcga-db-5270-r01.jpg", "tcga-db-5270-r01_2.jpg", "b.jpg"):
        picture(tmp_path / name)
    text(
        tmp_path / "index.csv",
        'file,source,tissue\ntcga-db-5270-r01.jpg,"lab, one",glioma\n'
        'tcga-db-5270-r01_2.jpg,"lab, one",glioma\nb.jpg,lab two,skin\n',
    )
    dataset = formats.read(tmp_path)
    assert not any(field.labelled or field.complete or field.cells for field in dataset.fields)
    assert dataset.cases == ["tissue/lab two", "tissue/tcga-db-5270"]
    assert [field.domain for field in dataset.fields] == ["glioma", "glioma", "skin"]


def midog(path, annotations, images=((1, "001.tiff"),), categories=True, **more):
    content = {
        "images": [{"id": uid, "file_name": name, "width": 1000, "height": 800, **more} for uid, name in images],
        "annotations": [
            {"id": n, "image_id": uid, "bbox": box, "category_id": category}
            for n, (uid, box, category) in enumerate(annotations)
        ],
        "licenses": [{"name": "CC0"}],
    }
    if categories:
        content["categories"] = [{"id": 1, "name": "mitotic figure"}, {"id": 2, "name": "not mitotic figure"}]
    return text(path, json.dumps(content))


def test_midog_reads_corners_and_keeps_unlabelled_apart(tmp_path):
    images = ((1, "001.tiff"), (75, "075.tiff"), (151, "151.tiff"), (200, "200.tiff"), (201, "201.tiff"))
    boxes = [(1, [600, 100, 650, 150], 1), (1, [10, 20, 60, 70], 2), (201, [775, 500, 825, 550], 1)]
    path = midog(tmp_path / "MIDOG.json", boxes, images)
    dataset = formats.read(path)
    fields = by_name(dataset)
    assert formats.recognise(path) == formats.recognise(tmp_path) == "midog"
    assert fields["001.tiff"].cells == (Cell(625.0, 125.0, MITOTIC_FIGURE), Cell(35.0, 45.0, NON_MITOTIC))
    assert {name: field.labelled for name, field in fields.items()} == {
        "001.tiff": True, "075.tiff": True, "151.tiff": False, "200.tiff": False, "201.tiff": True,
    }  # fmt: skip
    assert [field.um_per_px for field in dataset.fields] == [0.23, 0.23, 0.26, 0.26, None]
    assert (fields["001.tiff"].case, fields["201.tiff"].case) == ("MIDOG21/001.tiff", "MIDOG++/201.tiff")
    assert dataset.licence == "CC0"
    assert dataset.notes == (
        "bbox was read as x1,y1,x2,y2 (MIDOG).",
        "5 of 5 images are not there: only their labels were read.",
        "2 images (of 151 to 200) were never labelled: not counted as negative.",
    )


def test_a_file_named_midog_with_other_images_does_not_cite_midog(tmp_path):
    boxes = [(1, [600, 100, 650, 150], 1)]
    assert "Aubreville" in formats.read(midog(tmp_path / "MIDOG.json", boxes)).source
    own = midog(tmp_path / "own" / "MIDOG.json", boxes, ((1, "field_0001.png"),))
    assert formats.read(own).source == str(own)


def test_coco_boxes_are_told_apart(tmp_path):
    path = midog(tmp_path / "own.json", [(1, [600, 100, 50, 40], 1), (1, [10, 20, 50, 50], 2)])
    dataset = formats.read(path)
    assert dataset.fields[0].cells == (Cell(625.0, 120.0, MITOTIC_FIGURE), Cell(35.0, 45.0, NON_MITOTIC))
    assert dataset.notes[0] == "bbox was read as x,y,w,h (COCO)."
    assert dataset.fields[0].labelled and dataset.fields[0].case == "001.tiff"


def test_boxes_that_fit_both_ways_are_taken_as_alike_in_size(tmp_path):
    as_sizes = midog(tmp_path / "a.json", [(1, [10, 10, 50, 50], 1), (1, [20, 30, 50, 50], 1)])
    dataset = formats.read(as_sizes)
    assert [cell.x_px for cell in dataset.fields[0].cells] == [35.0, 45.0]
    assert dataset.notes[0].startswith("bbox could be x1,y1,x2,y2 or x,y,w,h")
    as_corners = midog(tmp_path / "b.json", [(1, [10, 10, 60, 60], 1), (1, [20, 30, 70, 80], 1)])
    assert [cell.x_px for cell in formats.read(as_corners).fields[0].cells] == [35.0, 45.0]


def test_midog_centres_at_the_edge_are_moved_and_others_outside_are_errors(tmp_path):
    path = midog(tmp_path / "m.json", [(1, [-27, 400, 23, 450], 1), (1, [980, 400, 1030, 450], 1)])
    dataset = formats.read(path)
    assert dataset.fields[0].cells == (Cell(0.0, 425.0, MITOTIC_FIGURE), Cell(999.0, 425.0, MITOTIC_FIGURE))
    assert "001.tiff: a box centred at -2, 425 was moved onto the edge." in dataset.notes
    path = midog(tmp_path / "m.json", [(1, [1100, 400, 1150, 450], 1)])
    with pytest.raises(LabelError, match=r"001.tiff: the mitotic_figure at x 1125, y 425 lies outside the image"):
        formats.read(path)


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ((7, [1, 2, 3, 4], 1), "annotation 0 is on image 7, which is not in images"),
        ((1, [1, 2, 3], 1), r"annotation 0 has the bbox \[1, 2, 3\], not four numbers"),
        ((1, [900, 100, 850, 50], 1), "is neither x1,y1,x2,y2 nor x,y,w,h within its image"),
        ((1, [600, 100, 650, 150], 3), "category 3 is not in categories. Add it."),
        ((1, "abcd", 1), "is not a MIDOG or COCO json"),
    ],
)
def test_midog_nonsense_is_an_error(tmp_path, annotation, said):
    with pytest.raises(LabelError, match=said):
        formats.read(midog(tmp_path / "m.json", [annotation]))


def test_midog_without_categories_and_with_doubles(tmp_path):
    box = [600, 100, 650, 150]
    dataset = formats.read(midog(tmp_path / "m.json", [(1, box, 1), (1, box, 1)], categories=False))
    assert dataset.count(MITOTIC_FIGURE) == 1
    assert "001.tiff: 1 point was listed twice, kept once." in dataset.notes
    with pytest.raises(LabelError, match="the point x 625, y 125 is labelled mitotic_figure and non_mitotic"):
        formats.read(midog(tmp_path / "m.json", [(1, box, 1), (1, box, 2)]))
    text(tmp_path / "m.json", '{"images": [')
    with pytest.raises(LabelError, match="is not valid JSON"):
        formats.read(tmp_path / "m.json", "midog")
    with pytest.raises(DataError, match="no known label format"):
        formats.read(tmp_path / "m.json")
