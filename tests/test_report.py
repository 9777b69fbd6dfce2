"""The report: its figures against counting by hand, what it says of bad files, and that it needs no network."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from command import run

import sigmax
from sigmax.calibration import Cells, calibration_error, measure
from sigmax.report import write_report
from sigmax.tables import TableError

rng = np.random.default_rng(0)
NAMES = ["ant", "bee", "cat", "dog"]
SCORES = rng.normal(size=(500, 4)) * 2
TRUE = np.array([rng.choice(4, p=p) for p in sigmax.softmax(SCORES * 0.6)])


class Page(HTMLParser):
    """Tables by id, as lists of rows of words; the words of each card."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.cards, self._table, self._cell, self._card, self.links = {}, [], None, False, 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]
        if tag == "table":
            self._table = self.tables.setdefault(attributes["id"], [])
        elif tag == "tr":
            self._table.append([])
        elif tag in ("td", "th"):
            self._table[-1].append("")
            self._cell = True
        elif tag == "div" and attributes.get("class") == "card":
            self.cards.append("")
            self._card = 1

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False
        elif tag == "div":
            self._card = 0

    def handle_data(self, data):
        if self._cell:
            self._table[-1][-1] += data.strip()
        elif self._card:
            self.cards[-1] += data + " "


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "model <1>.csv"
    lines = [
        f"id-{i},{','.join(map(repr, row.tolist()))},{NAMES[y]}"
        for i, (row, y) in enumerate(zip(SCORES, TRUE, strict=True))
    ]
    lines[7] = lines[7].rsplit(",", 1)[0] + ","  # no label
    lines[9] = "id-9,,1,1,1,ant"  # no score
    path.write_text("\n".join(["id,s_ant,s_bee,s_cat,s_dog,truth", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def page(file):
    output = file.with_name("report.html")
    write_report(file, output, label="truth", temperature=1.5)
    return output.read_text()


KEPT = np.delete(np.arange(500), [7, 9])
P = sigmax.softmax(SCORES, temperature=1.5)[KEPT]
Y = TRUE[KEPT]
GUESS = P.argmax(axis=1)
LOSS = sigmax.cross_entropy(SCORES[KEPT] / 1.5, Y)


def test_the_figures_are_those_of_counting(page):
    cards = Page(page).cards
    whole = np.eye(4)[Y]
    error = calibration_error(P.max(axis=1), GUESS == Y)
    assert not error.is_found
    for card, number, name in (
        (cards[0], (GUESS == Y).mean(), "accuracy"),
        (cards[1], LOSS.mean(), "log-loss"),
        (cards[2], ((P - whole) ** 2).sum(axis=1).mean(), "Brier score"),
    ):
        assert card.split()[0] == f"{number:.4f}"
        assert name in card
    assert cards[3].split() == f"none found calibration error no error found, at most {error.high:.4f} (95 %)".split()
    found = measure(P, Y)
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    for mean, name in ((found.log_loss, "log-loss"), (found.brier, "Brier score"), (found.accuracy, "accuracy")):
        assert f"{name} {mean.mean:.4f} (95 %: {mean.low:.4f} to {mean.high:.4f})" in text
    assert f"test {found.test()}" in text
    assert f"guessing evenly gives {np.log(4):.4f}" in cards[1]


def test_a_model_that_is_too_sure_is_found_out(file, tmp_path):
    write_report(file, tmp_path / "r.html", label="truth", temperature=0.5)
    p = sigmax.softmax(SCORES, temperature=0.5)[KEPT]
    error = calibration_error(p.max(axis=1), p.argmax(axis=1) == Y)
    assert error.low > 0.15
    card = Page((tmp_path / "r.html").read_text()).cards[3]
    assert card.split() == (
        f"{error.error:.4f} calibration error 95 % interval {error.low:.4f} to {error.high:.4f}".split()
    )


def test_a_calibrated_model_is_not_accused(tmp_path):
    """Of four calibrated models not one report says more than 'none found', whose plug-in errors are far from 0."""
    draws = np.random.default_rng(7)
    for i in range(4):
        x = draws.normal(size=(400, 10)) * 2.5
        y = (draws.random((400, 1)) > np.cumsum(sigmax.softmax(x), axis=1)).sum(axis=1).clip(0, 9)
        lines = [f"{','.join(map(repr, row.tolist()))},{t}" for row, t in zip(x, y, strict=True)]
        (tmp_path / "s.csv").write_text("\n".join([",".join([f"s_{k}" for k in range(10)] + ["y"]), *lines]))
        summary = write_report(tmp_path / "s.csv", tmp_path / "r.html", label="y")
        card = Page((tmp_path / "r.html").read_text()).cards[3]
        assert card.startswith("none found"), i
        assert summary.reliability.error > 0.02
        assert 0.5 < summary.reliability.error / summary.reliability.error_by_chance < 2


def test_doubts_and_what_was_left_out_are_said_at_the_top(tmp_path):
    (tmp_path / "s.csv").write_text("who,z_a,z_b,y\n" + "r,3,1,b\nr,1,2,a\nr,5,1.5,b\n" * 5)
    write_report(tmp_path / "s.csv", tmp_path / "r.html", label="y")
    text = " ".join(re.sub(r"<[^>]*>", " ", (tmp_path / "r.html").read_text()).split())
    assert "the truth in “y”, matched by name; left out: who." in text
    assert "Take care: the accuracy of 0.0000 is no better than always saying &#39;b&#39; (0.6667)" in text


def test_the_confusion_matrix_and_the_classes_count_every_row(page):
    tables = Page(page).tables
    matrix = np.array([[int(w) for w in row[1:]] for row in tables["confusion"][1:]])
    wanted = np.zeros((4, 4), int)
    np.add.at(wanted, (Y, GUESS), 1)
    np.testing.assert_array_equal(matrix, wanted)
    assert [row[0] for row in tables["confusion"][1:]] == NAMES
    for k, row in enumerate(tables["classes"][1:]):
        mine, guessed = np.equal(Y, k), np.equal(GUESS, k)
        assert row[0] == NAMES[k]
        assert int(row[1]) == mine.sum()
        assert int(row[3]) == guessed.sum()
        assert row[5:] == [
            f"{guessed[mine].mean():.4f}",
            f"{mine[guessed].mean():.4f}",
            f"{P[mine].max(axis=1).mean():.4f}",
        ]


def test_the_worst_rows_come_first(page):
    rows = Page(page).tables["worst"][1:]
    order = np.argsort(-LOSS)[:20]
    assert [row[1] for row in rows] == [f"id-{KEPT[i]}" for i in order]
    assert [int(row[0]) for row in rows] == (KEPT[order] + 1).tolist()
    assert [row[6] for row in rows] == [f"{LOSS[i]:.4f}" for i in order]
    assert [row[2] for row in rows] == [NAMES[Y[i]] for i in order]
    assert [row[3] for row in rows] == [NAMES[GUESS[i]] + (" ✓" if GUESS[i] == Y[i] else "") for i in order]


def test_a_right_prediction_among_the_worst_is_marked(tmp_path):
    (tmp_path / "s.csv").write_text("s_a,s_b,y\n0.1,0,a\n0,9,a\n8,0,a\n")
    write_report(tmp_path / "s.csv", tmp_path / "r.html", label="y")
    page = (tmp_path / "r.html").read_text()
    assert [row[2] for row in Page(page).tables["worst"][1:]] == ["b", "a ✓", "a ✓"]
    assert page.count('class="text wrong"') == 1
    assert "marked with a tick" in page


@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_two_classes_at_every_threshold(tmp_path, kind):
    from scipy.stats import mannwhitneyu

    n = 4000
    logit = np.round(rng.normal(size=n) * 2, 2)  # with ties
    y = (rng.random(n) < sigmax.sigmoid(logit / 2)).astype(int)
    shift = rng.integers(-5, 6, n)
    scores = [
        f"{v:g}" if kind == "sigmoid" else f"{s - v / 2:g},{s + v / 2:g}" for v, s in zip(logit, shift, strict=True)
    ]
    head = "x,y" if kind == "sigmoid" else "s_no,s_yes,y"
    lines = [f"{s},{('no', 'yes')[t]}" for s, t in zip(scores, y, strict=True)]
    (tmp_path / "s.csv").write_text("\n".join([head, *lines]))
    write_report(tmp_path / "s.csv", tmp_path / "r.html", label="y", classes=["no", "yes"] if kind == "sigmoid" else ())
    page = (tmp_path / "r.html").read_text()
    p = sigmax.sigmoid(logit)
    for row in Page(page).tables["thresholds"][1:]:
        said = p >= float(row[0])
        hits, misses, alarms, rest = (
            int((a & b).sum())
            for a, b in zip([said, ~said, said, ~said], [y == 1, y == 1, y == 0, y == 0], strict=True)
        )
        assert [int(c.replace(",", "")) for c in row[1:5]] == [hits, misses, alarms, rest]
        assert row[5:] == [
            f"{hits / (hits + misses):.4f}",
            f"{hits / (hits + alarms):.4f}",
            f"{2 * hits / (2 * hits + alarms + misses):.4f}",
            f"{alarms / (alarms + rest):.4f}",
        ]
    area = mannwhitneyu(logit[y == 1], logit[y == 0]).statistic / (y.sum() * (n - y.sum()))
    assert f"area {area:.4f}" in page
    values = np.unique(logit)[::-1]
    hits = np.array([((logit >= v) & (y == 1)).sum() for v in values])
    above = np.array([(logit >= v).sum() for v in values])
    average = (np.diff(hits, prepend=0) * hits / above).sum() / y.sum()
    assert f"average precision {average:.4f}" in page
    assert page.count("<svg") == 8


def test_one_class_alone_has_no_curves(tmp_path):
    (tmp_path / "s.csv").write_text("s_a,s_b,y\n1,0,a\n0,9,a\n")
    write_report(tmp_path / "s.csv", tmp_path / "r.html", label="y")
    assert "thresholds" not in Page((tmp_path / "r.html").read_text()).tables


def test_what_was_not_counted_is_said(page):
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "500 rows read" in text
    assert "Not scored: 1 (1: a score is missing)" in text
    assert "Without a label: 1." in text
    assert "at temperature 1.5" in text


def test_the_page_needs_nothing_else(page):
    parsed = Page(page)
    assert "<script" not in page
    assert [link for link in parsed.links if not link.startswith("#")] == []
    assert "url(http" not in page
    assert "model &lt;1&gt;.csv" in page  # escaped
    assert page.count("<svg") == 4  # two figures, light and dark


def test_batches_and_a_late_change_of_type_change_nothing(tmp_path):
    n = 70_000  # more than a batch; the first fraction comes after the types were guessed
    x = rng.integers(-3, 4, (n, 2)).astype(float)
    x[-1] = [0.5, -0.25]
    y = rng.integers(0, 2, n)
    path = tmp_path / "s.csv"
    path.write_text("a,b,y\n" + "\n".join(f"{p:g},{q:g},{t}" for (p, q), t in zip(x, y, strict=True)) + "\n")
    write_report(path, tmp_path / "r.html", label="y", classes=["0", "1"], worst=3)
    tables = Page((tmp_path / "r.html").read_text()).tables
    guess = sigmax.softmax(x).argmax(axis=1)
    matrix = [[int(w.replace(",", "")) for w in row[1:]] for row in tables["confusion"][1:]]
    assert matrix == [[int(((y == i) & (guess == j)).sum()) for j in (0, 1)] for i in (0, 1)]
    loss = sigmax.cross_entropy(x, y)
    assert [float(row[-1]) for row in tables["worst"][1:]] == [float(f"{v:.4f}") for v in np.sort(loss)[::-1][:3]]


def test_two_classes_halve_the_brier_score(tmp_path):
    x, y = rng.normal(size=200) * 2, rng.integers(0, 2, 200)
    (tmp_path / "s.csv").write_text("x,y\n" + "\n".join(f"{a!r},{b}" for a, b in zip(x.tolist(), y, strict=True)))
    write_report(tmp_path / "s.csv", tmp_path / "r.html", label="y")
    card = Page((tmp_path / "r.html").read_text()).cards[2]
    assert card.split()[0] == f"{((sigmax.sigmoid(x) - y) ** 2).mean():.4f}"


def test_many_classes_show_the_most_frequent_confusions(tmp_path):
    x, y = rng.normal(size=(300, 30)), rng.integers(0, 30, 300)
    lines = [f"{','.join(map(repr, row.tolist()))},{t}" for row, t in zip(x, y, strict=True)]
    (tmp_path / "s.csv").write_text("\n".join([",".join([f"s_{k}" for k in range(30)] + ["y"]), *lines]))
    write_report(tmp_path / "s.csv", tmp_path / "r.html", label="y")
    rows = Page((tmp_path / "r.html").read_text()).tables["confusion"][1:]
    counts = np.zeros((30, 30), int)
    np.add.at(counts, (y, x.argmax(axis=1)), 1)
    np.fill_diagonal(counts, 0)
    assert [int(r[2]) for r in rows] == sorted(counts[counts > 0].tolist(), reverse=True)[:30]
    assert all(counts[int(r[0]), int(r[1])] == int(r[2]) for r in rows)


def test_thousands_of_classes_take_seconds(tmp_path):
    import time

    import pyarrow as pa
    import pyarrow.parquet as pq

    k, n = 3000, 1000
    x = rng.normal(size=(n, k))
    y = np.where(rng.random(n) < 0.5, x.argmax(axis=1), rng.integers(0, k, n))
    scores = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), k)
    pq.write_table(pa.table({"s": scores, "y": y}), tmp_path / "s.parquet")
    begin = time.perf_counter()
    write_report(tmp_path / "s.parquet", tmp_path / "r.html", label="y")
    assert time.perf_counter() - begin < 15  # it was over a minute, growing with the third power
    tables = Page((tmp_path / "r.html").read_text()).tables
    guess = x.argmax(axis=1)
    assert sum(int(row[4]) for row in tables["classes"][1:]) == (guess == y).sum()
    assert f"{(guess != y).sum():,}" == f"{len({*zip(y[guess != y], guess[guess != y], strict=True)}):,}"
    assert len(tables["confusion"]) == 31


def test_a_full_disk_leaves_the_old_report(file, monkeypatch, tmp_path):
    (tmp_path / "r.html").write_text("the old one")

    def half(self, content):
        with self.open("wb") as part:
            part.write(content[:100])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        write_report(file, tmp_path / "r.html", label="truth")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"r.html": "the old one"}


def test_what_cannot_be_reported_is_said(file, tmp_path):
    with pytest.raises(TableError, match=r"a report ends in \.html"):
        write_report(file, tmp_path / "r.pdf", label="truth")
    with pytest.raises(TableError, match="one class a row"):
        write_report(file, tmp_path / "r.html", label="truth", kind="multilabel")
    (tmp_path / "s.csv").write_text("a,b,y\n1,2,\n")
    with pytest.raises(TableError, match="nothing to report on"):
        write_report(tmp_path / "s.csv", tmp_path / "r.html", label="y")
    assert not (tmp_path / "r.html").exists()


def test_the_command_writes_the_page(file, page):
    words = ["report", file.name, "--label", "truth", "--temperature", "1.5", "-o", "again.html"]
    done = run(*words, cwd=file.parent)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Wrote a report on 500 rows to again.html"), (
        done.stderr
    )
    assert done.stdout.startswith(
        "scores: s_ant ... s_dog (4 columns), divided by 1.5; left out: id (string); classes: 4 by softmax: ant,"
    )
    assert (file.parent / "again.html").read_text() == page


def test_the_verdict_is_true(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4000, 3)) * 3
    p = sigmax.softmax(x)
    y = (rng.random(4000)[:, None] > p.cumsum(axis=1)).sum(axis=1)

    def verdict(scores, labels):
        lines = [
            "s_a,s_b,s_c,label",
            *(",".join([*map(str, row), "abc"[k]]) for row, k in zip(scores.tolist(), labels, strict=True)),
        ]
        (tmp_path / "s.csv").write_text("\n".join(lines))
        write_report(tmp_path / "s.csv", tmp_path / "r.html", label="label")
        return re.search(r'<p class="verdict">(.*?)</p>', (tmp_path / "r.html").read_text()).group(1)

    right = (x.argmax(axis=1) == y).mean()
    said = verdict(x, y)
    assert said.startswith(
        f"The model is right in {right:.1%} of 4,000 labelled rows, where always saying the most frequent class"
    )
    assert "Nothing speaks against these probabilities: those of the predicted class are off by" in said
    assert said.endswith("at most.")
    assert ", too sure. " in verdict(x * 3, y)
    assert "Calibrated, they would lose" in verdict(x * 3, y)
    assert ", not sure enough. " in verdict(x / 3, y)
    assert "4 labelled rows are too few to tell whether these probabilities hold." in verdict(x[:4], y[:4])


def test_confident_rows_lie_apart_on_the_logit_scale():
    cells = Cells()
    p = np.array([0.3, 0.5, 0.6, 0.73, 0.74, 0.999, 0.9999999999, 1.0])
    right = np.array([False, True, True, False, True, True, True, True])
    cells.add(p, right)
    edges, rows, hits = cells.by_logit()
    with np.errstate(divide="ignore"):
        part = np.clip(np.floor(sigmax.logit(p)), -16, 15)
    assert edges.tolist() == list(range(-1, 17))
    assert rows.tolist() == [int((part == e).sum()) for e in edges[:-1]]
    assert hits.tolist() == [int((part[right] == e).sum()) for e in edges[:-1]]
    assert [a.tolist() for a in Cells().by_logit()] == [[0, 1], [0], [0]]
