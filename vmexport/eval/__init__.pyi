from .evaluation import evaluate as evaluate
from .reorder import REORDERINGS as REORDERINGS
from .reorder import reordering as reordering
from .report import EvaluationReport as EvaluationReport
from .request import EvaluationRequest as EvaluationRequest
from .step_sizes import DeltaMaps as DeltaMaps
from .step_sizes import delta_maps as delta_maps
