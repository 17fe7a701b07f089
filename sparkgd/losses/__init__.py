"""Pointwise losses: value, derivative, curvature, link and label range. No features, no weights, no Spark."""

from __future__ import annotations

from sparkgd.losses.base import LabelRange, LabelSummary, Loss
from sparkgd.losses.custom import OwnLoss, custom_loss, import_path, load_loss
from sparkgd.losses.epsilon_insensitive import EpsilonInsensitiveLoss
from sparkgd.losses.families import BinomialFamily, Family, PowerFamily
from sparkgd.losses.gamma import GammaLoss
from sparkgd.losses.generalized import GeneralizedLoss, generalized_loss
from sparkgd.losses.hinge import HingeLoss
from sparkgd.losses.huber import HuberLoss
from sparkgd.losses.inverse_gaussian import InverseGaussianLoss
from sparkgd.losses.joint_huber import JointHuberLoss
from sparkgd.losses.links import LINKS, Link, power_link
from sparkgd.losses.logistic import LogisticLoss
from sparkgd.losses.modified_huber import ModifiedHuberLoss
from sparkgd.losses.multinomial import MultinomialLoss
from sparkgd.losses.negative_binomial import NegativeBinomialLoss
from sparkgd.losses.piecewise_linear import PiecewiseLinearLoss, SmoothedLoss
from sparkgd.losses.poisson import PoissonLoss
from sparkgd.losses.quantile import QuantileLoss
from sparkgd.losses.registry import LOSSES, LossEntry, LossSettings
from sparkgd.losses.squared import SquaredLoss
from sparkgd.losses.squared_hinge import SquaredHingeLoss
from sparkgd.losses.tweedie import HeavyTweedieLoss, TweedieLoss, tweedie_loss

__all__ = [
    "LINKS",
    "LOSSES",
    "BinomialFamily",
    "EpsilonInsensitiveLoss",
    "Family",
    "GammaLoss",
    "GeneralizedLoss",
    "HeavyTweedieLoss",
    "HingeLoss",
    "HuberLoss",
    "InverseGaussianLoss",
    "JointHuberLoss",
    "LabelRange",
    "LabelSummary",
    "Link",
    "LogisticLoss",
    "Loss",
    "LossEntry",
    "LossSettings",
    "ModifiedHuberLoss",
    "MultinomialLoss",
    "NegativeBinomialLoss",
    "OwnLoss",
    "PiecewiseLinearLoss",
    "PoissonLoss",
    "PowerFamily",
    "QuantileLoss",
    "SmoothedLoss",
    "SquaredHingeLoss",
    "SquaredLoss",
    "TweedieLoss",
    "custom_loss",
    "generalized_loss",
    "import_path",
    "load_loss",
    "power_link",
    "tweedie_loss",
]
