"""Print the lower bounds that pyproject.toml states as exact versions, for ``pip install -c``."""

import re
from pathlib import Path

BOUND = re.compile(r'"([\w-]+)>=([\d.]+)')

pyproject = Path(__file__).parents[1] / "pyproject.toml"
sections = pyproject.read_text().split("[project]")[1].split("[tool.")[0]  # a regex, as Python 3.10 has no tomllib
for name, version in BOUND.findall(sections):
    print(f"{name}=={version}")
