"""Opening a video file: what is refused at the door, and which stream is the picture."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.stream import Disposition

from vmexport.errors import InputError
from vmexport.video.complete import check_complete

FORBIDDEN_FORMATS = {
    "tty",
    "hls",
    "dash",
    "concat",
    "applehttp",
    "sdp",
    "rtsp",
    "imf",
    "webvtt",
    "srt",
    "ass",
}
"""Demultiplexers that draw text as pictures, or that open files and addresses named inside the file."""

COVER_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails

STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
"""Decoder options: report damage. FFmpeg by default paints over it with guesses and goes on."""

SLICED = {"hevc", "vp9", "libdav1d"}
"""Decoders that may use threads, within a picture only: with frame threads it depends on the machine which
damage is reported where. FFmpeg's older decoders notice much less damage unless they run on one thread."""

TITLES: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
"""Titles in another encoding do not matter: PyAV 19 escapes their bytes, older ones have to be told."""

REENCODE = "try another copy, or see what ffmpeg makes of it: ffmpeg -v error -i {0} -f null -"


@contextlib.contextmanager
def open_video(path: Path | str) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open a local file and yield the container and its picture stream, set to report damage.

    The name is only ever a local file: no address, pattern or playlist is followed.

    Raises:
        InputError: missing, unreadable, empty, no regular file, not a video, without a picture, or cut off.
    """
    path = Path(path)
    _check_file(path)
    try:
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"}, **TITLES)
    except (FFmpegError, ValueError) as error:
        raise InputError(f"{path} is not a readable video", reason(error), REENCODE.format(path)) from error
    with container:
        if FORBIDDEN_FORMATS & set(container.format.name.split(",")):
            raise InputError(
                f"{path} is not a video",
                f"it is a text or a playlist ({container.format.name})",
                "give a video file",
            )
        stream = _picture_stream(container, path)
        check_complete(container, stream, path)
        stream.thread_type = "SLICE" if stream.codec_context.name in SLICED else "NONE"
        stream.codec_context.options = STRICT
        yield container, stream


def reason(error: Exception) -> str:
    """FFmpeg's own words, without the number and the file name."""
    return str(getattr(error, "strerror", None) or error)


def _check_file(path: Path) -> None:
    """Refuse everything but a readable, regular file with bytes in it."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a folder, not a video", "", f"name the files: {path}/*.mp4")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(
                f"{path} is not a regular file", "a video is read back and forth", "copy it to a file"
            )
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", "", f"look for it: ls {path.parent}") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {path}", why, f"chmod u+r {path}") from error
    if status.st_size == 0:
        raise InputError(f"{path} is empty", "the file has 0 bytes", "download or copy it again")


def _picture_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The first moving picture: a default one before others, cover art never."""
    pictures = [stream for stream in container.streams.video if not stream.disposition & COVER_PICTURE]
    if not pictures:
        kinds = sorted({"cover picture" if s.type == "video" else s.type for s in container.streams})
        raise InputError(
            f"{path} has no video", f"it holds only: {', '.join(kinds) or 'nothing'}", "give a video file"
        )
    chosen = next((stream for stream in pictures if stream.disposition & Disposition.default), pictures[0])
    if getattr(chosen, "codec_context", None) is None:
        raise InputError(
            f"{path} uses a codec that PyAV cannot decode", "", f"ffmpeg -i {path} -c:v libx264 new.mp4"
        )
    return chosen
