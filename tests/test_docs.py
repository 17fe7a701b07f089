"""The documentation names everything public, and every page of it can be found."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import sparkgd
from tests.support.environment import ROOT

DOCS = ROOT / "docs"
API = DOCS / "api"
TOCTREE = re.compile(r"^(?:```\{toctree\}|\.\. toctree::)\n(.*?)(?:^```|^``|\Z)", re.MULTILINE | re.DOTALL)
PAGES = sorted(DOCS.glob("*.md"))


def toctree(page: str) -> set[str]:
    """What a page's tables of contents name."""
    found = TOCTREE.findall((DOCS / page).read_text(encoding="utf-8"))
    assert found
    lines = [line.strip() for block in found for line in block.splitlines()]
    return {line for line in lines if line and not line.startswith(":")}


@pytest.mark.parametrize("package", sparkgd.__all__[1:])
def test_every_public_name_is_in_the_reference(package: str) -> None:
    listed = set(re.findall(r"^   ([\w.]+)$", (API / f"{package}.rst").read_text(encoding="utf-8"), re.MULTILINE))
    public = getattr(import_module(f"sparkgd.{package}"), "__all__", [])
    assert sorted(set(public) - listed) == []


def test_every_page_is_in_a_table_of_contents() -> None:
    pages = {page.stem for page in PAGES} - {"index"}
    assert pages | {"examples/index", "api/index"} == toctree("index.md")
    assert {page.stem for page in API.glob("*.rst")} - {"index"} == toctree("api/index.rst")


def test_pages_that_are_linked_to_exist() -> None:
    examples = {f"examples/{path.stem}.rst" for path in (DOCS / "gallery").glob("*.py")} | {"examples/index.rst"}
    for page in PAGES:
        for target in re.findall(r"\]\(((?!http)[^)#]+)", page.read_text(encoding="utf-8")):
            assert target in examples or (DOCS / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_blocks_are_python(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        ast.parse(block)
