"""
A loss of your own
==================

An object with two NumPy functions is a loss. This one is a squared error that counts four times where the prediction is
too low, as for a shop that would rather have stock left over than run out of it.
"""

# %%
from pyspark.sql import SparkSession
from sklearn.datasets import load_diabetes

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.python.unix.domain.socket.enabled", "true")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
source = load_diabetes(as_frame=True, scaled=False)
measurements = list(source.data.columns)
patients = spark.createDataFrame(source.frame).withColumnRenamed("target", "label").coalesce(2).cache()

# %%
# ``value`` and ``derivative`` are needed. With ``curvature``, the second derivative, Newton's methods take the loss
# too. They are checked against each other numerically before training, so that a slip in one of them is an error and
# not a wrong model.
import numpy as np

from sparkgd.regression import GradientDescentRegressor


class Understock:
    """Squared error that counts four times where the prediction is too low."""

    def value(self, label, raw_prediction):
        return self.curvature(label, raw_prediction) * (raw_prediction - label) ** 2 / 2

    def derivative(self, label, raw_prediction):
        return self.curvature(label, raw_prediction) * (raw_prediction - label)

    def curvature(self, label, raw_prediction):
        return np.where(raw_prediction < label, 4.0, 1.0)


cautious = GradientDescentRegressor(loss=Understock(), featuresCols=measurements).fit(patients)
print(cautious.summary)

# %%
# Beside the plain squared error: fewer labels are above their predictions.
plain = GradientDescentRegressor(loss="squared", featuresCols=measurements).fit(patients)
errors = {}
for name, model in {"squared": plain, "Understock": cautious}.items():
    scored = model.transform(patients).select("label", "prediction").toPandas()
    errors[name] = scored["label"] - scored["prediction"]
    print(f"{name:<11} too low for {np.mean(errors[name] > 0):.0%} of the patients")

# %%
from matplotlib import pyplot as plt

_, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, error in errors.items():
    axes.hist(error, bins=30, alpha=0.5, label=name)
axes.axvline(0.0, color="0.3", linewidth=1)
axes.set(xlabel="label less prediction", ylabel="patients")
legend = axes.legend()

# %%
# A class that is defined in a program can be trained with, but a model of it cannot be saved: for that it must be in a
# module that can be imported. The param may then also be its path, such as ``loss="my_package.losses:Understock"``.
spark.stop()
