"""Data sets whose standard errors statsmodels has told once; the errors are in ``inference_references.json``.

``python -m tests.support.inference_cases``, with statsmodels and scikit-learn, writes that file anew. No test needs
statsmodels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support import datasets

Array = npt.NDArray[np.float64]

REFERENCES = Path(__file__).with_suffix(".json").with_stem("inference_references")

ROBUST = ("HC0", "HC1", "HC2", "HC3")

LONGLEY = """
60323 83.0 234289 2356 1590 107608 1947
61122 88.5 259426 2325 1456 108632 1948
60171 88.2 258054 3682 1616 109773 1949
61187 89.5 284599 3351 1650 110929 1950
63221 96.2 328975 2099 3099 112075 1951
63639 98.1 346999 1932 3594 113270 1952
64989 99.0 365385 1870 3547 115094 1953
63761 100.0 363112 3578 3350 116219 1954
66019 101.2 397469 2904 3048 117388 1955
67857 104.6 419180 2822 2857 118734 1956
68169 108.4 442769 2936 2798 120445 1957
66513 110.8 444546 4681 2637 121950 1958
68655 112.6 482704 3813 2552 123366 1959
69564 114.2 502601 3931 2514 125368 1960
69331 115.7 518173 4806 2572 127852 1961
70551 116.9 554894 4007 2827 130081 1962
"""
"""Longley's data (1967), as NIST has them: employment, then six columns."""


@dataclass(frozen=True)
class Case:
    """Rows of a generalized linear model and their clusters; ``kind`` is logistic, linear, poisson or multinomial."""

    kind: str
    features: Array
    label: Array
    cluster: npt.NDArray[np.int64]
    weight: Array | None = None
    offset: Array | None = None


def breast_cancer() -> Case:
    """Five columns, with which the classes cannot be separated."""
    from sklearn.datasets import load_breast_cancer

    features, label = load_breast_cancer(return_X_y=True)
    features = features[:, [0, 1, 4, 8, 9]]
    return Case("logistic", features, label.astype(float), np.digitize(features[:, 1], np.arange(12, 30, 1.5)))


def diabetes() -> Case:
    from sklearn.datasets import load_diabetes

    features, label = load_diabetes(return_X_y=True, scaled=False)
    return Case("linear", features, label, features[:, 0].astype(np.int64) // 4)


def longley() -> Case:
    table = np.array(LONGLEY.split(), dtype=float).reshape(-1, 7)
    return Case("linear", table[:, 1:], table[:, 0], np.arange(len(table)) // 3)


def warpbreaks() -> Case:
    """Dummies of wool B, tension M and tension H; three looms in a cluster."""
    features, label = datasets.load("warpbreaks")
    return Case("poisson", features.toarray(), label, np.arange(len(label)) // 3)


def randhie() -> Case:
    """Visits to a doctor; a cluster has one level of chronic disease."""
    features, label = datasets.load("randhie")
    dense = features.toarray()
    return Case("poisson", dense, label, np.unique(dense[:, 5], return_inverse=True)[1])


def generated_logistic() -> Case:
    """Weights, and clusters of very different sizes with an effect of their own."""
    random = np.random.default_rng(20)
    cluster = np.minimum(random.geometric(0.08, size=600), 40)
    features = random.normal(size=(600, 3)) * np.array([1.0, 50.0, 0.01]) + np.array([0.0, 900.0, 2.0])
    raw = features @ np.array([0.7, -0.01, 60.0]) - 111.0 + random.normal(size=41)[cluster]
    label = (raw + random.logistic(size=600) > 0.0).astype(float)
    return Case("logistic", features, label, cluster, weight=random.integers(1, 5, size=600) / 2.0)


def generated_poisson() -> Case:
    """An offset, and more variance than Poisson's."""
    random = np.random.default_rng(21)
    cluster = random.integers(0, 25, size=400)
    features, exposure = random.normal(size=(400, 4)), random.uniform(0.2, 3.0, size=400)
    mean = exposure * np.exp(features @ np.array([0.3, -0.2, 0.0, 0.1]) + 0.5 * random.normal(size=25)[cluster])
    return Case("poisson", features, random.poisson(mean).astype(float), cluster, offset=np.log(exposure))


CASES = {
    each.__name__: each
    for each in (breast_cancer, diabetes, longley, warpbreaks, randhie, generated_logistic, generated_poisson)
}


def wine() -> Case:
    """Three classes that four columns cannot tell apart."""
    from sklearn.datasets import load_wine

    features, label = load_wine(return_X_y=True)
    features = features[:, 1:5]
    return Case("multinomial", features, label.astype(float), np.digitize(features[:, 0], np.arange(1, 5, 0.5)))


def digits() -> Case:
    """Ten classes, and five pixels of the middle row."""
    from sklearn.datasets import load_digits

    features, label = load_digits(return_X_y=True)
    features = features[:, 33:38]
    return Case("multinomial", features, label.astype(float), np.arange(len(label)) // 60)


MULTINOMIAL_CASES = {each.__name__: each for each in (wine, digits)}


def by_statsmodels(case: Case) -> dict[str, list[float]]:
    """Estimates and the errors of each kind, the intercept last.

    statsmodels has no HC1 to HC3 of generalized linear models (it gives HC0 for them without a word). They are those
    of the weighted least squares of the last step of iteratively reweighted least squares.
    """
    import statsmodels.api as sm

    design = np.column_stack([case.features, np.ones(len(case.label))])
    if case.kind == "multinomial":
        return multinomial_by_statsmodels(case, design)
    weight = np.ones(len(design)) if case.weight is None else case.weight
    clusters = {"groups": case.cluster}
    if case.kind == "linear":
        model = squares = sm.WLS(case.label, design, weights=weight)
        fitted = model.fit()
    else:
        family = sm.families.Binomial() if case.kind == "logistic" else sm.families.Poisson()
        model = sm.GLM(case.label, design, family=family, offset=case.offset, var_weights=weight)
        options = {"tol": 1e-14, "maxiter": 100, "tol_criterion": "params"}
        fitted = model.fit(**options)
        slope = 1.0 / family.link.deriv(fitted.mu)
        response = design @ fitted.params + (case.label - fitted.mu) / slope
        squares = sm.WLS(response, design, weights=weight * slope**2 / family.variance(fitted.mu))
    found = {"estimates": fitted.params, "classic": fitted.bse}
    found |= {kind: squares.fit(cov_type=kind).bse for kind in ROBUST}
    found["cluster"] = fitted.model.fit(
        cov_type="cluster", cov_kwds=clusters, **({} if case.kind == "linear" else options)
    ).bse
    return {name: [float(value) for value in values] for name, values in found.items()}


def multinomial_by_statsmodels(case: Case, design: Array) -> dict[str, list[float]]:
    """The same of classes against class 0, class by class. HC1 is made of HC0, which statsmodels gives for it."""
    import statsmodels.api as sm

    def fitted(**options: Any) -> Any:
        return sm.MNLogit(case.label, design).fit(method="newton", maxiter=100, tol=1e-14, disp=False, **options)

    plain = fitted()
    found = {"estimates": plain.params, "classic": plain.bse, "HC0": fitted(cov_type="HC0").bse}
    found["HC1"] = found["HC0"] * np.sqrt(len(design) / plain.df_resid)
    found["cluster"] = fitted(cov_type="cluster", cov_kwds={"groups": case.cluster}).bse
    return {name: [float(value) for value in np.asarray(values).T.ravel()] for name, values in found.items()}


def main() -> None:
    """Write the references."""
    found = {name: by_statsmodels(case()) for name, case in (CASES | MULTINOMIAL_CASES).items()}
    lines = [f'  "{name}": {json.dumps(values)}' for name, values in found.items()]
    REFERENCES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
