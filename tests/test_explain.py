"""The explanation's numbers."""

import math

import pytest

from sigmax.explain import odds_ratio, share_out, two_classes, weighted_sum


def test_a_softmax_shares_one_whole_and_sigmoids_do_not():
    classes = share_out([2.0, 1.0, 0.1])
    assert [c.score for c in classes] == [2.0, 1.0, 0.1]
    assert math.isclose(sum(c.probability for c in classes), 1)
    assert math.isclose(sum(c.alone for c in classes), sum(1 / (1 + math.exp(-x)) for x in (2.0, 1.0, 0.1)))
    total = sum(c.odds for c in classes)
    for c in classes:
        assert math.isclose(c.odds, math.exp(c.score))
        assert math.isclose(c.probability, c.odds / total)


def test_a_score_that_overflows_has_infinite_odds_and_probability_one():
    classes = share_out([1000.0, 0.0])
    assert classes[0].odds == math.inf
    assert classes[0].probability == 1


def test_two_classes():
    seen = two_classes(math.log(3 / 8))
    assert seen.ratio == (3, 8)
    assert math.isclose(seen.odds, 3 / 8)
    assert math.isclose(seen.probability, 3 / 11)
    assert math.isclose(seen.complement, 8 / 11)
    assert two_classes(40.0).complement == pytest.approx(math.exp(-40), rel=1e-14)


@pytest.mark.parametrize(
    ("odds", "ratio"),
    [
        (1, (1, 1)),
        (20, (20, 1)),
        (0.05, (1, 20)),
        (21, None),
        (0.0, None),
        (2 / 3, (2, 3)),
        (0.38, None),
        (math.inf, None),
    ],
)
def test_odds_ratio(odds, ratio):
    assert odds_ratio(odds) == ratio


def test_weighted_sum():
    assert weighted_sum([0.4, -1.2], [1, 0.5], 0.1) == pytest.approx(-0.1)
    with pytest.raises(ValueError, match="2 weights and 1 inputs"):
        weighted_sum([1, 2], [3])
