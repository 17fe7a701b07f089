"""Write scikit-learn's breast cancer data (569 rows, 30 features; it ships inside scikit-learn) as parquet."""

import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer

target = Path(sys.argv[1])
target.parent.mkdir(parents=True, exist_ok=True)
frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "benign"})
frame.to_parquet(target, index=False)
