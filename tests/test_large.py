"""Beyond 2^31: slow, and of many gigabytes."""

import numpy as np
import pytest

import sigmax

pytestmark = pytest.mark.slow


def test_an_array_of_more_than_2_31_elements():
    n = 2**31 + 100
    x = np.zeros(n, np.float16)
    x[-3:] = [-1, 2, 3]
    y = sigmax.sigmoid(x, out=x)
    np.testing.assert_array_equal(y[-3:], sigmax.sigmoid(np.array([-1, 2, 3], np.float16)))
    for i in (0, 2**31 - 1, 2**31, n - 4):
        assert y[i] == 0.5


def test_a_row_of_more_than_2_31_classes():
    n = 2**31 + 100
    x = np.full(n, -30, np.float16)
    x[5], x[-1] = 1, 2
    p = sigmax.softmax(x, out=x)
    small = sigmax.softmax([1.0, 2.0, -30 + np.log(n - 2)])
    np.testing.assert_allclose(p[[5, -1]].astype(float), small[:2], rtol=1e-3)
    assert p[0] == p[2**31] == np.float16(small[2] / (n - 2))
