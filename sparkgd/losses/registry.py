"""Losses by name: the one place where estimators turn params into a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sparkgd.losses.base import Loss
from sparkgd.losses.epsilon_insensitive import EpsilonInsensitiveLoss
from sparkgd.losses.gamma import GammaLoss
from sparkgd.losses.hinge import HingeLoss
from sparkgd.losses.huber import HuberLoss
from sparkgd.losses.inverse_gaussian import InverseGaussianLoss
from sparkgd.losses.logistic import LogisticLoss
from sparkgd.losses.modified_huber import ModifiedHuberLoss
from sparkgd.losses.multinomial import MultinomialLoss
from sparkgd.losses.negative_binomial import NegativeBinomialLoss
from sparkgd.losses.poisson import PoissonLoss
from sparkgd.losses.quantile import QuantileLoss
from sparkgd.losses.squared import SquaredLoss
from sparkgd.losses.squared_hinge import SquaredHingeLoss
from sparkgd.losses.tweedie import tweedie_loss


@dataclass(frozen=True)
class LossSettings:
    """What losses can be told; each reads what concerns it.

    Attributes
    ----------
    epsilon : float or None
        Of `huber` (1.35 where None) and `epsilonInsensitive` (0.1 where None).
    quantile : float
    power : float
        Variance power of `tweedie`.
    alpha : float
        Overdispersion of `negativeBinomial`.
    num_classes : int
        Of `multinomial`.
    """

    epsilon: float | None = None
    quantile: float = 0.5
    power: float = 1.5
    alpha: float = 1.0
    num_classes: int = 2


@dataclass(frozen=True)
class LossEntry:
    """How a loss is made from settings, and whether its labels are classes or numbers."""

    build: Callable[[LossSettings], Loss]
    for_classes: bool = False


def _huber(settings: LossSettings) -> Loss:
    return HuberLoss() if settings.epsilon is None else HuberLoss(settings.epsilon)


def _epsilon_insensitive(settings: LossSettings) -> Loss:
    return EpsilonInsensitiveLoss() if settings.epsilon is None else EpsilonInsensitiveLoss(settings.epsilon)


LOSSES: Mapping[str, LossEntry] = MappingProxyType(
    {
        "squared": LossEntry(lambda settings: SquaredLoss()),
        "huber": LossEntry(_huber),
        "quantile": LossEntry(lambda settings: QuantileLoss(settings.quantile)),
        "epsilonInsensitive": LossEntry(_epsilon_insensitive),
        "logistic": LossEntry(lambda settings: LogisticLoss(), for_classes=True),
        "multinomial": LossEntry(lambda settings: MultinomialLoss(settings.num_classes), for_classes=True),
        "hinge": LossEntry(lambda settings: HingeLoss(), for_classes=True),
        "squaredHinge": LossEntry(lambda settings: SquaredHingeLoss(), for_classes=True),
        "modifiedHuber": LossEntry(lambda settings: ModifiedHuberLoss(), for_classes=True),
        "poisson": LossEntry(lambda settings: PoissonLoss()),
        "gamma": LossEntry(lambda settings: GammaLoss()),
        "tweedie": LossEntry(lambda settings: tweedie_loss(settings.power)),
        "inverseGaussian": LossEntry(lambda settings: InverseGaussianLoss()),
        "negativeBinomial": LossEntry(lambda settings: NegativeBinomialLoss(settings.alpha)),
    }
)
"""Every built-in loss under the name that estimators take."""
