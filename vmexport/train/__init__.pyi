from .interrupt import Interrupted as Interrupted
from .recipe import Recipe as Recipe
from .request import EpochRecord as EpochRecord
from .request import TrainingRequest as TrainingRequest
from .request import TrainReport as TrainReport
from .run import train_model as train_model
