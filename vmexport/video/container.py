"""Opening a video file: what is refused at the door, and which stream is the picture."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.error import FFmpegError
from av.stream import Disposition

from vmexport.errors import InputError
from vmexport.opening import open_regular
from vmexport.video.boxes import check_samples
from vmexport.video.complete import check_complete

FORMATS = (
    *(
        "mov",
        "mp4",
        "matroska",
        "webm",
        "avi",
        "mpegts",
        "mpeg",
        "mpegvideo",
        "flv",
        "asf",
        "ogg",
        "mxf",
        "nut",
    ),
    *("ivf", "rm", "dv", "gif", "apng", "webp"),
    *("h264", "hevc", "av1", "obu", "m4v", "mjpeg", "yuv4mpegpipe"),
    *("png_pipe", "jpeg_pipe", "bmp_pipe", "webp_pipe", "tiff_pipe", "ppm_pipe", "pgm_pipe", "gif_pipe"),
)
"""Demultiplexers that may be used: containers of videos, bare streams of pictures, and single pictures.
FFmpeg has hundreds more, among them playlists that open other files and addresses, and texts drawn as
pictures."""

READ_LIMIT_S = 60.0
"""Longest time that opening a file, or reading on to the next piece of it, may take."""

MOST_PIXELS = 1 << 26
"""Of one picture of a film: twice 8K UHD (7680 x 4320)."""

COVER_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails

STRICT = {"err_detect": "crccheck+bitstream+buffer+explode", "max_pixels": str(MOST_PIXELS)}
"""Decoder options: report damage. FFmpeg by default paints over it with guesses and goes on. Larger pictures
than are read here are not decoded, wherever in a stream they come up."""

SLICED = {"hevc", "vp9", "libdav1d"}
"""Decoders that may use threads, within a picture only: with frame threads it depends on the machine which
damage is reported where. FFmpeg's older decoders notice much less damage unless they run on one thread."""

TITLES: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
"""Titles in another encoding do not matter: PyAV 19 escapes their bytes, older ones have to be told."""

REENCODE = "try another copy, or see what ffmpeg makes of it: ffmpeg -v error -i {0} -f null -"


@contextlib.contextmanager
def open_video(path: Path | str) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open a local file and yield the container and its picture stream, set to report damage.

    FFmpeg is given the open file and no name, and no protocol to open another: whatever a container says,
    this is the only file that is ever read.

    Raises:
        InputError: missing, unreadable, empty, no regular file, in no format of a video, without a picture,
            with pictures beyond `MOST_PIXELS`, cut off, or too slow to read.
    """
    path = Path(path)
    with _open_file(path) as file:
        check_samples(file, path)
        os.lseek(file.fileno(), 0, os.SEEK_SET)  # FFmpeg reads on from where the file stands
        options = {
            "fd": str(file.fileno()),
            "protocol_whitelist": "fd",
            "format_whitelist": ",".join(FORMATS),
        }
        try:
            container = av.open("fd:", options=options, timeout=READ_LIMIT_S, **TITLES)
        except (FFmpegError, ValueError) as error:
            raise InputError(
                f"{path} is not a readable video", reason(error), REENCODE.format(path)
            ) from error
    with container:
        stream = _picture_stream(container, path)
        _check_size(stream, path)
        check_complete(container, stream, path)
        stream.thread_type = "SLICE" if stream.codec_context.name in SLICED else "NONE"
        stream.codec_context.options = STRICT
        yield container, stream


def reason(error: Exception) -> str:
    """FFmpeg's own words, without the number and the file name."""
    if isinstance(error, av.error.ExitError):
        return f"reading took longer than {READ_LIMIT_S:g} s"
    if isinstance(error, av.error.ArgumentError):  # FFmpeg's word for a format that is not on the list
        return "it is in no format of a video that is read here (a text and a playlist are none)"
    return str(getattr(error, "strerror", None) or error)


def _open_file(path: Path) -> BinaryIO:
    """Open a readable, regular file with bytes in it, and refuse everything else."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", "", f"look for it: ls {path.parent}") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {path}", why, f"chmod u+r {path}") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a folder, not a video", "", f"name the files: {path}/*.mp4")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"{path} is not a regular file", "a video is read back and forth", "copy it to a file"
        )
    if status.st_size == 0:
        raise InputError(f"{path} is empty", "the file has 0 bytes", "download or copy it again")
    return open_regular(path)


def _check_size(stream: av.VideoStream, path: Path) -> None:
    """Refuse pictures that would fill the memory, by what the header says of them.

    Raises:
        InputError: they have more than `MOST_PIXELS`.
    """
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{path} has too large pictures",
            f"{width} x {height} pixels are {width * height}, at most {MOST_PIXELS} are decoded",
            f"make them smaller: ffmpeg -i {path} -vf scale=1920:-2 new.mp4",
        )


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
