"""Video files to model input: decoding with PyAV, clip sampling, resizing, cropping, normalisation."""

from vmexport.video.clip import load_clips
from vmexport.video.decode import FrameReader, read_frames
from vmexport.video.encode import write_film
from vmexport.video.info import VideoInfo, probe
from vmexport.video.sampling import Views, clip_indices, parse_views

__all__ = [
    "FrameReader",
    "VideoInfo",
    "Views",
    "clip_indices",
    "load_clips",
    "parse_views",
    "probe",
    "read_frames",
    "write_film",
]
