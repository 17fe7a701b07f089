"""A loss of the user's own: what is checked, and how it is named and found again."""

from __future__ import annotations

import pickle

import numpy as np
import numpy.typing as npt
import pytest

from sparkgd.exceptions import IncompatibleError, InvalidParamError, ModelFormatError
from sparkgd.losses import (
    LOSSES,
    HuberLoss,
    LabelRange,
    LabelSummary,
    LossSettings,
    custom_loss,
    import_path,
    load_loss,
)
from sparkgd.losses.check import check_loss
from tests.losses.cases import ALL
from tests.losses.own import WIDE, LogCosh, NeedsArguments, Outer

Array = npt.NDArray[np.float64]

HERE = "tests.losses.own"


class Squared:
    """``(z - y)^2 / 2`` for labels from 0 to 1."""

    label_range: tuple[float, float] = (0.0, 1.0)

    def value(self, label: Array, raw_prediction: Array) -> Array:
        return np.asarray(0.5 * (raw_prediction - label) ** 2)

    def derivative(self, label: Array, raw_prediction: Array) -> Array:
        return raw_prediction - label


class WrongDerivative(Squared):
    def derivative(self, label: Array, raw_prediction: Array) -> Array:
        return np.where(raw_prediction > 1.0, 1.01, 1.0) * (raw_prediction - label)


class WrongCurvature(Squared):
    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return np.full_like(raw_prediction, 2.0)


class WrongBound(Squared):
    curvature_bound = 0.9

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return np.ones_like(raw_prediction)


class WrongShape(Squared):
    def value(self, label: Array, raw_prediction: Array) -> Array:
        return np.asarray(super().value(label, raw_prediction).sum())


class InPlace(Squared):
    def derivative(self, label: Array, raw_prediction: Array) -> Array:
        raw_prediction -= label
        return raw_prediction


class NotANumber(Squared):
    def value(self, label: Array, raw_prediction: Array) -> Array:
        return np.sqrt(raw_prediction)


class Concave(Squared):
    def value(self, label: Array, raw_prediction: Array) -> Array:
        return -super().value(label, raw_prediction)

    def derivative(self, label: Array, raw_prediction: Array) -> Array:
        return label - raw_prediction


class Absolute(Squared):
    def value(self, label: Array, raw_prediction: Array) -> Array:
        return np.abs(raw_prediction - label)

    def derivative(self, label: Array, raw_prediction: Array) -> Array:
        return np.sign(raw_prediction - label)


class KnownConcave(Concave):
    is_convex = False


class KnownKinked(Absolute):
    is_smooth = False


class NoDerivative:
    def value(self, label: Array, raw_prediction: Array) -> Array:
        return raw_prediction


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (WrongDerivative(), r"WrongDerivative\.derivative is not .* at label 0 and raw prediction 1\.014 it is 1\.02"),
        (WrongCurvature(), r"WrongCurvature\.curvature is not the derivative of its derivative: at label 0 .* it is 2"),
        (WrongBound(), r"curvature_bound is 0\.9, but at label 0 and raw prediction .* the curvature is 1"),
        (WrongShape(), r"value returned the shape \(\) for arrays of shape"),
        (InPlace(), "changes its arguments in place"),
        (NotANumber(), "value returned nan"),
        (Concave(), "Concave is not convex: its derivative falls after label 0 and raw prediction"),
        (Absolute(), r"Absolute is not smooth: its derivative jumps from -1 to 1 at label 0 and raw prediction"),
        (NoDerivative(), "NoDerivative has no derivative"),
        (LogCosh, r"give an object of it: LogCosh\(\)"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_loss_that_contradicts_itself_is_refused_where_it_does(own: Squared, message: str) -> None:
    with pytest.raises(InvalidParamError, match=message):
        custom_loss(own)


@pytest.mark.parametrize("own", [LogCosh(), WIDE, Squared(), KnownConcave(), KnownKinked()])
def test_a_sound_loss_is_taken(own: Squared) -> None:
    loss = custom_loss(own)
    assert loss.name == type(own).__name__
    assert loss.has_curvature is hasattr(own, "curvature")
    assert loss.is_convex is not isinstance(own, KnownConcave)
    assert loss.is_smooth is not isinstance(own, KnownKinked)


POLE = "gaussian (inverse link)"
"""Its mean jumps from minus to plus infinity in the middle of its domain."""


@pytest.mark.parametrize("name", [name for name, loss in ALL.items() if loss.num_outputs == 1 and name != POLE])
def test_the_check_passes_every_built_in_loss(name: str) -> None:
    check_loss(ALL[name])


def test_optional_attributes_have_defaults() -> None:
    summary = LabelSummary(4.0, 0.5, 0.25, 0.0, 1.0)
    plain, full = custom_loss(Squared()), custom_loss(LogCosh())
    assert plain.label_range == LabelRange(0.0, 1.0) and full.label_range == LabelRange()
    assert plain.curvature_bound is None and full.curvature_bound == 1.0
    assert plain.typical_curvature(summary) == 1.0 == full.typical_curvature(summary)
    np.testing.assert_allclose(plain.null_intercept(summary), [0.5], rtol=1e-9)
    np.testing.assert_array_equal(plain.inverse_link(np.arange(3.0)), np.arange(3.0))


def test_built_in_losses_and_subclasses_of_loss_pass_unchanged() -> None:
    loss = HuberLoss(2.0)
    assert custom_loss(loss) is loss


def test_equal_where_class_and_settings_are() -> None:
    assert custom_loss(LogCosh()) == custom_loss(LogCosh())
    assert hash(custom_loss(LogCosh())) == hash(custom_loss(LogCosh(2.0)))
    assert custom_loss(LogCosh()) != custom_loss(LogCosh(2.0))
    assert custom_loss(Squared()) != LOSSES["squared"].build(LossSettings())
    assert pickle.loads(pickle.dumps(custom_loss(WIDE))) == custom_loss(WIDE)


@pytest.mark.parametrize(("own", "name"), [(LogCosh(), "LogCosh"), (Outer.Nested(), "Outer.Nested")])
def test_found_again_by_import_path(own: LogCosh, name: str) -> None:
    assert import_path(own) == f"{HERE}:{name}"
    assert custom_loss(load_loss(import_path(own))) == custom_loss(own)


def test_an_object_of_a_module_can_be_named() -> None:
    assert load_loss(f"{HERE}:WIDE") is WIDE


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("LogCosh", "must look like 'package.module:Name'"),
        ("no_such_module:LogCosh", "cannot be imported .*no_such_module.*spark.submit.pyFiles"),
        (f"{HERE}:Missing", "cannot be imported .*Missing"),
        (f"{HERE}:NeedsArguments", "cannot be imported .*arguments"),
        ("subprocess:Popen", "is no loss: it has not the functions value and derivative"),
        ("os:abort", "is no loss"),
        ("tempfile:TemporaryDirectory", "is no loss"),
    ],
)
def test_paths_that_lead_nowhere(path: str, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        load_loss(path)


def local_loss() -> Squared:
    class Local(Squared):
        pass

    return Local()


def notebook_loss() -> Squared:
    """A loss whose class says that it is defined in ``__main__``."""
    kind = type("Typed", (Squared,), {"__module__": "__main__"})
    return kind()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (local_loss(), "Move its class to a module of its own"),
        (notebook_loss(), "Move its class to a module of its own"),
        (WIDE, r"settings that LogCosh\(\) does not have"),
        (NeedsArguments(1.0, 2.0), "arguments"),
    ],
    ids=["local", "notebook", "settings", "arguments"],
)
def test_losses_without_an_import_path_are_refused(own: Squared, message: str) -> None:
    with pytest.raises(IncompatibleError, match=message):
        import_path(own)


def test_models_start_from_the_best_prediction_of_the_mean_label() -> None:
    label = LabelSummary(10.0, mean=19.0, variance=4.0, low=0.0, high=40.0)
    np.testing.assert_allclose(custom_loss(LogCosh()).null_intercept(label), [19.0], rtol=1e-9)
