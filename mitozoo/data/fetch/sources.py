"""Public sets of mitotic figures: archive, licence, citation.

Names, sizes and checksums of the files are asked of the archive when they are fetched; nothing of them is written here.
Sets that want a registration, or whose files lie in many places, have a text that says how to get them instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from mitozoo.base.errors import UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public data set.

    Attributes: name, as on the command line; title; archive, "zenodo", "github" or "" for sets that are not fetched;
    record, Zenodo's number or GitHub's owner/repository; folder, of a repository, that alone is wanted; licence;
    citation; how, for sets that are not fetched, how to get them.
    """

    name: str
    title: str
    archive: str = ""
    record: str = ""
    folder: str = ""
    licence: str
    citation: str
    how: str = ""


_MIDOGPP = "Aubreville et al. 2023, A comprehensive multi-domain dataset for mitotic figure detection, Sci Data 10:484"
_VETA19 = "Veta et al. 2019, Predicting breast tumor proliferation from whole-slide images, Med Image Anal 54:111-121"
_RESEARCH = "for research after registration; read its terms"

_ALL = (
    Source(
        name="midog21",
        title="MIDOG 2021 training set: 200 fields of human breast cancer, four scanners",
        archive="zenodo",
        record="4643381",
        licence="as its Zenodo record says (CC BY-NC-ND)",
        citation="Aubreville et al. 2023, Mitosis domain generalization in histopathology images, Med Image Anal "
        "84:102699",
    ),
    Source(
        name="midog22",
        title="MIDOG 2022 training set: 405 fields of six tumour types",
        archive="zenodo",
        record="6547151",
        licence="as its Zenodo record says",
        citation="Aubreville et al. 2024, Domain generalization across tumor types, laboratories, and species, Med "
        "Image Anal 94:103155",
    ),
    Source(
        name="midog++-labels",
        title="MIDOG++ labels: 11,937 mitotic figures and 14,349 look-alikes on 503 fields",
        archive="github",
        record="DeepMicroscopy/MIDOGpp",
        folder="databases",
        licence="as its repository says",
        citation=_MIDOGPP,
    ),
    Source(
        name="ami-br",
        title="AMi-Br: atypical and normal mitotic figures of human breast cancer",
        archive="github",
        record="DeepMicroscopy/AMi-Br",
        licence="as its repository says",
        citation="Bertram et al. 2025; Banerjee et al. 2025, arXiv:2506.21444",
    ),
    Source(
        name="tupac16-labels",
        title="Alternative labels of TUPAC16",
        archive="github",
        record="DeepMicroscopy/TUPAC16_AlternativeLabels",
        licence="as its repository says",
        citation="Bertram et al. 2020, Are pathologist-defined labels reproducible?, arXiv:2007.05351",
    ),
    Source(
        name="midog++",
        title="MIDOG++: 503 fields of seven tumour types, 65 GB",
        licence="CC0 as its label file says",
        citation=_MIDOGPP,
        how="Its images lie in many figshare records: the notebook Setup.ipynb of github.com/DeepMicroscopy/MIDOGpp "
        "fetches them. Fetch midog++-labels here, and put its json beside the images.",
    ),
    Source(
        name="ccmct",
        title="CCMCT: whole slides of canine cutaneous mast cell tumours",
        licence="as its figshare record says",
        citation="Bertram et al. 2019, A large-scale dataset for mitotic figure assessment, Sci Data 6:274",
        how="The notebook Setup.ipynb of github.com/DeepMicroscopy/MITOS_WSI_CCMCT fetches its slides and databases.",
    ),
    Source(
        name="cmc",
        title="CMC: whole slides of canine mammary carcinomas",
        licence="as its figshare record says",
        citation="Aubreville et al. 2020, A completely annotated whole slide image dataset of canine breast cancer, "
        "Sci Data 7:417",
        how="The notebook Setup.ipynb of github.com/DeepMicroscopy/MITOS_WSI_CMC fetches its slides and databases.",
    ),
    Source(
        name="tupac16",
        title="TUPAC16 and AMIDA13: fields of human breast cancer",
        licence=_RESEARCH,
        citation=_VETA19,
        how="Register at tupac.grand-challenge.org, download the mitosis images and labels, and give their folder.",
    ),
    Source(
        name="mitos-atypia-14",
        title="MITOS-ATYPIA-14: fields of human breast cancer on two scanners",
        licence=_RESEARCH,
        citation="Roux et al. 2014, MITOS & ATYPIA, ICPR contest",
        how="Register at mitos-atypia-14.grand-challenge.org, download the training set, and give its folder.",
    ),
    Source(
        name="icpr12",
        title="ICPR 2012 MITOS: 50 fields of human breast cancer on three scanners",
        licence=_RESEARCH,
        citation="Roux et al. 2013, Mitosis detection in breast cancer histological images, J Pathol Inform 4:8",
        how="Ask the organisers of the contest (Roux et al. 2013) for the files, and give their folder.",
    ),
)  # fmt: skip
SOURCES = {source.name: source for source in _ALL}


def source(name: str) -> Source:
    """Return a source by name. Raises: UnknownNameError with the nearest name."""
    if name not in SOURCES:
        raise UnknownNameError("public data set", name, SOURCES)
    return SOURCES[name]
