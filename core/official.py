"""Official: the files that InferSent and COCO publish, with their addresses, sizes and licences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OfficialFile:
    """A published file."""

    url: str
    """Its address."""
    licence: str
    """Under which it is published."""
    bytes: int
    """Size of what is downloaded, about."""
    member: str = ""
    """The wanted file in it, if it is a `.zip` archive."""
    member_bytes: int = 0
    """Size of that file, about."""
    unpacked: bool = False
    """Whether the member alone is kept."""
    sha256: str | None = None
    """Checksum of the download, where one is published."""
    needs_consent: bool = False
    """Whether its licence forbids some uses, so that the person has to agree."""

    @property
    def download_name(self) -> str:
        """Name of the file that is downloaded."""
        return self.url.rpartition("/")[2]

    @property
    def file_name(self) -> str:
        """Name of the file that is kept."""
        return self.member.rpartition("/")[2] if self.unpacked else self.download_name


_INFERSENT = "CC BY-NC 4.0: no commercial use"

OFFICIAL = {
    "infersent2": OfficialFile(
        "https://dl.fbaipublicfiles.com/infersent/infersent2.pkl", _INFERSENT, 154_000_000, needs_consent=True
    ),
    "infersent1": OfficialFile(
        "https://dl.fbaipublicfiles.com/infersent/infersent1.pkl", _INFERSENT, 154_000_000, needs_consent=True
    ),
    "crawl": OfficialFile(
        "https://dl.fbaipublicfiles.com/fasttext/vectors-english/crawl-300d-2M.vec.zip",
        "CC BY-SA 3.0",
        1_523_785_255,
        member="crawl-300d-2M.vec",
        member_bytes=4_520_000_000,
    ),
    "glove": OfficialFile(
        "https://nlp.stanford.edu/data/glove.840B.300d.zip",
        "PDDL 1.0: public domain",
        2_176_768_927,
        member="glove.840B.300d.txt",
        member_bytes=5_650_000_000,
        sha256="c06db255e65095393609f19a4cfca20bf3a71e20cc53e892aafa490347e3849f",
    ),
    "coco": OfficialFile(
        "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",  # the host has no https
        "CC BY 4.0",
        252_872_794,
        member="annotations/captions_val2014.json",
        member_bytes=32_400_000,
        unpacked=True,
        sha256="031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
    ),
}
"""The files, by the names that `infersent-tui fetch` takes. The checksums are those that TensorFlow Datasets (COCO) and
Flair (GloVe) publish; the owners publish none."""

USUAL = ("infersent2", "crawl", "coco")
"""What InferSent version 2 on COCO needs."""
