"""Write a zip for ``spark-submit --py-files``: the package, and the modules that the jobs import."""

import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

root = Path(__file__).parents[1]
target = Path(sys.argv[1])
target.parent.mkdir(parents=True, exist_ok=True)
with ZipFile(target, "w", ZIP_DEFLATED) as archive:
    for source in sorted(path for kind in ("*.py", "*.txt") for path in (root / "sparkgd").rglob(kind)):
        archive.write(source, source.relative_to(root))
    for shared in sorted((root / "jobs").glob("*_*.py")):  # those without an underscore are the jobs themselves
        archive.write(shared, shared.name)
print(target)
