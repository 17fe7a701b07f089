"""
A path of penalties
===================

A lasso for every penalty from the least that leaves no coefficient down to a thousandth of it: 50 models in shared
rounds. The rows of a validation column choose among them.
"""

# %%
# 442 patients, ten measurements each, and how far their diabetes had progressed a year later. Half of the rows,
# drawn at random, are for validation.
import numpy as np
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
frame = source.frame.rename(columns={"target": "label"})
frame["held_out"] = np.random.default_rng(1).random(len(frame)) < 0.5
patients = spark.createDataFrame(frame).coalesce(2).cache()

# %%
# ``regParamPath`` makes an estimator of paths of any of sparkgd's estimators that has a ``regParam``. Its ``fit``
# returns the model with the least loss on the held-out rows.
from sparkgd.regression import LinearRegression

lasso = LinearRegression(featuresCols=measurements, elasticNetParam=1.0, validationIndicatorCol="held_out")
model = lasso.regParamPath(nLambda=50, ratio=0.001).fit(patients)
print(f"chosen: number {model.path.chosen} of {len(model.path)}, regParam {model.getRegParam():.3g}")

# %%
# ``model.path`` has all of them.
model.path.table.iloc[::7]

# %%
# Every coefficient, of standardised columns, against the penalty. The vertical line is the choice.
axes = model.path.plot()

# %%
spark.stop()
