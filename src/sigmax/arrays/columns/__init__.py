"""Scores in columns and tables, some of which may be missing: pandas, Polars, pyarrow, NumPy's masked arrays."""
