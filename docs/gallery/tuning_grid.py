"""
Choosing a penalty by cross-validation
======================================

Ten penalties and three folds are 30 models. They are trained together: the rows are packed once, and each round over
them serves every model that is still being trained.
"""

# %%
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

# %%
# The program is that of ``pyspark.ml.tuning`` but for its imports. ``stratify`` gives every fold its share of each
# label.
from pyspark.ml.evaluation import BinaryClassificationEvaluator

from sparkgd.classification import LogisticRegression
from sparkgd.tuning import CrossValidator, ParamGridBuilder

estimator = LogisticRegression(featuresCols=measurements)
grid = (
    ParamGridBuilder()
    .addGrid(estimator.regParam, [0.0005, 0.002, 0.01, 0.03, 0.1])
    .addGrid(estimator.elasticNetParam, [0.0, 1.0])
    .build()
)
search = CrossValidator(
    estimator=estimator,
    estimatorParamMaps=grid,
    evaluator=BinaryClassificationEvaluator(),
    numFolds=3,
    seed=1,
    stratify=True,
).fit(tumours)

# %%
# ``results`` is a pandas frame with a row for each fold and param map: the metric on the rows of the fold, how training
# ended, and in how many rounds.
table = search.results.groupby(["regParam", "elasticNetParam"])
table.agg(areaUnderROC=("metric", "mean"), error=("metric", "sem"), rounds=("rounds", "mean"))

# %%
# ``plot`` draws the mean over the folds with its standard error. There is a line for each ``elasticNetParam``, and a
# ring around the best map.
axes = search.plot()

# %%
# The model of that map, trained on all rows, is ``bestModel``.
best = search.bestModel
print(f"regParam {best.getRegParam():g}, elasticNetParam {best.getElasticNetParam():g}: {best.summary.status}")

# %%
spark.stop()
