"""Standard errors are those that statsmodels, R and NIST tell of the same data; clusters are what Spark calls equal."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import numpy as np
import pytest
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import IncompatibleError, InvalidDataError, InvalidParamError
from sparkgd.regression import GeneralizedLinearRegression, LinearRegression
from tests.support.frames import frame
from tests.support.inference_cases import CASES, REFERENCES, Case

KINDS = ("classic", "HC0", "HC1", "HC2", "HC3", "cluster")
EXECUTIONS = ("driver", "cluster")


def rows_of(spark, case: Case):
    columns = {"cluster": case.cluster}
    columns |= {} if case.weight is None else {"weight": case.weight}
    columns |= {} if case.offset is None else {"offset": case.offset}
    return frame(spark, case.features, case.label, **columns)


def estimator_of(case: Case, execution: str = "driver"):
    params = {"execution": execution, "tol": 1e-13, "maxIter": 300}
    params |= {} if case.weight is None else {"weightCol": "weight"}
    params |= {} if case.offset is None else {"offsetCol": "offset"}
    if case.kind == "poisson":
        return GeneralizedLinearRegression(family="poisson", **params)
    return LogisticRegression(**params) if case.kind == "logistic" else LinearRegression(**params)


def errors(summary, kind: str, cluster: str = "cluster"):
    return summary.inference(kind, clusterCol=cluster if kind == "cluster" else None).standardErrors


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", CASES)
def test_standard_errors_are_those_of_statsmodels(spark, name, execution):
    case, expected = CASES[name](), json.loads(REFERENCES.read_text())[name]
    model = estimator_of(case, execution).fit(rows_of(spark, case))
    estimates = np.append(model.coefficients, model.intercept)
    np.testing.assert_allclose(estimates, expected["estimates"], rtol=1e-6)
    for kind in KINDS:
        np.testing.assert_allclose(errors(model.summary, kind), expected[kind], rtol=1e-6, err_msg=kind)


NIST = {
    "GNP.deflator": (15.0618722713733, 84.9149257747669),
    "GNP": (-0.0358191792925910, 0.0334910077722432),
    "Unemployed": (-2.02022980381683, 0.488399681651699),
    "Armed.Forces": (-1.03322686717359, 0.214274163161675),
    "Population": (-0.0511041056535807, 0.226073200069370),
    "Year": (1829.15146461355, 455.478499142212),
    "(Intercept)": (-3482258.63459582, 890420.383607373),
}
"""Certified values of Longley's data in NIST's Statistical Reference Datasets: estimates and their deviations."""


def test_longley_is_as_nist_certifies_it(spark):
    case = CASES["longley"]()
    table = estimator_of(case).fit(rows_of(spark, case)).coefficientTable
    np.testing.assert_allclose(table[["estimate", "std error"]], list(NIST.values()), rtol=1e-8)


R_WARPBREAKS = """
-0.20599 0.05157 -3.994 6.49e-05
-0.32132 0.06027 -5.332 9.73e-08
-0.51849 0.06396 -8.107 5.21e-16
 3.69196 0.04541 81.302 0
"""
"""What R prints of ``summary(glm(breaks ~ wool + tension, family = poisson, data = warpbreaks))``.

R takes the information from the weights of its last step, before it has converged: the last digit of z may be another.
"""


def test_warpbreaks_is_as_r_prints_it(spark):
    case = CASES["warpbreaks"]()
    table = estimator_of(case).fit(rows_of(spark, case)).coefficientTable
    for (_, row), line in zip(table.iterrows(), R_WARPBREAKS.strip().splitlines(), strict=True):
        estimate, error, z, p = line.split()
        assert [f"{row['estimate']:.5f}", f"{row['std error']:.5f}"] == [estimate, error]
        assert row["z"] == pytest.approx(float(z), abs=1.5e-3)
        assert p in ("0", f"{row['P>|z|']:.2e}")


@pytest.fixture(scope="module")
def clustered(spark):
    """Rows of the generated logistic regression, their clusters (0 to 40) in columns of many types."""
    case = CASES["generated_logistic"]()
    number = F.col("cluster").cast("int")
    text = F.concat(F.lit("cluster, "), number.cast("string"))
    columns = {
        "byte": number.cast("byte"),
        "double": F.when(number == 1, -0.0).when(number == 2, float("nan")).otherwise(number + 0.5),
        "string": text,
        "boolean": number > 5,
        "date": F.date_add(F.lit(datetime.date(2020, 1, 1)), number),
        "timestamp": F.timestamp_micros(number.cast("long")),
        "local time": F.timestamp_micros(number.cast("long")).cast("timestamp_ntz"),
        "decimal": (number / 7).cast("decimal(30, 20)"),
        "binary": F.encode(text, "utf-16"),
        "struct": F.struct((number % 5).alias("a"), F.struct(F.floor(number / 5).alias("b")).alias("c")),
        "array": F.transform(F.array(F.lit(0), number), lambda x: F.timestamp_micros(x.cast("long"))),
        "days": F.make_dt_interval(number),
        "months": F.make_ym_interval(months=number),
    }
    df = rows_of(spark, case).withColumns(columns).withColumns({"one": F.lit("same"), "map": F.create_map(text, text)})
    df = df.withColumns({"hollow": F.when(number != 3, text), "dot.ted": number}).cache()
    yield df, estimator_of(case).fit(df)
    df.unpersist()


TYPES = ("byte", "double", "string", "date", "timestamp", "local time", "decimal", "binary", "struct", "array", "days",
         "months", "dot.ted")  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_ids_of_clusters_have_any_type(clustered, name):
    _, model = clustered
    expected = errors(model.summary, "cluster")
    np.testing.assert_allclose(errors(model.summary, "cluster", name), expected, rtol=1e-10)
    assert model.summary.inference("cluster", clusterCol=name).degreesOfFreedom == 40 - 1


def test_positive_and_negative_zero_are_one_cluster(clustered):
    df, _ = clustered
    zeros = df.withColumn("zero", F.when(F.rand(1) < 0.5, -0.0).otherwise(0.0) + F.floor(F.col("cluster") / 3))
    model = estimator_of(CASES["generated_logistic"]()).fit(zeros.withColumn("third", F.floor(F.col("cluster") / 3)))
    np.testing.assert_allclose(
        errors(model.summary, "cluster", "zero"), errors(model.summary, "cluster", "third"), rtol=1e-10
    )


REFUSED = {
    "no column": ({"covariance": "cluster"}, InvalidParamError, "covariance='cluster' needs clusterCol"),
    "another kind": (
        {"covariance": "HC0", "clusterCol": "string"}, IncompatibleError, "clusterCol='string' is for covariance=",
    ),
    "missing": ({"covariance": "cluster", "clusterCol": "town"}, InvalidDataError, "clusterCol='town' does not exist"),
    "a map": ({"covariance": "cluster", "clusterCol": "map"}, InvalidDataError, "clusterCol='map' has type map<"),
    "one cluster": (
        {"covariance": "cluster", "clusterCol": "one"}, InvalidDataError, "'one' has one cluster for all rows",
    ),
    "null": (
        {"covariance": "cluster", "clusterCol": "hollow"}, InvalidDataError, r"column 'hollow' has \d+ rows .* null",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_clusters_that_say_nothing_are_refused(clustered, case):
    _, model = clustered
    options, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        model.summary.inference(**options)


def test_nulls_are_counted(clustered):
    df, model = clustered
    count = df.where("hollow is null").count()
    with pytest.raises(InvalidDataError, match=f"has {count} rows"):
        model.summary.inference("cluster", clusterCol="hollow")


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_clusters_are_those_of_the_rows_of_the_fit(spark, clustered, execution):
    """Validation rows have no say, and need no cluster; class weights count."""
    df, _ = clustered
    df = df.withColumn("held", F.col("cluster") > 30).withColumn(
        "some", F.when(F.col("cluster") <= 30, F.col("cluster"))
    )
    params = {"execution": execution, "tol": 1e-13, "maxIter": 300}
    held = LogisticRegression(validationIndicatorCol="held", classWeight={0: 2.0}, **params).fit(df)
    alone = df.where("not held").withColumn("w", F.when(F.col("label") == 0, 2.0).otherwise(1.0))
    fixed = LogisticRegression(weightCol="w", initialCoefficients=held.coefficients, maxIter=0, execution=execution)
    fixed.setInitialIntercept(held.intercept)
    model = fixed.fit(alone)
    np.testing.assert_allclose(
        errors(held.summary, "cluster", "some"), errors(model.summary, "cluster", "cluster"), rtol=1e-9
    )


def test_a_linear_table_has_the_t_distribution_of_the_clusters(spark):
    from scipy import stats

    case = CASES["diabetes"]()
    found = estimator_of(case).fit(rows_of(spark, case)).summary.inference("cluster", clusterCol="cluster")
    clusters = len(np.unique(case.cluster))
    expected = 2.0 * stats.t(clusters - 1).sf(np.abs(found.statistics))
    np.testing.assert_allclose(found.pValues, expected)
    assert list(found.table().columns[2:4]) == ["t", "P>|t|"]


def test_a_cluster_of_its_own_for_each_row_is_hc1(spark):
    """The correction is then that of HC1, to the letter: G = n."""
    case = CASES["generated_poisson"]()
    df = rows_of(spark, case).withColumn("row", F.monotonically_increasing_id())
    summary = estimator_of(case).fit(df).summary
    np.testing.assert_allclose(errors(summary, "cluster", "row"), errors(summary, "HC1"), rtol=1e-9)


def test_decimals_that_differ_in_the_last_digit_are_two(spark):
    import pyarrow as pa

    from sparkgd.engine.grouped import numbered

    close = [Decimal("0.12345678901234567890"), Decimal("0.12345678901234567891"), None]
    codes, groups = numbered(pa.array(close * 2))
    assert codes.tolist() == [0, 1, 2, 0, 1, 2]
    assert groups.to_pylist() == close
