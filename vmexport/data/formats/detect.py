"""Which published format a data set has."""

from __future__ import annotations

from pathlib import Path

from vmexport.data.formats.catalogue import Catalogue
from vmexport.data.formats.files import is_video
from vmexport.data.formats.folders import EXPECTED, has_class_folders, read_folders
from vmexport.data.formats.hmdb51 import LIST, find_hmdb51, read_hmdb51
from vmexport.data.formats.index_file import read_index_file
from vmexport.data.formats.kinetics import find_lists, read_lists
from vmexport.data.formats.ssv2 import PREFIX, find_ssv2, read_ssv2
from vmexport.data.formats.ucf101 import LIST as UCF101_LIST
from vmexport.data.formats.ucf101 import find_ucf101, read_ucf101
from vmexport.errors import InputError


def read_catalogue(path: Path, layout: str, videos: Path | None, fold: int) -> Catalogue:
    """Read a data set.

    Args:
        path: its folder, or one of its files.
        layout: a format, or "auto".
        videos: folder that listed names start from; None searches.
        fold: the split of HMDB51 or UCF101.

    Raises:
        UsageError: an unknown fold.
        InputError: nothing there, no format that is known, or a damaged data set.
    """
    if not path.exists():
        raise InputError(f"there is no data set {path}", "no such file or folder", f"ls {path.parent}")
    if videos is not None and not videos.is_dir():
        raise InputError(f"{videos} is no folder of videos", "no such folder", f"ls {videos.parent}")
    if layout == "auto":
        layout = detect(path)
    if layout == "hmdb51":
        return read_hmdb51(path, videos, fold)
    if layout == "ucf101":
        return read_ucf101(path, videos, fold)
    if layout == "ssv2":
        return read_ssv2(path, videos)
    if layout == "kinetics":
        return read_lists(path, videos)
    if layout == "index":
        return read_index_file(path, videos)
    return read_folders(path)


def detect(path: Path) -> str:
    """The format of a folder or a file: lists come before class folders, which they describe.

    Raises:
        InputError: none, or two.
    """
    if path.is_file():
        return _detect_file(path)
    finders = {"ssv2": find_ssv2, "hmdb51": find_hmdb51, "ucf101": find_ucf101}
    found = [name for name, finder in finders.items() if finder(path)]
    if len(found) > 1:
        count, lists = "two" if len(found) == 2 else "several", " and of ".join(found)
        raise InputError(f"{path} holds {count} data sets", f"lists of {lists}", f"--layout {found[0]}")
    if found:
        return found[0]
    if find_lists(path) or find_lists(path, strict=True):  # of damaged ones the reader says what is wrong
        return "kinetics"
    if has_class_folders(path):
        return "folder"
    raise InputError(
        f"{path} holds no data set",
        f"{EXPECTED}; or train.csv and val.csv; or the lists of Something-Something V2, HMDB51 or UCF101",
        f"look at it: ls {path}",
    )


def _detect_file(path: Path) -> str:
    """The format that a file belongs to, by its name.

    Raises:
        InputError: it is a video.
    """
    if is_video(path):
        raise InputError(
            f"{path} is a video, not a data set",
            EXPECTED,
            f"a data set is a folder or a list: ls {path.parent}",
        )
    if path.suffix.lower() == ".json":
        parts = {"train.json", "validation.json", "val.json", "labels.json"}
        return "ssv2" if path.name.startswith(PREFIX) or path.name in parts else "index"
    if UCF101_LIST.fullmatch(path.name):
        return "ucf101"
    return "hmdb51" if LIST.fullmatch(path.name) else "kinetics"
