"""
Make the score files of this folder: real models on real data, held-out rows only.

    pip install 'sigmax[examples]' && python examples/make_scores.py

- digits: scikit-learn's 1,797 scanned digits (UCI, Alpaydin and Kaynak 1998), 10 classes; gradient-boosted trees, whose
  decision function gives one raw score a class, trained on 60 % of the rows.
- breast_cancer: scikit-learn's 569 tumours (UCI, Wolberg et al. 1995), malignant or benign; a linear support vector
  machine, whose decision function is the margin: one raw score, positive for benign.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

HERE = Path(__file__).parent


def digits() -> pa.Table:
    """Return one score a class for the held-out digits."""
    data = load_digits()
    rows = np.arange(len(data.target))
    train, test = train_test_split(rows, test_size=0.4, random_state=0, stratify=data.target)
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1, random_state=0)
    scores = model.fit(data.data[train], data.target[train]).decision_function(data.data[test])
    columns = {f"score_{k}": scores[:, k].round(6) for k in range(scores.shape[1])}
    return pa.table({"row": [f"digit-{i:04d}" for i in test], **columns, "label": data.target[test]})


def breast_cancer() -> pa.Table:
    """Return the margin of the held-out tumours."""
    data = load_breast_cancer()
    rows = np.arange(len(data.target))
    train, test = train_test_split(rows, test_size=0.5, random_state=0, stratify=data.target)
    model = make_pipeline(StandardScaler(), LinearSVC(C=0.1, random_state=0))
    margin = model.fit(data.data[train], data.target[train]).decision_function(data.data[test])
    return pa.table(
        {
            "row": [f"tumour-{i:03d}" for i in test],
            "margin": margin.round(6),
            "diagnosis": data.target_names[data.target[test]],
        }
    )


def main() -> None:
    """Write the files."""
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    for name, table in (("digits", digits()), ("breast_cancer", breast_cancer())):
        pyarrow.csv.write_csv(table, HERE / f"{name}_scores.csv", options)
        pyarrow.parquet.write_table(table, HERE / f"{name}_scores.parquet")
        print(f"{name}_scores: {table.num_rows} rows")


if __name__ == "__main__":
    main()
