"""The param ``loss`` of the estimators that take any loss, and the settings that losses read."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import Params, TypeConverters

from sparkgd.exceptions import InvalidParamError
from sparkgd.losses import LOSSES, Loss, LossSettings
from sparkgd.losses.custom import custom_loss, import_path, load_loss
from sparkgd.ml.params import param, value_or_none


class LossParams(Params):
    """Which loss, and its settings."""

    loss = param(
        "loss",
        "name of a built-in loss, import path 'module:Name' of a loss of your own, or an object with the functions "
        "value(label, raw_prediction) and derivative(label, raw_prediction)",
        lambda value: value,
    )
    epsilon = param(
        "epsilon", "where huber turns linear (default 1.35), or the width without loss of epsilonInsensitive (0.1)",
        TypeConverters.toFloat,
    )  # fmt: skip
    quantile = param("quantile", "quantile to predict, of quantile (0, 1)", TypeConverters.toFloat)
    variancePower = param(
        "variancePower", "power of the mean that is the variance, of tweedie (1 and above)", TypeConverters.toFloat
    )
    alpha = param("alpha", "overdispersion, of negativeBinomial (> 0)", TypeConverters.toFloat)

    def _set_loss_defaults(self, loss: str) -> None:
        self._setDefault(loss=loss, quantile=0.5, variancePower=1.5, alpha=1.0)

    def _saved_params(self) -> dict[str, Any]:
        """Params as JSON can hold them: an object becomes its import path.

        Raises
        ------
        IncompatibleError
            If the object cannot be imported again.
        """
        saved = {p.name: value for p, value in self._paramMap.items()}
        if "loss" in saved and not isinstance(saved["loss"], str):
            saved["loss"] = import_path(saved["loss"])
        return saved


def loss_of(instance: Params, for_classes: bool, num_classes: int) -> Loss:
    """The loss that the params stand for; a loss of the user's own is checked numerically.

    Raises
    ------
    InvalidParamError
        If there is no such loss, it is not for this kind of labels, or its settings are not allowed.
    ModelFormatError
        If a loss of the user's own cannot be imported.
    """
    given = instance.getOrDefault("loss")
    if not isinstance(given, str):
        return custom_loss(given)
    if ":" in given:
        return custom_loss(load_loss(given))
    names = [name for name, entry in LOSSES.items() if entry.for_classes == for_classes]
    if given not in names:
        raise InvalidParamError(
            f"loss={given!r} is not allowed; give one of {', '.join(names)}, or a loss of your own as 'module:Name'"
        )
    settings = LossSettings(
        epsilon=value_or_none(instance, "epsilon"),
        quantile=instance.getOrDefault("quantile"),
        power=instance.getOrDefault("variancePower"),
        alpha=instance.getOrDefault("alpha"),
        num_classes=num_classes,
    )
    return LOSSES[given].build(settings)
