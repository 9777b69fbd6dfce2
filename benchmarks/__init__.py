"""Measurements: sigmax and its peers side by side, in one run."""
