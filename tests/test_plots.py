"""Pictures: the numbers in them, what they are drawn by, and the files they are written to."""

import copy
import json
import re

import numpy as np
import pytest
from command import run as command
from sklearn.isotonic import IsotonicRegression

import sigmax
from sigmax import plots
from sigmax.calibration import Cells, calibration_error, confidence_of, wilson_interval
from sigmax.decisions import Costs

rng = np.random.default_rng(0)
SCORES = rng.normal(size=(400, 4)) * 2
LABELS = rng.integers(0, 4, 400)


def rows_of(spec, datasets=None):
    """All rows of data in a specification, in one list."""
    datasets = spec.get("datasets", {}) if datasets is None else datasets
    data = spec.get("data", {})
    found = list(datasets[data["name"]] if "name" in data else data.get("values", []))
    for part in ("layer", "hconcat", "vconcat"):
        for inner in spec.get(part, []):
            found += rows_of(inner, datasets)
    return found


def marks(spec):
    """Every mark in a specification."""
    inner = [part for kind in ("layer", "hconcat", "vconcat") for part in spec.get(kind, [])]
    return [spec["mark"]] if "mark" in spec else [m for part in inner for m in marks(part)]


def having(chart, *names):
    rows = [r for r in rows_of(chart.to_dict()) if set(names) <= set(r)]
    assert rows
    return [np.array([r[n] for r in rows]) for n in names]


def channels(spec):
    """Every encoding in a specification as (mark, channel, field)."""
    mark = spec.get("mark", {})
    kind = mark if isinstance(mark, str) else mark.get("type")
    found = {(kind, channel, e.get("field")) for channel, e in spec.get("encoding", {}).items() if isinstance(e, dict)}
    for part in ("layer", "hconcat", "vconcat"):
        for inner in spec.get(part, []):
            found |= channels(inner)
    return found


def test_the_sigmoid_curve_is_the_sigmoid():
    chart = plots.sigmoid_curve(-0.98)
    x, p, curve = having(chart, "x", "p", "curve")
    first = np.char.startswith(curve, "P(class 1)")
    np.testing.assert_array_equal(p[first], sigmax.sigmoid(x[first]))
    np.testing.assert_array_equal(p[~first], sigmax.sigmoid(-x[~first]))
    assert x.min() == -6
    assert x.max() == 6
    assert {r["text"] for r in rows_of(chart.to_dict()) if "text" in r} == {"0.2729", "0.7271"}
    assert {
        ("line", "x", "x"),
        ("line", "y", "p"),
        ("line", "color", "curve"),
        ("line", "strokeDash", "curve"),
    } <= channels(chart.to_dict())


def test_odds_and_log_odds_are_those_of_the_horse():
    chart = plots.odds_and_log_odds()
    linear, logarithmic, logit = chart.to_dict()["hconcat"]
    for panel, function in ((linear, sigmax.odds), (logarithmic, sigmax.odds), (logit, sigmax.logit)):
        p, y = np.array([(r["p"], r["y"]) for r in rows_of(panel)]).T
        np.testing.assert_array_equal(y, function(p))
        assert p[-1] == 3 / 11
    assert logarithmic["layer"][0]["encoding"]["y"]["scale"]["type"] == "log"
    assert [rows_of(panel)[-1]["text"] for panel in (linear, logarithmic, logit)] == ["0.375", "0.375", "\u22120.9808"]


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_bars_lead_from_scores_to_the_softmax(temperature):
    x = np.array([2.0, 1.0, 0.1, -3])
    spec = plots.softmax_bars(x, list("abcd"), temperature=temperature).to_dict()
    score, odds, share = ([r["value"] for r in panel["data"]["values"]] for panel in spec["hconcat"])
    np.testing.assert_array_equal(score, x / temperature)
    np.testing.assert_allclose(odds, np.exp(x / temperature), rtol=1e-15)
    np.testing.assert_array_equal(share, sigmax.softmax(x, temperature=temperature))
    assert {("bar", "x", "value"), ("bar", "y", "name"), ("text", "text", "text")} == {
        c for c in channels(spec) if c[1] != "y" or c[0] == "bar"
    } - {("text", "x", "at")}
    assert [r["at"] for r in spec["hconcat"][0]["data"]["values"]][-1] == 0  # beside a bar to the left, not on it


def test_a_sigmoid_each_says_how_far_it_is_from_one():
    x = [2.0, 1.0, 0.1]
    how, begin, end = having_rows(plots.sigmoid_each(x).to_dict()["layer"][0]["data"]["values"], "how", "begin", "end")
    alone = how == "a sigmoid each"
    np.testing.assert_allclose((end - begin)[alone], sigmax.sigmoid(x), rtol=1e-12)
    np.testing.assert_allclose((end - begin)[~alone], sigmax.softmax(x), rtol=1e-12)
    assert "2.137: 1.137 more than" in plots.sigmoid_each(x).to_dict()["title"]["text"]
    assert "less than" in plots.sigmoid_each([-3.0, -4.0]).to_dict()["title"]["text"]


def test_temperature_curves_are_softmaxes():
    x = np.array([2.0, 1.0, 0.1])
    t, p = having(plots.temperature_curves(x), "t", "p", "name")[:2]
    for temperature in (t[0], t[240], t[-1]):
        np.testing.assert_allclose(p[t == temperature], sigmax.softmax(x / temperature), rtol=1e-14)


def test_textbook_formulas_err_and_ours_do_not():
    spec = plots.formula_errors().to_dict()
    titles = set()
    for line in spec["vconcat"]:
        for panel in line["hconcat"]:
            error, who = having_rows(panel["data"]["values"], "error", "who")
            ours = who == "sigmax"
            assert ours.any()
            assert error[ours].max() <= (0.75 if panel["title"] == "log-softmax of (x, 0), float32" else 0.5)
            assert error[~ours].max() > 0.5
            titles.add((panel["title"], error[~ours].max() > 1000))
    assert ("log-softmax of (x, 0), float32", True) in titles
    assert ("log-softmax of (x, 0), float16", True) in titles
    assert ("logit, float32", True) in titles
    assert len(titles) == 9


def having_rows(rows, *names):
    return [np.array([r[n] for r in rows]) for n in names]


def test_the_confidence_histogram_counts_every_row_once():
    p = sigmax.softmax(SCORES)
    rows, outcome, low = having(plots.confidence_histogram(p, LABELS, bins=8), "rows", "outcome", "low")
    confidence, right = p.max(axis=1), p.argmax(axis=1) == LABELS
    for name, which in (("right", right), ("wrong", ~right)):
        np.testing.assert_array_equal(rows[outcome == name], np.histogram(confidence[which], 8, (0, 1))[0])
    np.testing.assert_array_equal(low[:8], np.arange(8) / 8)
    assert having(plots.confidence_histogram(p), "rows")[0].sum() == 400
    assert having(plots.confidence_histogram(np.ones(3)), "rows")[0][-1] == 3


@pytest.mark.parametrize("two", [False, True])
def test_the_reliability_diagram_agrees_with_counting(two):
    p = sigmax.softmax(SCORES)
    sure, right = (p[:, 1], LABELS == 1) if two else (p.max(axis=1), p.argmax(axis=1) == LABELS)
    chart = plots.reliability_diagram(sure, right.astype(int)) if two else plots.reliability_diagram(p, LABELS)
    upper, lower = chart.to_dict()["vconcat"]
    at, share = having_rows(
        [r for r in rows_of(upper) if set(r) == {"probability", "share"}][2:], "probability", "share"
    )
    want = IsotonicRegression().fit(sure, right).predict(sure)
    np.testing.assert_allclose(np.interp(sure, at, share), want, atol=0.02)  # some rows share a cell
    np.testing.assert_allclose(np.interp(sure, at, share).mean(), right.mean(), atol=0.002)
    rows = having_rows(rows_of(lower), "rows")[0]
    np.testing.assert_array_equal(rows, np.histogram(sure, 20, (0, 1))[0])
    assert f"calibration error: {calibration_error(sure, right)}" in json.dumps(chart.to_dict())


def test_a_logit_axis_places_what_a_probability_axis_does():
    p = sigmax.softmax(SCORES)
    plain, stretched = (
        [r for r in rows_of(chart.to_dict()["vconcat"][0]) if set(r) == {"probability", "share"}][2:]
        for chart in (plots.reliability_diagram(p, LABELS, axis=axis) for axis in ("probability", "logit"))
    )
    for name in ("probability", "share"):
        with np.errstate(divide="ignore"):
            want = np.asarray(sigmax.logit([r[name] for r in plain]))
        low, high = min(r["probability"] for r in stretched), max(r["probability"] for r in stretched)
        got = np.array([r[name] for r in stretched])
        inside = (want > low) & (want < high)
        assert inside.any()
        np.testing.assert_allclose(got[inside], want[inside], atol=1e-9)
    with pytest.raises(ValueError, match="axis is 'odds'; it must be 'probability' or 'logit'"):
        plots.reliability_diagram(p, LABELS, axis="odds")


def test_terms_lead_from_nothing_to_the_score():
    terms = [(f"f{i}", float(i + 1), (-1.0) ** i / (i + 1) ** 2) for i in range(20)]
    total = sum(x * w for _, x, w in terms) - 0.25
    for count in (3, 20):
        shown = [*terms[:count], ("(constant)", 1.0, -0.25)]
        of = sum(x * w for _, x, w in shown)
        rows = [r for r in rows_of(plots.terms_chart([("one", shown, of)]).to_dict()) if "begin" in r]
        rows = rows[: [r["term"] for r in rows].index("sum z") + 1]
        assert len(rows) == (5 if count == 3 else 16)
        assert rows[0]["begin"] == 0
        assert [r["begin"] for r in rows[1:-1]] == [r["end"] for r in rows[:-2]]
        assert rows[-2]["end"] == pytest.approx(of, abs=1e-15)
        assert (rows[-1]["begin"], rows[-1]["end"]) == (0, of)
        assert all((r["end"] < r["begin"]) == (r["what"] == "takes away") for r in rows[:-1])
    assert of == pytest.approx(total)
    assert rows[13]["term"] == "14. 7 smaller ones"


def test_the_lowest_line_is_the_decision():
    costs = Costs([[0, 8, 4], [40, 0, 4]], ["good", "bad"], ["grant", "refuse", "ask"])
    lowest = [r for r in rows_of(plots.decision_lines(costs).to_dict()) if "cost" in r]
    lines = {name: (first, second) for name, first, second in zip(costs.decisions, *costs.matrix.tolist(), strict=True)}
    assert len(lowest) == 6 + 6
    for r in lowest[-6:]:
        first, second = lines[r["what"]]
        assert r["cost"] == pytest.approx((1 - r["p"]) * first + r["p"] * second, abs=1e-12)
        assert r["cost"] == pytest.approx(min((1 - r["p"]) * a + r["p"] * b for a, b in lines.values()), abs=1e-12)
    assert sorted({r["p"] for r in lowest[-6:]}) == pytest.approx([0, 0.1, 0.5, 1])
    one = Costs([[0, 1], [0, 1]], ["a", "b"], ["stay", "go"])
    rows = [r for r in rows_of(plots.decision_lines(one).to_dict()) if "cost" in r]
    assert [r["what"] for r in rows[-2:]] == ["stay", "stay"]


def test_an_interval_stays_within_its_range():
    low, high = wilson_interval([0, 5, 0], [0, 5, 5])
    assert (low[0], high[0]) == (0, 1)
    assert 0 < low[1] < high[1] == 1
    assert 0 == low[2] < high[2] < 1


def test_two_classes_may_come_as_one_probability():
    p = sigmax.sigmoid(SCORES[:, 0])
    found = confidence_of(p, LABELS % 2)
    same = confidence_of(np.stack([1 - p, p], axis=1), LABELS % 2)
    np.testing.assert_array_equal(found[0], same[0])
    np.testing.assert_array_equal(found[1], same[1])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: plots.softmax_bars([1.0]), r"shape \(1,\).*2 to 40 scores"),
        (lambda: plots.softmax_bars([1.0, np.nan]), "nan"),
        (lambda: plots.softmax_bars([1.0, 2.0], ["a", "a"]), "a name of its own"),
        (lambda: plots.sigmoid_curve(low=1, high=1), "low must be below high"),
        (lambda: plots.odds_and_log_odds(1), "between 0 and 1"),
        (lambda: plots.temperature_curves([1.0, 2.0], low=0), "0 < low < high"),
        (lambda: plots.reliability_diagram(SCORES, LABELS), "turn scores into probabilities"),
        (
            lambda: plots.reliability_diagram(sigmax.softmax(SCORES), LABELS + 1),
            "the label 4 is none of the classes: 0, 1, 2, 3",
        ),
        (
            lambda: plots.reliability_diagram(sigmax.softmax(SCORES), LABELS[1:]),
            r"labels of shape \(399,\) for 400 rows",
        ),
        (lambda: plots.confidence_histogram([0.5], bins=0), "0 bins"),
        (lambda: plots.sigmoid_curve(1e6), "the logit is 1e.06; the picture reaches from -50 to 50"),
        (lambda: plots.odds_and_log_odds(0.99999), "the picture reaches from 0.005 to 0.995"),
        (lambda: plots.save(plots.sigmoid_curve(), "x.gif"), r"'\.gif'.*\.png, \.svg, \.pdf, \.html"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def contrast(colour, ground):
    """The ratio of contrast of two colours, as the accessibility guidelines have it: 3 is asked of lines, 4.5 of text."""

    def light(text):
        c = np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722] + 0.05

    low, high = sorted([light(colour), light(ground)])
    return high / low


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.sigmoid_curve(1.0),
        lambda: plots.odds_and_log_odds(0.3),
        lambda: plots.softmax_bars([2, 1], ["#0072B2", ' fill="#222222" > id="x"']),
        lambda: plots.sigmoid_each([2, 1], ["#0072B2", "#ffffff"]),
        lambda: plots.confidence_histogram([[0.9, 0.1]], [0]),
        lambda: plots.reliability_diagram([[0.9, 0.1]] * 30, [0] * 29 + [1]),
    ],
)
def test_the_dark_chart_shows_the_same_in_colours_that_stand_out(draw):
    light, dark = draw().to_dict(), plots.on_dark(draw()).to_dict()
    whole = copy.deepcopy(dark)
    assert light.pop("config")["background"] == "#ffffff"
    config = dark.pop("config")
    assert config["background"] == "#15181d"
    assert config["axis"]["labelColor"] == config["text"]["color"] == "#e6e6e6"
    assert rows_of(light) == rows_of(dark)
    assert channels(light) == channels(dark)

    def colours(part, key=""):
        if isinstance(part, dict):
            return {c for k, v in part.items() if k not in ("data", "domain") for c in colours(v, k)}
        if isinstance(part, list):
            return {c for v in part for c in colours(v, key)}
        return {part} if isinstance(part, str) and part.startswith("#") else set()

    # on a page both are drawn at once, with names of their own
    import vl_convert

    drawn = plots.light_and_dark(draw())
    wanted = [vl_convert.vegalite_to_svg(spec) for spec in (draw().to_dict(), whole)]
    for svg, of_chart in zip(drawn, wanted, strict=True):
        assert re.sub(r"(dark-)?clip\d+", "clip", svg) == re.sub(r"clip\d+", "clip", of_chart)
    first, second = (set(re.findall(r'<clipPath id="([^"]*)"', svg)) for svg in drawn)
    assert not first & second

    for spec, ground in ((light, "#ffffff"), (dark, "#15181d")):
        drawn = colours(spec) - {ground, "#111111"}  # the rim of text, and text on bars
        assert drawn
        for colour in drawn:
            floor = (
                3 if ground == "#15181d" or colour.upper() not in ("#E69F00", "#56B4E9", "#F0E442", "#CC79A7") else 1
            )
            assert contrast(colour, ground) > floor, colour


def test_texts_have_a_minus_and_a_rim():
    spec = plots.odds_and_log_odds(0.2).to_dict()
    texts = [mark for mark in marks(spec) if mark["type"] == "text"]
    assert [t.get("stroke") for t in texts] == ["#ffffff", None] * 3
    assert not any("-" in r["text"] for r in rows_of(spec) if "text" in r)


def test_every_format_is_written(tmp_path):
    chart = plots.sigmoid_each([2.0, 1.0, 0.1])
    begins = {".png": b"\x89PNG", ".svg": b"<svg", ".pdf": b"%PDF", ".html": b"<!DOCTYPE html>"}
    for ending, begin in begins.items():
        plots.save(chart, tmp_path / f"chart{ending}")
        assert (tmp_path / f"chart{ending}").read_bytes().lstrip().startswith(begin)
    page = (tmp_path / "chart.html").read_text()
    assert "<title>A sigmoid of each score adds up to 2.137" in page
    assert not re.search(r"<(script|link)[^>]*(src|href)=", page)


EVIL = "</script><script>document.title='owned'</script><!--"


def test_names_cannot_leave_the_script_of_a_page(tmp_path):
    plots.save(plots.softmax_bars([1.0, 2.0], [EVIL, "x"]), tmp_path / "chart.html")
    page = (tmp_path / "chart.html").read_text()
    assert "document.title" in page
    assert EVIL not in page
    assert "<script>document.title" not in page
    assert page.count("</script>") == page.count("<script")
    # the chart is the same: its specification reads back whole
    spec = json.loads(re.search(r"spec = (\{.*\});", page)[1])
    assert spec == plots.softmax_bars([1.0, 2.0], [EVIL, "x"]).to_dict()
    plots.save(plots.softmax_bars([1.0, 2.0], [EVIL, "x"]), tmp_path / "chart.svg")
    assert "<script" not in (tmp_path / "chart.svg").read_text()


def test_a_page_that_is_made_otherwise_is_an_error(monkeypatch, tmp_path):
    import vl_convert

    monkeypatch.setattr(vl_convert, "vegalite_to_html", lambda *_arguments, **_options: "<html></html>")
    with pytest.raises(RuntimeError, match="vl-convert writes another page"):
        plots.save(plots.sigmoid_curve(), tmp_path / "chart.html")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_picture(monkeypatch, tmp_path):
    (tmp_path / "chart.svg").write_text("the old one")

    def half(self, content):
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        plots.save(plots.sigmoid_curve(), tmp_path / "chart.svg")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"chart.svg": "the old one"}


def test_the_command_draws_a_score_file(tmp_path):
    lines = [",".join([*map(repr, row.tolist()), str(y)]) for row, y in zip(SCORES, LABELS, strict=True)]
    (tmp_path / "scores.csv").write_text("\n".join(["s_0,s_1,s_2,s_3,y", *lines]) + "\n")
    p = sigmax.softmax(SCORES)
    cells = Cells()
    cells.add(p.max(axis=1), p.argmax(axis=1) == LABELS)
    edges, rows, hits = cells.by_logit()
    label = ("--label", "y")
    for name, options, chart in (
        ("reliability", label, plots.reliability_diagram(p, LABELS)),
        ("confidence", label, plots.confidence_chart({"right": hits, "wrong": rows - hits}, edges)),
        ("confidence", ("--columns", "s_*"), plots.confidence_histogram(p)),
    ):
        done = command("plot", name, "scores.csv", *options, "-o", "out.svg", cwd=tmp_path)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Wrote out.svg"), done.stderr
        plots.save(chart, tmp_path / "wanted.svg")
        # the command adds up batch by batch, so the last digits may differ
        assert rounded(tmp_path / "out.svg") == rounded(tmp_path / "wanted.svg")


def rounded(path):
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.6f}", path.read_text())


@pytest.mark.parametrize(
    ("words", "chart"),
    [
        (["sigmoid", "-1.5"], lambda: plots.sigmoid_curve(-1.5)),
        (["odds", "0.5"], lambda: plots.odds_and_log_odds(0.5)),
        (["softmax", "2", "-1", "--temperature", "2"], lambda: plots.softmax_bars([2, -1], temperature=2)),
        (["sigmoid-each", "2", "1", "--classes", "a", "b"], lambda: plots.sigmoid_each([2, 1], ["a", "b"])),
        (["temperature", "2", "1", "--dark"], lambda: plots.on_dark(plots.temperature_curves([2, 1]))),
        (["accuracy"], plots.formula_errors),
    ],
)
def test_the_command_draws_what_the_function_draws(tmp_path, words, chart):
    done = command("plot", *words, "-o", "out.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plots.save(chart(), tmp_path / "wanted.svg")
    # clips are numbered as they are drawn in a process
    drawn, wanted = (re.sub(r"clip\d+", "clip", (tmp_path / f"{name}.svg").read_text()) for name in ("out", "wanted"))
    assert drawn == wanted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["softmax", "2", "x", "-o", "a.png"], "'x' is not a number"),
        (["sigmoid", "1", "2", "-o", "a.png"], "'sigmoid' marks one number; there are 2"),
        (["accuracy", "1", "-o", "a.png"], "takes no numbers"),
        (["reliability", "a.csv", "-o", "a.png"], "--label"),
        (["confidence", "-o", "a.png"], "give one score file"),
        (["confidence", "missing.csv", "-o", "a.gif"], "unknown ending '.gif'"),  # before a large file is read
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, words, said):
    done = command("plot", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
