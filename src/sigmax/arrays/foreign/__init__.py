"""The functions in another library's own operations: JAX, and whatever speaks the array API standard."""
