"""
The functions on the arrays, tensors and frames of other libraries.

Each adapter has ``call(entry, args, options, run)`` and is found by :mod:`sigmax.dispatch`, which hands itself over as `run`; none
knows the public functions.
"""
