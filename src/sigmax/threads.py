"""How many threads work on a large array."""

from sigmax import _native

__all__ = ["get_num_threads", "set_num_threads"]


def get_num_threads() -> int:
    """
    Return how many threads work on a large array, the calling one included.

    Parameters
    ----------
    None

    Returns
    -------
    int
        At first the number of cores that the process may use, or what the environment variable ``SIGMAX_NUM_THREADS`` says.

    See Also
    --------
    set_num_threads : change it.

    Examples
    --------
    >>> import sigmax
    >>> sigmax.get_num_threads() >= 1
    True
    """
    return _native.get_num_threads()


def set_num_threads(n: int, /) -> None:
    """
    Let `n` threads work on a large array, the calling one included.

    Parameters
    ----------
    n : int
        1 or more; 1 leaves all work to the calling thread.

    Raises
    ------
    ValueError
        If `n` is below 1 or above 4096.

    See Also
    --------
    get_num_threads : the number in use.

    Notes
    -----
    Results do not depend on it in any bit. Arrays of fewer than 131,072 numbers are left to one thread. The threads are made when
    they are first needed, wait without spinning, and are made anew in a child of ``fork``. One call at a time is shared out: in a
    program that is itself parallel (workers of Dask or joblib, a thread pool), calls that come meanwhile stay on their own thread,
    so nothing needs to be set there.

    Examples
    --------
    >>> import sigmax
    >>> before = sigmax.get_num_threads()
    >>> sigmax.set_num_threads(1)
    >>> sigmax.get_num_threads()
    1
    >>> sigmax.set_num_threads(before)
    """
    _native.set_num_threads(n)
