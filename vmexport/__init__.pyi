from . import foreign as foreign
from . import ops as ops
from .bench.measure import benchmark as benchmark
from .check import check_parity as check_parity
from .config.prediction import PredictionRequest as PredictionRequest
from .doctor.self_test import self_test as self_test
from .eval import EvaluationRequest as EvaluationRequest
from .eval import delta_maps as delta_maps
from .eval import evaluate as evaluate
from .eval.ablation import ablate as ablate
from .export import ExportRequest as ExportRequest
from .export import export_onnx as export_onnx
from .export.trt import EngineRequest as EngineRequest
from .export.trt import build_engine as build_engine
from .foreign import patch_mamba as patch_mamba
from .model import create_model as create_model
from .model import load_checkpoint as load_checkpoint
from .model.checkpoints import convert_checkpoint as convert_checkpoint
from .native.build import BuildRequest as BuildRequest
from .native.build import build_plugins as build_plugins
from .native.loading import locate_plugins as locate_plugins
from .runtime import open_runner as open_runner
from .runtime.predict import predict as predict
from .train import TrainingRequest as TrainingRequest
from .train.run import train_model as train_model

__version__: str
