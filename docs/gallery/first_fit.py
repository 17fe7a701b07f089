"""
A first fit
===========

A logistic regression on real tumours: how it ended, how the objective fell, and what two other solvers make of the
same problem.
"""

# %%
# The data are 569 tumours with 30 measurements each; the label is 1 for a benign one. One setting is worth having in
# every session that trains: Spark talks to its Python workers through Unix sockets, which shortens every round.
from pyspark.sql import SparkSession
from sklearn.datasets import load_breast_cancer

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.python.unix.domain.socket.enabled", "true")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
source = load_breast_cancer(as_frame=True)
measurements = list(source.feature_names)
tumours = spark.createDataFrame(source.frame).withColumnRenamed("target", "label").coalesce(2).cache()
train, test = tumours.randomSplit([0.8, 0.2], seed=1)

# %%
# ``featuresCols`` takes the columns as they are: no ``VectorAssembler`` is needed. The summary says how the fit ended
# and why, which solver ran and why, and where the rounds ran. These data are small, so they ran in the driver process.
from sparkgd.classification import LogisticRegression

model = LogisticRegression(featuresCols=measurements, regParam=0.01).fit(train)
print(model.summary)

# %%
# The objective is flat after a few iterations. The gradient norm, on the right, shows that the fit went on improving
# until it converged.
axes = model.summary.plot()

# %%
# On rows that it has not seen:
print(f"area under ROC {model.evaluate(test).areaUnderROC:.4f}")

# %%
# All solvers minimise the same objective. They differ in how many rounds they need, and in what a round costs. Drawn is
# how far the objective is above the least one found.
import numpy as np
from matplotlib import pyplot as plt

histories = {}
for solver in ["gd", "l-bfgs", "newton"]:
    summary = LogisticRegression(featuresCols=measurements, regParam=0.01, solver=solver).fit(train).summary
    histories[solver] = np.array(summary.objectiveHistory)
    print(f"{solver:<8} {summary.status} after {summary.totalRounds} rounds")
least = min(history.min() for history in histories.values())

_, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for solver, history in histories.items():
    axes.semilogy(history - least + 1e-16, marker=".", label=solver)
axes.set(xlabel="iteration", ylabel="objective above the least")
legend = axes.legend()

# %%
spark.stop()
