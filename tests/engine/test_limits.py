"""Rounds that Spark would refuse are refused beforehand."""

from __future__ import annotations

import pytest

from sparkgd.engine.limits import check_result_size, max_result_size, parse_bytes
from sparkgd.exceptions import InvalidParamError


class Context:
    """Stands for a SparkContext of given settings."""

    def __init__(self, **settings: str) -> None:
        self._settings = {name.replace("_", "."): value for name, value in settings.items()}

    def getConf(self):
        return self._settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1g", 1 << 30),
        ("512m", 512 << 20),
        ("100kb", 100 << 10),
        ("0", 0),
        ("2GB", 2 << 30),
        ("77", 77),
        ("1 t", 1 << 40),
    ],
)
def test_spark_sizes(text, expected):
    assert parse_bytes(text) == expected


def test_no_size():
    with pytest.raises(ValueError, match="many"):
        parse_bytes("many")


def test_a_round_that_fits_is_let_through():
    check_result_size(max_result_size(Context()), (1 << 30) // 4, 4, 2)
    check_result_size(max_result_size(Context(spark_driver_maxResultSize="0")), 1 << 40, 100, 2)


def test_a_round_that_does_not_fit_names_the_setting_to_change():
    with pytest.raises(InvalidParamError, match=r"1600 MB .*maxResultSize=2000m .*aggregationDepth=3"):
        check_result_size(max_result_size(Context()), 160 << 20, 10, 2)
    with pytest.raises(InvalidParamError, match="maxResultSize") as refused:
        check_result_size(max_result_size(Context(spark_driver_maxResultSize="100m")), 160 << 20, 2, 2)
    assert "aggregationDepth" not in str(refused.value)
