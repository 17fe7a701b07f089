"""Several classes by a classifier of two, one for each class."""

from __future__ import annotations

from typing import Any

from pyspark.ml.classification import OneVsRest as MLlibOneVsRest
from pyspark.ml.classification import OneVsRestModel
from pyspark.ml.util import DefaultParamsReader, MLReader
from pyspark.sql import DataFrame

from sparkgd.ml.columns import temporary_name
from sparkgd.ml.features import vector_column
from sparkgd.ml.params.shared import value_or_none


class OneVsRest(MLlibOneVsRest[Any]):
    """``pyspark.ml.classification.OneVsRest``, whose classifier may also read several columns (``featuresCols``)."""

    def _fit(self, dataset: DataFrame) -> OneVsRestModel:
        classifier: Any = self.getClassifier()
        several = value_or_none(classifier, "featuresCols")
        if not several:
            return super()._fit(dataset)
        # MLlib's own passes on one column of features: it is made of the several for the fit, not for the models.
        vector, alone = temporary_name("features"), classifier.copy()
        alone.clear(alone.featuresCols)
        assembled = dataset.withColumn(vector, vector_column(dataset, tuple(several)))
        model = MLlibOneVsRest._fit(self.copy().setFeaturesCol(vector).setClassifier(alone), assembled)
        model.setFeaturesCol(self.getFeaturesCol())._set(classifier=classifier)
        for each in model.models:
            given: Any = each
            given.setFeaturesCol(classifier.getFeaturesCol()).setFeaturesCols(several)
        return model

    @classmethod
    def read(cls) -> Any:
        """Reader of this class."""
        return OneVsRestReader()


class OneVsRestReader(MLReader[OneVsRest]):
    """Reads the params and the classifier."""

    def load(self, path: str) -> OneVsRest:
        """The estimator saved at ``path``."""
        metadata = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        classifier: Any = DefaultParamsReader.loadParamsInstance(f"{path}/classifier", self.sparkSession)
        result = OneVsRest(classifier=classifier)._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(result, metadata, skipParams=["classifier"])
        return result
