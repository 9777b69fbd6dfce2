"""The drawings of the introduction: how a network ends in probabilities, and one output beside a vector of them."""

import warnings
from typing import Any

import altair as alt
import numpy as np
from sklearn.datasets import load_breast_cancer

import sigmax
from sigmax.plots import BLUE, GREEN, GREY, ORANGE, on_light, rows_of
from sigmax.regression import LogisticRegression

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


def descent() -> Any:
    """Draw how far the loss of a logistic regression is above its least, step by step, down the slope and by Newton's method."""
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)  # else the slope would lead nowhere at all
    n = len(y)
    least = LogisticRegression().fit(x, y).objective_ / n
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        newton = [LogisticRegression(max_iter=k).fit(x, y).objective_ / n - least for k in range(1, 9)]
    full = np.column_stack([x, np.ones(n)])
    ridge = np.append(np.ones(x.shape[1]), 0.0)
    curvature = np.linalg.eigvalsh(full.T @ full)[-1] / 4 / n + 1 / n
    w = np.zeros(full.shape[1])
    slope = []
    for _ in range(41):
        z = full @ w
        slope.append(float(sigmax.binary_cross_entropy(z, y).mean() + (ridge * w * w).sum() / 2 / n) - least)
        w = w - (full.T @ (sigmax.sigmoid(z) - y) / n + ridge * w / n) / curvature
    above = [slope[0], *(v for v in newton if v > 1e-15)]
    names = ["down the slope", "Newton's method"]
    data = rows_of(
        step=[*range(len(slope)), *range(len(above))],
        above=[*slope, *above],
        way=[names[0]] * len(slope) + [names[1]] * len(above),
    )
    colour = alt.Color("way:N", scale=alt.Scale(domain=names, range=[ORANGE, BLUE]))
    across = alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1))
    axis = alt.Axis(format=".0e", values=[1, 1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
    up = alt.Y("above:Q", title="loss above its least, nats a row", scale=alt.Scale(type="log"), axis=axis)
    lines = alt.Chart(data).mark_line(strokeWidth=2.5).encode(x=across, y=up, color=colour)
    dots = alt.Chart(data).mark_point(filled=True, size=40, opacity=1).encode(x=across, y=up, color=colour)
    told = "569 tumours, features scaled; the same loss, two ways down"
    head = alt.TitleParams("Learning the weights of 30 features", subtitle=told)
    return on_light((lines + dots).properties(width=480, height=260, title=head))
