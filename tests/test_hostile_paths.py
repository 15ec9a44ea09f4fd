"""Whatever lies in the place of a file that is read: nothing waits for it, none is read without end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmexport.errors import InputError


@pytest.fixture(autouse=True)
def watch() -> Iterator[None]:
    """A wait ends in a failure after ten seconds."""

    def bark(*arguments: object) -> None:
        pytest.fail("it waits")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def read_card(path: Path) -> Any:
    from vmexport.model import load_card

    return load_card(path.rename(path.with_suffix(".toml")))


def read_checkpoint(path: Path) -> Any:
    from vmexport.model import load_checkpoint

    return load_checkpoint(path)


def read_state(path: Path) -> Any:
    from vmexport.train.state import read_state as read

    return read(path)


def read_onnx(path: Path) -> Any:
    pytest.importorskip("onnx")
    from vmexport.export.metadata import read_info

    return read_info(path)


def run_onnx(path: Path) -> Any:
    from vmexport.runtime.onnx_runner import OnnxRunner

    with OnnxRunner(path) as runner:
        return runner


def read_engine(path: Path) -> Any:
    from vmexport.runtime.tensorrt.sidecar import read_engine as read

    return read(path)


def read_sidecar(path: Path) -> Any:
    from vmexport.runtime.tensorrt.sidecar import read_sidecar as read

    path.rename(path.with_name("model.engine.json"))
    return read(path.with_name("model.engine"))


def read_film(path: Path) -> Any:
    from vmexport.video import probe

    return probe(path)


def read_list(path: Path) -> Any:
    from vmexport.data import open_index

    return open_index(path, layout="kinetics")


def read_index(path: Path) -> Any:
    from vmexport.data import open_index

    return open_index(path, layout="index")


def read_names(path: Path) -> Any:
    from vmexport.cli.options import read_labels

    return read_labels(path)


def read_config(path: Path) -> Any:
    from vmexport.train.find import read_config as read

    path.rename(path.with_name("config.json"))
    return read(path.parent)


READERS = (
    read_card,
    read_checkpoint,
    read_state,
    read_onnx,
    run_onnx,
    read_engine,
    read_sidecar,
    read_film,
    read_list,
    read_index,
    read_names,
    read_config,
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", ["a pipe", "a link to a pipe", "an endless device", "a folder"])
def test_only_regular_files_are_read(tmp_path: Path, read: Callable[[Path], Any], kind: str) -> None:
    path, pipe = tmp_path / "file", tmp_path / "pipe"
    os.mkfifo(pipe)
    if kind == "a pipe":
        pipe.rename(path)
    elif kind == "a link to a pipe":
        path.symlink_to(pipe)
    elif kind == "an endless device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.fix


def test_a_list_beside_the_data_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What is only looked for is passed by."""
    from vmexport.data import open_index

    (tmp_path / "train" / "a").mkdir(parents=True)
    (tmp_path / "train" / "a" / "1.mp4").touch()
    for name in (
        "labels.txt",
        "train.csv",
        "synthetic.json",
        "classes.json",
        "something-something-v2-train.json",
    ):
        os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="all of one class"):
        open_index(tmp_path)
