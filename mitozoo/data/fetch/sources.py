"""Public sets of mitotic figures: where they are, under which licence, how to cite them.

Names, sizes, checksums and licence are asked of the archive when a set is fetched: none of them is written here. Sets
that want a registration have a text that says how to get them instead. `facts` says where an entry's numbers are from.
"""

from __future__ import annotations

from dataclasses import dataclass

from mitozoo.base.errors import UnknownNameError

#: Where a person looks at a place of an archive.
_PAGES = {
    "zenodo": "https://zenodo.org/records/{}",
    "figshare": "https://doi.org/10.6084/m9.figshare.c.{}",
    "github": "https://github.com/{}",
}


@dataclass(frozen=True)
class Place:
    """Files in an archive.

    Attributes: archive, "zenodo", "figshare" or "github"; record, the number of Zenodo's record or of figshare's
    collection, or GitHub's owner/repository; patterns, which of its files are wanted, `*` also over folders; strip,
    what their names lose at the front.
    """

    archive: str
    record: str
    patterns: tuple[str, ...] = ("*",)
    strip: str = ""

    @property
    def page(self) -> str:
        """Address for people."""
        return _PAGES[self.archive].format(self.record)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public data set.

    Attributes: name, as on the command line; title; places, none for sets that are not fetched, and of two files of one
    name the first is taken; licence, what else is known than the archive says; citation; facts, where this entry's
    numbers are from; how, for sets that are not fetched, how to get them.
    """

    name: str
    title: str
    places: tuple[Place, ...] = ()
    licence: str
    citation: str
    facts: str
    how: str = ""


_MIDOGPP = "Aubreville et al. 2023, A comprehensive multi-domain dataset for mitotic figure detection, Sci Data 10:484"
_BERTRAM25 = (
    "Bertram et al. 2025, Histologic dataset of normal and atypical mitotic figures on human breast cancer, BVM"
)
_BANERJEE = "Banerjee et al. 2025, Benchmarking deep learning and vision foundation models, arXiv:2506.21444"
_VETA19 = "Veta et al. 2019, Predicting breast tumor proliferation from whole-slide images, Med Image Anal 54:111-121"
_BENCHMARK = "DeepMicroscopy/AMi-Br_Benchmark"
_AFTER_REGISTRATION = "for research after registration; read its terms"
_AS_REPOSITORY = "as its repository says; where that names none, ask the authors"
_ABOUT = ("README*", "LICENSE*", "LICENCE*")

_ALL = (
    Source(
        name="midog21",
        title="MIDOG 2021 training set: 200 fields of human breast cancer, four scanners, 151-200 without labels",
        places=(Place("zenodo", "4643381"),),
        licence="its MIDOG.json says CC BY-NC-ND 2.0; where its record says another, keep to the stricter",
        citation="Aubreville et al. 2023, Mitosis domain generalization in histopathology images, Med Image Anal "
        "84:102699",
        facts="Record: README of DomainShiftQuantification in DeepMicroscopy/MIDOG. Licence: `licenses` of MIDOG.json.",
    ),
    Source(
        name="midog22",
        title="MIDOG 2022 training set: 405 fields of six tumour types, human melanoma (355-405) without labels",
        places=(Place("zenodo", "6547151"),),
        licence="as its record says",
        citation="Aubreville et al. 2024, Domain generalization across tumor types, laboratories, and species, Med "
        "Image Anal 94:103155",
        facts="Record, PNG files (30 GB) and names MIDOG2022_training_png.json and .sqlite: a public download script. "
        "Whether the record holds TIFF files too could not be confirmed.",
    ),
    Source(
        name="midog++",
        title="MIDOG++: 503 fields of seven tumour types, 65 GB",
        places=(
            Place("figshare", "6615571"),
            Place("github", "DeepMicroscopy/MIDOGpp", ("databases/MIDOG++.json",), "databases/"),
        ),
        licence="its MIDOG++.json says CC0",
        citation=_MIDOGPP,
        facts="Collection: doi 10.6084/m9.figshare.c.6615571. Size: README of DeepMicroscopy/MIDOGpp. Labels: there.",
    ),
    Source(
        name="midog++-labels",
        title="MIDOG++ labels alone: 11,937 mitotic figures and 14,349 look-alikes on 503 fields",
        places=(Place("github", "DeepMicroscopy/MIDOGpp", ("databases/MIDOG++.json", *_ABOUT), "databases/"),),
        licence="the json says CC0",
        citation=_MIDOGPP,
        facts="Folder and file: file list of DeepMicroscopy/MIDOGpp. Its code is under the MIT licence.",
    ),
    Source(
        name="ami-br",
        title="AMi-Br: atypical and normal mitotic figures of human breast cancer, patches of 128 px and a CSV",
        places=(Place("github", "DeepMicroscopy/AMi-Br", ("*.csv", "patches/*", *_ABOUT)),),
        licence=_AS_REPOSITORY,
        citation=f"{_BERTRAM25}; {_BANERJEE}",
        facts="CSV and folder `patches`: README of DeepMicroscopy/AMi-Br.",
    ),
    Source(
        name="atnorm-br",
        title="AtNorM-Br: atypical and normal mitotic figures of TCGA's breast cancers",
        places=(Place("github", _BENCHMARK, ("AtNorM-Br/*", *_ABOUT), "AtNorM-Br/"),),
        licence=_AS_REPOSITORY,
        citation=_BANERJEE,
        facts=f"Folder: README of {_BENCHMARK}.",
    ),
    Source(
        name="atnorm-md",
        title="AtNorM-MD: atypical and normal mitotic figures of MIDOG++",
        places=(Place("github", _BENCHMARK, ("AtNorM-MD/*", *_ABOUT), "AtNorM-MD/"),),
        licence=_AS_REPOSITORY,
        citation=_BANERJEE,
        facts=f"Folder: README of {_BENCHMARK}.",
    ),
    Source(
        name="ccmct",
        title="CCMCT: 32 whole slides of canine cutaneous mast cell tumours, above 44 GB",
        places=(
            Place("figshare", "4552445"),
            Place("github", "DeepMicroscopy/MITOS_WSI_CCMCT", ("databases/*.sqlite",), "databases/"),
        ),
        licence="as its collection says",
        citation="Bertram et al. 2019, A large-scale dataset for mitotic figure assessment on whole slide images of "
        "canine cutaneous mast cell tumor, Sci Data 6:274",
        facts="Collection: doi 10.6084/m9.figshare.c.4552445. Size: Setup.ipynb of DeepMicroscopy/MITOS_WSI_CCMCT.",
    ),
    Source(
        name="cmc",
        title="CMC: 21 whole slides of canine mammary carcinomas, above 37 GB",
        places=(
            Place("figshare", "4951281"),
            Place("github", "DeepMicroscopy/MITOS_WSI_CMC", ("databases/MITOS*.sqlite",), "databases/"),
        ),
        licence="as its collection says",
        citation="Aubreville et al. 2020, A completely annotated whole slide image dataset of canine breast cancer to "
        "aid human breast cancer research, Sci Data 7:417",
        facts="Collection: doi 10.6084/m9.figshare.c.4951281. Size: Setup.ipynb of DeepMicroscopy/MITOS_WSI_CMC. "
        "Labels: its folder `databases`.",
    ),
    Source(
        name="tupac16-labels",
        title="Alternative labels of TUPAC16: 1,999 mitotic figures and 10,483 look-alikes, without the images",
        places=(Place("github", "DeepMicroscopy/TUPAC16_AlternativeLabels", ("TUPAC_AL/*", "*.sqlite", *_ABOUT)),),
        licence=_AS_REPOSITORY,
        citation="Bertram et al. 2020, Are pathologist-defined labels reproducible?, arXiv:2007.05351",
        facts="Folders and databases: README of DeepMicroscopy/TUPAC16_AlternativeLabels. Counts: the paper.",
    ),
    Source(
        name="tupac16",
        title="TUPAC16: fields of human breast cancer, with labels of mitotic figures",
        licence=_AFTER_REGISTRATION,
        citation=_VETA19,
        facts="Site: README of DeepMicroscopy/AMi-Br.",
        how="Register at tupac.grand-challenge.org and download images and labels of the mitosis task; the format is "
        "'tupac'. The alternative labels are tupac16-labels here.",
    ),
    Source(
        name="amida13",
        title="AMIDA13: fields of human breast cancer",
        licence=_AFTER_REGISTRATION,
        citation="Veta et al. 2015, Assessment of algorithms for mitosis detection, Med Image Anal 20:237-248",
        facts="Cases: Veta et al. 2019.",
        how="Its 23 cases are cases 01 to 23 of TUPAC16's mitosis task: register at tupac.grand-challenge.org and "
        "download that; the format is 'tupac'.",
    ),
    Source(
        name="mitos-atypia-14",
        title="MITOS-ATYPIA-14: fields of human breast cancer on two scanners",
        licence=_AFTER_REGISTRATION,
        citation="Roux et al. 2014, MITOS & ATYPIA, ICPR contest",
        facts="Site: the docstring of mitozoo/data/formats/mitos_atypia14.py.",
        how="Register at mitos-atypia-14.grand-challenge.org and download the training set; the format is "
        "'mitos_atypia14'.",
    ),
    Source(
        name="icpr12",
        title="ICPR 2012 MITOS: 50 fields of human breast cancer on three scanners",
        licence=_AFTER_REGISTRATION,
        citation="Roux et al. 2013, Mitosis detection in breast cancer histological images, J Pathol Inform 4:8",
        facts="Site: the contest's own page, as its link.",
        how="The contest's page is ludo17.free.fr/mitos_2012; where it does not answer, ask the organisers (Roux "
        "et al. 2013). The format is 'icpr12'.",
    ),
)  # fmt: skip
SOURCES = {source.name: source for source in _ALL}


def source(name: str) -> Source:
    """Return a source by name. Raises: UnknownNameError with the nearest name."""
    if name not in SOURCES:
        raise UnknownNameError("public data set", name, SOURCES)
    return SOURCES[name]
