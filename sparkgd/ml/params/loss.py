"""The param ``loss`` of the estimators that take any loss, and the settings that losses read."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import Params, TypeConverters

from sparkgd.losses import LOSSES, Loss, LossSettings
from sparkgd.losses.custom import as_loss, custom_loss, import_path, load_loss
from sparkgd.ml.errors import InvalidParamError
from sparkgd.ml.params.shared import ScoringParams, param, value_or_none


class HasLoss(ScoringParams):
    """Which loss."""

    loss = param(
        "loss",
        "name of a built-in loss, import path 'module:Name' of a loss of your own, or an object with the functions "
        "value(label, raw_prediction) and derivative(label, raw_prediction)",
        lambda value: value,
    )

    def _saved_params(self) -> dict[str, Any]:
        """Params as JSON can hold them: an object becomes its import path.

        Raises
        ------
        IncompatibleError
            If the object cannot be imported again.
        """
        saved = super()._saved_params()
        if not isinstance(saved.get("loss", ""), str):
            saved["loss"] = import_path(saved["loss"])
        return saved


class LossSettingsParams(Params):
    """What losses of numeric labels can be told."""

    epsilon = param(
        "epsilon",
        "where huber turns linear (default 1.35), or the width without loss of epsilonInsensitive (default 0.1)",
        TypeConverters.toFloat,
    )
    quantile = param("quantile", "quantile to predict, of quantile (0, 1)", TypeConverters.toFloat)
    variancePower = param(
        "variancePower", "power of the mean that is the variance, of tweedie (1 and above)", TypeConverters.toFloat
    )
    alpha = param("alpha", "overdispersion, of negativeBinomial (> 0)", TypeConverters.toFloat)

    def _set_loss_setting_defaults(self) -> None:
        self._setDefault(quantile=0.5, variancePower=1.5, alpha=1.0)

    def _loss_settings(self) -> LossSettings:
        return LossSettings(
            epsilon=value_or_none(self, "epsilon"),
            quantile=self.getOrDefault("quantile"),
            power=self.getOrDefault("variancePower"),
            alpha=self.getOrDefault("alpha"),
        )


def loss_of(instance: HasLoss, settings: LossSettings, for_classes: bool, checked: bool = False) -> Loss:
    """The loss that the params stand for; ``checked`` if one of the user's own is to be checked numerically.

    Raises
    ------
    InvalidParamError
        If there is no such loss, it is not for this kind of labels, or its settings are not allowed.
    ModelFormatError
        If a loss of the user's own cannot be imported.
    """
    given = instance.getOrDefault("loss")
    if not isinstance(given, str) or ":" in given:
        own = load_loss(given) if isinstance(given, str) else given
        return custom_loss(own) if checked else as_loss(own)
    names = [name for name, entry in LOSSES.items() if entry.for_classes == for_classes]
    if given not in names:
        raise InvalidParamError(
            f"loss={given!r} is not allowed; give one of {', '.join(names)}, or a loss of your own as 'module:Name'"
        )
    return LOSSES[given].build(settings)
