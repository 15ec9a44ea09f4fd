"""One style for every public function: main objects first, all else by keyword, each default in one place."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vmexport
from vmexport.config.prediction import PredictionOptions, PredictionRequest
from vmexport.eval.request import EvaluationOptions, EvaluationRequest
from vmexport.export.request import ExportOptions, ExportRequest
from vmexport.export.trt.settings import EngineOptions, EngineRequest
from vmexport.native.build import BuildOptions, BuildRequest
from vmexport.train.request import TrainingOptions, TrainingRequest

MAIN = {"model", "path", "data", "table", "videos", "video", "a", "b", "module", "name_or_card", "checkpoint"}
"""Arguments that may be given by position."""

FUNCTIONS = sorted(name for name in vars(vmexport)["__all__"] if inspect.isfunction(getattr(vmexport, name)))
REQUESTS: tuple[tuple[type[Any], Any, set[str]], ...] = (
    (PredictionRequest, PredictionOptions, set()),
    (EvaluationRequest, EvaluationOptions, set()),
    (ExportRequest, ExportOptions, set()),
    (EngineRequest, EngineOptions, set()),
    (BuildRequest, BuildOptions, set()),
    (TrainingRequest, TrainingOptions, {"data"}),
)
"""Each request, the keywords of its function, and what the function takes by position instead."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_main_objects_go_by_position(name: str) -> None:
    parameters = inspect.signature(getattr(vmexport, name)).parameters.values()
    by_position = {one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD}
    assert by_position <= MAIN
    assert getattr(vmexport, name).__doc__


@pytest.mark.parametrize(("request_type", "options", "positional"), REQUESTS)
def test_keywords_are_the_fields_of_the_request(
    request_type: type[Any], options: Any, positional: set[str]
) -> None:
    fields = {field.name: field.type for field in dataclasses.fields(request_type)}
    keywords = {name: kind.__forward_arg__ for name, kind in options.__annotations__.items()}
    assert keywords == {name: kind for name, kind in fields.items() if name not in positional}
    assert all(f"{name}:" in str(request_type.__doc__) for name in fields)
    request_type()  # everything may be left out


@pytest.mark.parametrize(
    "call",
    [
        lambda **words: vmexport.evaluate("model.onnx", "data", **words),
        lambda **words: vmexport.predict("model.onnx", "film.mp4", **words),
        lambda **words: vmexport.export_onnx("model.safetensors", "model.onnx", **words),
        lambda **words: vmexport.build_engine("model.onnx", "model.engine", **words),
        lambda **words: vmexport.build_plugins(**words),
        lambda **words: vmexport.train_model("data", **words),
        lambda **words: vmexport.ablate(2, "data", **words),
    ],
)
def test_a_keyword_that_does_not_exist_is_a_type_error(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match="nothing"):
        call(nothing=1)
    assert list(tmp_path.iterdir()) == []


def test_keywords_change_a_ready_request(tmp_path: Path) -> None:
    from small import small_model

    ready = vmexport.ExportRequest(precision="fp16", check=False)
    report = vmexport.export_onnx(small_model(), tmp_path / "model.onnx", request=ready, batch=2)
    assert (report.precision, report.profile, report.parity) == ("fp16", "2", None)
