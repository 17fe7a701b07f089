"""What exporters of pyspark's models make of ``toMLlib()``: PMML, and ONNX where onnxmltools is installed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sparkgd.classification import LinearSVC, LogisticRegression
from sparkgd.regression import GeneralizedLinearRegression, LinearRegression
from tests.support.frames import frame

PMML = "{http://www.dmg.org/PMML-4_4}"


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32).astype(float)  # ONNX reads floats


@pytest.fixture(scope="module")
def df(spark, features):
    random = np.random.default_rng(2)
    raw = features @ [1.0, -2.0, 0.5]
    label = (raw + random.logistic(size=200) > 0.0).astype(float)
    return frame(spark, features, label, number=4.0 + raw + random.normal(size=200)).cache()


def test_a_linear_regression_is_written_as_pmml(df, tmp_path):
    model = LinearRegression(labelCol="number").fit(df)
    path = tmp_path / "pmml"
    model.toMLlib().write().format("pmml").save(str(path))
    (part,) = Path(path).glob("part-*")
    table = ElementTree.parse(part).getroot().find(f".//{PMML}RegressionTable")
    assert table is not None
    assert float(table.get("intercept", "nan")) == model.intercept
    weights = [float(each.get("coefficient", "nan")) for each in table.findall(f"{PMML}NumericPredictor")]
    assert weights == list(model.coefficients)


EXPORTED = {
    "linear": LinearRegression(labelCol="number"),
    "logistic": LogisticRegression(),
    "support vectors": LinearSVC(),
    "identity link": GeneralizedLinearRegression(labelCol="number"),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_onnx_scores_as_the_model_does(spark, df, features, name):
    """Of MLlib's models onnxmltools forgets the softmax of several classes, and links."""
    onnxmltools = pytest.importorskip("onnxmltools", reason="onnxmltools is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = EXPORTED[name].fit(df)
    inputs = [("features", FloatTensorType([None, 3]))]
    exported = onnxmltools.convert_sparkml(model.toMLlib(), name, inputs, spark_session=spark)
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    found = dict(
        zip([each.name for each in session.get_outputs()],
            session.run(None, {"features": features.astype(np.float32)}), strict=True)
    )  # fmt: skip
    scored = model.transform(df).toPandas()
    np.testing.assert_allclose(np.ravel(found["prediction"]), scored["prediction"], rtol=1e-5, atol=1e-5)
    if name == "logistic":
        expected = np.array([each.toArray() for each in scored["probability"]])
        np.testing.assert_allclose(found["probability"], expected, atol=1e-6)
