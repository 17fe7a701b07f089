"""Penalties on the weights: value, gradient or prox, evaluated on the driver. None of them ever sees the intercept."""

from __future__ import annotations

from sparkgd.penalties.base import NoPenalty, Penalty
from sparkgd.penalties.bounds import Bounded
from sparkgd.penalties.elastic_net import ElasticNet, elastic_net
from sparkgd.penalties.group_lasso import GroupLasso, group_lasso
from sparkgd.penalties.on_weights import OnWeights

__all__ = ["Bounded", "ElasticNet", "GroupLasso", "NoPenalty", "OnWeights", "Penalty", "elastic_net", "group_lasso"]
