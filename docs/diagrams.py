"""The drawings of the introduction: how a network ends in probabilities, and one output beside a vector of them."""

from typing import Any

import altair as alt

from sigmax.plots import BLUE, GREEN, GREY, ORANGE, on_light, rows_of

RADIUS = 18


def _drawn(
    nodes: list[tuple[float, float, str, str]], edges: list[tuple[int, int]], words: list[tuple], size: tuple[int, int]
) -> Any:
    """Draw circles (x, y, text, colour), lines between them by number, and words (x, y, text, weight) in a picture of a size in pixels."""
    across, up = alt.Scale(domain=[0, size[0]]), alt.Scale(domain=[0, size[1]])
    place = dict(x=alt.X("x:Q", scale=across, axis=None), y=alt.Y("y:Q", scale=up, axis=None))
    lines = rows_of(
        **{k: [nodes[e[i]][j] for e in edges] for i, j, k in ((0, 0, "x"), (0, 1, "y"), (1, 0, "x2"), (1, 1, "y2"))}
    )
    layers = [alt.Chart(lines).mark_rule(color=GREY, opacity=0.7).encode(**place, x2="x2:Q", y2="y2:Q")]
    for colour in dict.fromkeys(n[3] for n in nodes):
        of_colour = [n for n in nodes if n[3] == colour]
        data = rows_of(**{k: [n[i] for n in of_colour] for i, k in enumerate(("x", "y", "text"))})
        circle = alt.Chart(data).mark_point(filled=True, size=4 * RADIUS**2, color=colour, opacity=1).encode(**place)
        layers += [circle, alt.Chart(data).mark_text(color="#111111", fontWeight="bold").encode(**place, text="text:N")]
    for weight in ("normal", "bold"):
        data = rows_of(**{k: [w[i] for w in words if w[3] == weight] for i, k in enumerate(("x", "y", "text"))})
        layers.append(alt.Chart(data).mark_text(fontWeight=weight).encode(**place, text="text:N"))
    return on_light(alt.layer(*layers).properties(width=size[0], height=size[1]))


def network() -> Any:
    """Draw the way from features through a network to the probabilities of three classes."""
    nodes: list[tuple[float, float, str, str]] = [(60, y, f"x{i}", GREY) for i, y in ((1, 180), (2, 120), (3, 60))]
    nodes += [(190, y, "", GREY) for y in (210, 150, 90, 30)]
    nodes += [(320, y, f"z{i}", ORANGE) for i, y in ((1, 180), (2, 120), (3, 60))]
    nodes += [(480, y, f"p{i}", BLUE) for i, y in ((1, 180), (2, 120), (3, 60))]
    edges = [(i, 3 + j) for i in range(3) for j in range(4)]
    edges += [(3 + j, 7 + k) for j in range(4) for k in range(3)] + [
        (7 + k, 10 + m) for k in range(3) for m in range(3)
    ]
    words = [(60, 245, "features X", "bold"), (190, 245, "weighted sums", "bold"), (320, 245, "scores", "bold")]
    words += [
        (400, 245, "softmax", "normal"),
        (480, 245, "probabilities", "bold"),
        (320, 222, "any real numbers", "normal"),
    ]
    words += [(570, y, f"P(Y = {k} | X = x)", "normal") for k, y in ((1, 180), (2, 120), (3, 60))]
    words.append((480, 222, "sum to 1", "normal"))
    return _drawn(nodes, edges, words, (640, 260))


def outputs() -> Any:
    """Draw the two ways in which a classifier ends: one score for two classes, and one score for each of several."""
    nodes: list[tuple[float, float, str, str]] = [
        (70, 110, "z", ORANGE),
        (190, 150, "σ(z)", BLUE),
        (190, 70, "σ(−z)", BLUE),
    ]
    nodes += [(400, y, f"z{i}", ORANGE) for i, y in ((1, 170), (2, 110), (3, 50))]
    nodes += [(520, y, f"p{i}", GREEN) for i, y in ((1, 170), (2, 110), (3, 50))]
    edges = [(0, 1), (0, 2)] + [(3 + i, 6 + j) for i in range(3) for j in range(3)]
    words = [
        (130, 225, "two classes: one score, the sigmoid", "bold"),
        (460, 225, "many: a vector of scores, the softmax", "bold"),
    ]
    words += [(260, 150, "P(Y = 1 | X = x)", "normal"), (260, 70, "P(Y = 0 | X = x)", "normal")]
    words += [(590, y, f"P(Y = {k} | X = x)", "normal") for k, y in ((1, 170), (2, 110), (3, 50))]
    return _drawn(nodes, edges, words, (650, 240))
