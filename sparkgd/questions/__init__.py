"""What can be asked of the rows in a round, one question a file: see `sparkgd.questions.base`."""

from sparkgd.questions.base import Answer, Certificate, Question, Reply
from sparkgd.questions.certificate import CertificateQuestion
from sparkgd.questions.compound import AloneQuestion, CompoundQuestion, LossAloneQuestion, SmoothedQuestion
from sparkgd.questions.condense import CondenseQuestion
from sparkgd.questions.epochs import EpochQuestion
from sparkgd.questions.gradient import GradientQuestion, Sample
from sparkgd.questions.gram import GramQuestion
from sparkgd.questions.held_out_scores import HeldOutScoresQuestion
from sparkgd.questions.held_out_totals import HeldOutTotalsQuestion
from sparkgd.questions.hessian import HessianQuestion
from sparkgd.questions.product import ProductQuestion
from sparkgd.questions.rows import RowsQuestion
from sparkgd.questions.tangent import Tangent, TangentQuestion
from sparkgd.questions.working_weight import WorkingWeightQuestion

__all__ = [
    "AloneQuestion",
    "Answer",
    "Certificate",
    "CertificateQuestion",
    "CompoundQuestion",
    "CondenseQuestion",
    "EpochQuestion",
    "GradientQuestion",
    "GramQuestion",
    "HeldOutScoresQuestion",
    "HeldOutTotalsQuestion",
    "HessianQuestion",
    "LossAloneQuestion",
    "ProductQuestion",
    "Question",
    "Reply",
    "RowsQuestion",
    "Sample",
    "SmoothedQuestion",
    "Tangent",
    "TangentQuestion",
    "WorkingWeightQuestion",
]
