"""The functions on the arrays, tensors and frames of other libraries: one file a library, found by `registry`."""
