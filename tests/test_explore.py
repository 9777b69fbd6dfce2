"""The page of ``sigmax explore`` in a browser: every control, the numbers it leads to, files good and bad, and who is asked for what."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from command import run as command

import sigmax
from sigmax.calibration.judged import judge
from sigmax.decisions import Costs, decide, realised
from sigmax.explain import weighted_sum
from sigmax.tables.model import Model

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# the gate sets SIGMAX_BROWSER, so that a missing browser cannot hide there
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and "SIGMAX_BROWSER" not in os.environ, reason="there is no Chromium on this machine"
)

rng = np.random.default_rng(0)
LOGITS = rng.normal(size=120) * 3
TRUE = (rng.random(120) < sigmax.sigmoid(LOGITS / 2)).astype(int)
SCORES = rng.normal(size=(60, 3)) * 2
CLASSES = rng.integers(0, 3, 60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("explore")
    lines = [f"p{i},{x!r},{['no', 'yes'][y]}" for i, (x, y) in enumerate(zip(LOGITS.tolist(), TRUE, strict=True))]
    (path / "two.csv").write_text("\n".join(["who,score,answer", *lines]) + "\n")
    lines = [f"{','.join(map(repr, row.tolist()))},{y}" for row, y in zip(SCORES, CLASSES, strict=True)]
    (path / "three.csv").write_text("\n".join(["s_0,s_1,s_2,truth", *lines]) + "\n")
    (path / "bad.csv").write_text("a,b\n1,x\n2,\n")
    return path


@contextlib.contextmanager
def served(folder, *words):
    """The address of a page that a command of its own serves."""
    server = subprocess.Popen(
        [sys.executable, "-m", "sigmax", "explore", *words, "--no-browser"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = None
    for line in server.stdout:
        if found := re.search(r"http://\S+", line):
            url = found[0]
            break
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            break
        except urllib.error.HTTPError:  # without a cookie
            break
        except OSError:
            time.sleep(0.1)
    try:
        yield url
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


@pytest.fixture(scope="module")
def address(folder):
    with served(folder, "two.csv", "--label", "answer", "--columns", "score", "--classes", "no", "yes") as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Page:
    """The page as its reader sees it."""

    def __init__(self, page):
        self.page = page

    def figure(self, name):
        return float(self.page.locator(f'[data-figure="{name}"]').first.get_attribute("data-value"))

    def wait(self, name, value):
        """Wait until a figure has a value, and compare it."""
        for _ in range(400):
            if self.page.locator(f'[data-figure="{name}"]').count() and self.figure(name) == pytest.approx(
                value, rel=1e-12
            ):
                return
            self.page.wait_for_timeout(25)
        assert self.figure(name) == pytest.approx(value, rel=1e-12)

    def slider(self, number):
        return self.page.get_by_role("slider").nth(number)

    def move(self, number, key="ArrowRight", times=1):
        """Move a slider by the keyboard; where it is then."""
        handle = self.slider(number)
        handle.focus()
        for _ in range(times):
            before = handle.get_attribute("aria-valuenow")
            handle.press(key)
            for _ in range(50):
                if handle.get_attribute("aria-valuenow") != before:
                    break
                self.page.wait_for_timeout(20)
        return float(handle.get_attribute("aria-valuenow"))

    def wait_for_table(self, name, wanted):
        """Wait until the numbers of a table are as they should be: it is drawn anew with every change."""
        for _ in range(400):
            if [[int(v) for v in row[1:]] for row in self.table(name)] == wanted:
                return
            self.page.wait_for_timeout(25)
        assert [[int(v) for v in row[1:]] for row in self.table(name)] == wanted

    def cell(self, line, column):
        return self.page.get_by_test_id(f"matrix-cell-{line}-{column}")

    def set_cell(self, line, column, value):
        """Write a number into the table of costs."""
        self.cell(line, column).focus()
        self.cell(line, column).press("Enter")
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(value)
        self.page.keyboard.press("Enter")

    def table(self, name):
        rows = self.page.locator(f'[data-table="{name}"] tbody tr')
        return [[c.strip() for c in rows.nth(i).locator("td").all_inner_texts()] for i in range(rows.count())]


@pytest.fixture(scope="module")
def opened(browser, address):
    """One reader's page, from the first test to the last; what its console said and what it asked of others."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    errors, elsewhere = [], []
    tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda e: errors.append(str(e)))
    here = address.partition("/?")[0]
    local = (here, here.replace("http", "ws"), "data:", "blob:")
    tab.on("request", lambda r: elsewhere.append(r.url) if not r.url.startswith(local) else None)
    tab.goto(address)
    tab.wait_for_selector('[data-figure="own: log-loss"]', timeout=60_000)
    yield Page(tab), errors, elsewhere
    context.close()


@pytest.fixture
def page(opened):
    shown, errors, elsewhere = opened
    yield shown
    assert errors == []
    assert elsewhere == []


LOGIT, W1, CAT, TEMPERATURE, PAIR, NUMBER, OWN, THRESHOLD = 2, 5, 10, 14, 15, 17, 18, 19


def check_scale(page, x):
    p = sigmax.sigmoid(x)
    for name, value in (
        ("probability", p),
        ("odds", sigmax.odds(p)),
        ("logit", x),
        ("log-probability", sigmax.log_sigmoid(x)),
        ("complement", sigmax.sigmoid(-x)),
    ):
        page.wait(f"scale: {name}", float(value))


# the steps of the odds' slider, which are numbered; they lie within 2.4 % of one another
ODDS = sorted({float(f"{v:.3g}") for v in [*np.geomspace(0.001, 1000, 601), 0.375, 0.75]})


@needs_browser
def test_the_five_scales_move_together(page):
    check_scale(page, float(sigmax.logit(3 / 11)))
    of_logit = [
        sigmax.sigmoid,
        lambda x: sigmax.odds(sigmax.sigmoid(x)),
        lambda x: x,
        sigmax.log_sigmoid,
        lambda x: sigmax.sigmoid(-x),
    ]
    to_logit = [
        sigmax.logit,
        lambda o: sigmax.logit(sigmax.from_odds(o)),
        lambda x: x,
        sigmax.logitexp,
        lambda q: -sigmax.logit(q),
    ]
    for moved, key, times in (
        (0, "ArrowRight", 3),
        (1, "PageUp", 2),
        (2, "PageDown", 1),
        (3, "PageUp", 2),
        (4, "PageUp", 1),
    ):
        at = page.move(moved, key, times)
        x = float(to_logit[moved](ODDS[int(at)] if moved == 1 else at))
        check_scale(page, x)
        for other in {0, 2, 3, 4} - {moved}:
            shown = float(page.slider(other).get_attribute("aria-valuenow"))
            assert shown == pytest.approx(float(of_logit[other](x)), abs=0.0005001)  # as it is written beside it
        shown = ODDS[int(float(page.slider(1).get_attribute("aria-valuenow")))]
        assert shown == pytest.approx(float(of_logit[1](x)), rel=0.013)


@needs_browser
def test_every_scale_has_its_numbers_below_it(page):
    marks = page.page.locator(".sx-scale")
    for slider, ends in enumerate([("0", "1"), ("1 : 1000", "1000 : 1"), ("−7", "7"), ("−7", "0"), ("0", "1")]):
        shown = marks.nth(slider).locator("span").all_inner_texts()
        assert (shown[0], shown[-1]) == ends
        track, below = (
            page.slider(slider).evaluate(
                "e => { const t = e.closest('marimo-slider') || e.parentElement.parentElement; return t.getBoundingClientRect().bottom }"
            ),
            marks.nth(slider).bounding_box(),
        )
        assert below["y"] + below["height"] > track - 30


@needs_browser
def test_the_neuron_adds_up(page):
    values = [float(page.slider(W1 + i).get_attribute("aria-valuenow")) for i in range(5)]
    for i in range(5):
        values[i] = page.move(W1 + i, "ArrowLeft" if i % 2 else "ArrowRight", 1 + i % 2)
        w1, x1, w2, x2, b = values
        z = weighted_sum([w1, w2], [x1, x2], b)
        page.wait("neuron: z", z)
        page.wait("neuron: P(Y = 1)", float(sigmax.sigmoid(z)))
        page.wait("neuron: P(Y = 0)", float(sigmax.sigmoid(-z)))


@needs_browser
def test_the_softmax_follows_scores_temperature_and_mask(page):
    animals = ["cat", "dog", "fox", "owl"]
    x = np.array([page.move(CAT + i, "ArrowRight", i + 1) for i in range(4)])
    t = page.move(TEMPERATURE, "ArrowRight", 7)
    where = np.ones(4, bool)
    for masked in (None, "dog"):
        if masked:
            page.page.locator("marimo-multiselect").locator("button").first.click()
            page.page.get_by_role("option", name=masked).click()
            page.page.keyboard.press("Escape")
            where[animals.index(masked)] = False
        p = sigmax.softmax(x, where=where, temperature=t)
        for name, value in zip(animals, p, strict=True):
            page.wait(f"softmax: {name}", float(value))
        page.wait("softmax: sum", 1.0)
        page.wait("softmax: sum of a sigmoid each", float(sigmax.sigmoid(x).sum()))


@needs_browser
def test_two_classes_are_a_sigmoid_of_the_difference(page):
    a, b = page.move(PAIR, "ArrowLeft", 4), page.move(PAIR + 1, "ArrowRight", 2)
    page.wait("pair: softmax(a, b)", float(sigmax.softmax([a, b])[0]))
    page.wait("pair: σ(a − b)", float(sigmax.sigmoid(a - b)))


@needs_browser
def test_the_formulas_are_shown_in_every_type(page):
    x = page.move(NUMBER, "ArrowRight", 2)
    page.page.wait_for_timeout(1500)
    rows = [{row[0]: row[1:] for row in page.table(f"formulas: {f}")} for f in ("sigmoid", "logit", "log_softmax")]
    assert [list(r) for r in rows] == [["float16", "bfloat16", "float32", "float64"]] * 3
    for name, digits in (("float16", 4), ("float32", 8), ("float64", 16)):
        kind = np.dtype(name).type
        with np.errstate(divide="ignore"):
            p = sigmax.sigmoid(kind(x))
            wanted = [p, sigmax.logit(p), sigmax.log_softmax(np.array([x, 0], kind))[0]]
        assert [r[name][1] for r in rows] == [f"{float(v):#.{digits}g}".replace("-", "\u2212") for v in wanted]
    assert rows[2]["float32"][0] == "0.0000000"  # what the textbook formula gives
    cell = page.page.locator('[data-table="formulas: log_softmax"] tbody tr').nth(2).locator("td").nth(1)
    assert "sx-wrong" in cell.inner_html()


@needs_browser
def test_a_prediction_is_answered(page):
    for answer, says in (
        ("it grows by log 2", "by 0.6931, which is log 2"),
        ("0.5", "σ(0) = 0.5"),
        ("nothing changes", "only differences of scores count"),
        ("exactly 0", "No: -2.06115e-09"),
        ("it is even", "0.5, the sigmoid of 0"),
        ("too sure", "Its scores fit best divided by"),
    ):
        page.page.get_by_role("radio", name=answer, exact=True).click()
        page.page.get_by_text(says).wait_for(timeout=10_000)


def losses(scores, labels, t):
    return float(sigmax.cross_entropy(scores / t, labels).mean())


@needs_browser
def test_the_file_of_the_command_is_shown(page):
    x = np.stack([np.zeros(120), LOGITS], axis=1)
    page.wait("own: log-loss", losses(x, TRUE, 1.0))
    page.wait("own: accuracy", float(((LOGITS > 0) == TRUE).mean()))
    t = page.move(OWN, "ArrowRight", 5)
    page.wait("own: log-loss", losses(x, TRUE, t))
    closest = np.argsort(np.abs(sigmax.sigmoid(LOGITS) - sigmax.sigmoid(-LOGITS)), kind="stable")[:10]
    assert [row[1] for row in page.table("unsure")] == [f"p{i}" for i in closest]
    least = min((losses(x, TRUE, v), v) for v in np.geomspace(0.2, 10, 4000))[1]
    shown = float(re.search(r"Least log-loss at temperature (\S+):", page.page.inner_text("body"))[1])
    assert shown == pytest.approx(least, rel=5e-3)


@needs_browser
def test_costs_are_dragged_and_decisions_follow(page):
    t = float(page.slider(OWN).get_attribute("aria-valuenow"))
    z = LOGITS / t

    def check(costs, decided):
        found = realised(z, TRUE, costs, form="logits")
        page.wait("decision: cost of a row", found.mean.mean)
        page.wait("decision: expected", found.expected)
        page.wait("decision: to", found.mean.high)
        page.wait(f"decision: always “{found.constant[0]}”", found.constant[1].mean)
        counts = np.zeros(costs.matrix.shape, int)
        np.add.at(counts, (TRUE, decided), 1)
        wanted = [[f"{n}" for n in line] for line in [*counts.tolist(), counts.sum(axis=0).tolist()]]
        for _ in range(200):
            shown = page.table("decisions")
            if [line[1:-1] for line in shown] == wanted:
                break
            page.page.wait_for_timeout(25)
        assert [line[1:-1] for line in shown] == wanted
        paid = (counts * costs.matrix).sum(axis=1)
        assert [float(line[-1].replace(",", "")) for line in shown] == pytest.approx([*paid, paid.sum()], rel=1e-5)

    plain = Costs([[0, 1], [1, 0]], ["no", "yes"], ["no", "yes"])
    check(plain, (z > 0).astype(int))

    page.set_cell(1, 0, "5")  # a miss
    costs = Costs([[0, 1], [5, 0]], ["no", "yes"], ["no", "yes"])
    check(costs, decide(z, costs, form="logits").choice)
    page.wait("decision: threshold by the costs", 1 / 6)
    page.wait("decision: best in hindsight", realised(z, TRUE, costs, form="logits").hindsight[1])

    cut = page.move(THRESHOLD, "ArrowRight", 40)
    said = z >= sigmax.logit(cut)
    page.wait("decision: by this threshold", costs.matrix[TRUE, said.astype(int)].mean())
    page.wait("decision: cost of a row", realised(z, TRUE, costs, form="logits").mean.mean)

    page.page.get_by_label("a person may be asked").click()
    page.cell(1, 2).wait_for(timeout=10_000)
    costs = Costs([[0, 1, 0.5], [5, 0, 0.5]], ["no", "yes"], ["no", "yes", "ask a person"])
    check(costs, decide(z, costs, form="logits").choice)
    for line in (0, 1):  # by dragging
        box = page.cell(line, 2).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.page.mouse.move(x, y)
        page.page.mouse.down()
        page.page.mouse.move(x - 20, y, steps=8)
        page.page.mouse.up()
    asked = [float(page.cell(line, 2).get_attribute("aria-valuenow")) for line in (0, 1)]
    assert all(0 < a < 0.5 for a in asked)
    costs = Costs([[0, 1, asked[0]], [5, 0, asked[1]]], ["no", "yes"], ["no", "yes", "ask a person"])
    decided = decide(z, costs, form="logits").choice
    assert len(set(decided)) == 3
    check(costs, decided)
    page.page.get_by_label("a person may be asked").click()
    costs = Costs([[0, 1], [5, 0]], ["no", "yes"], ["no", "yes"])
    check(costs, decide(z, costs, form="logits").choice)  # what was written before is kept


@needs_browser
def test_a_model_is_drawn_and_a_row_of_it_term_by_term(browser, folder):
    x, y = rng.normal(size=(200, 2)), rng.integers(0, 3, 200)
    x[:, 0] += y
    lines = [f"{a!r},{b!r},{'uvw'[k]}" for (a, b), k in zip(x.tolist(), y, strict=True)]
    (folder / "features.csv").write_text("\n".join(["height,weight,kind", *lines]) + "\n")
    (folder / "costs.csv").write_text("kind,u,v,w,none\nw,3,1,0,0.5\nu,0,1,2,0.5\nv,1,0,1,0.5\n")
    done = command("fit", "features.csv", "--label", "kind", "-o", "model.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    model = Model.load(folder / "model.json")
    z = x @ model.coefficients.T + model.intercept
    costs = Costs([[0, 1, 2, 0.5], [1, 0, 1, 0.5], [3, 1, 0, 0.5]], list("uvw"), [*"uvw", "none"])
    words = ["features.csv", "--label", "kind", "--model", "model.json", "--costs", "costs.csv"]
    with served(folder, *words) as url:
        context = browser.new_context(viewport={"width": 390, "height": 800})
        tab = context.new_page()
        tab.goto(url)
        page = Page(tab)
        tab.wait_for_selector('[data-figure="row: P(u)"]', timeout=60_000)
        for number in (1, 200):
            field = tab.locator("marimo-number").locator("input")
            field.fill(str(number))
            field.press("Enter")
            for k, p in enumerate(sigmax.softmax(z[number - 1])):
                page.wait(f"row: P({'uvw'[k]})", p)
        assert "the largest" in tab.inner_text("body")
        field.fill("201")
        field.press("Enter")
        tab.get_by_text("This row has no score: features.csv has 200 rows").wait_for(timeout=10_000)
        page.wait("decision: cost of a row", realised(z, y, costs, form="logits").mean.mean)
        counts = np.zeros((3, 4), int)
        np.add.at(counts, (y, decide(z, costs, form="logits").choice), 1)
        assert [[int(n) for n in line[1:-1]] for line in page.table("decisions")[:3]] == counts.tolist()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        text = tab.inner_text("body")
        for part in ("Where the scores come from", "Weights of the score of 'u'", "height", "weight"):
            assert part in text
        context.close()


@needs_browser
def test_the_calibrators_of_the_page_are_judged_on_rows_they_have_not_seen(page):
    x = np.stack([np.zeros(120), LOGITS], axis=1)
    for method in ("auto", "temperature"):
        dropdowns = page.page.locator("marimo-dropdown select")
        dropdowns.filter(has=page.page.locator("option", has_text="venn-abers")).select_option(method)
        judged = judge(x, TRUE, method=method, form="logits", classes=["0", "1"])
        page.wait("mended: log-loss before", float(judged.loss[0].mean()))
        page.wait("mended: after", float(judged.loss[1].mean()))
        page.page.get_by_text(judged.sentence()).first.wait_for(timeout=20_000)
    shown = page.table("changed")
    before, after = (np.stack([sigmax.sigmoid(-z), sigmax.sigmoid(z)], axis=1) for z in judged.scores)
    guess = before.argmax(axis=1)
    moved = np.abs(after - before)[np.arange(120), guess]
    assert [row[1] for row in shown] == [f"p{i}" for i in np.argsort(-moved, kind="stable")[:8]]
    assert [row[-1] for row in shown] == [["no", "yes"][TRUE[int(row[1][1:])]] for row in shown]


@needs_browser
def test_files_are_uploaded_and_a_bad_one_is_told(page, folder):
    field = page.page.locator("input[type=file]").first
    field.set_input_files(folder / "bad.csv")
    page.page.get_by_text("This file cannot be read").wait_for(timeout=20_000)
    check_scale(page, page.move(LOGIT, "ArrowLeft", 2))  # the page lives on

    field.set_input_files(folder / "three.csv")
    page.page.get_by_text("'truth' is numeric and not one of 's_*'. Choose the score columns above").wait_for(
        timeout=20_000
    )
    page.page.get_by_text("columns s_*, label truth").wait_for()
    page.page.locator("marimo-dropdown select").first.select_option("truth")
    page.page.get_by_text("scores in s_0, s_1, s_2; left out nothing").wait_for(timeout=20_000)
    page.wait("own: log-loss", losses(SCORES, CLASSES, 1.0))
    page.wait("own: accuracy", float((SCORES.argmax(axis=1) == CLASSES).mean()))
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (CLASSES, SCORES.argmax(axis=1)), 1)
    page.wait_for_table("confusion", counts.tolist())


@needs_browser
def test_it_fits_a_phone(browser, address):
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    tab = context.new_page()
    tab.goto(address)
    tab.wait_for_selector('[data-figure="own: log-loss"]', timeout=60_000)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.locator(".sx-dark").first.is_visible()
    assert not tab.locator(".sx-light").first.is_visible()
    # nothing is shrunk below reading, and no table is cut where sigmax's column begins
    sizes = tab.evaluate(
        """() => [...document.querySelectorAll('.sx-dark svg')].filter(s => s.getBoundingClientRect().width)
        .map(s => 12 * s.getBoundingClientRect().width / s.viewBox.baseVal.width)"""
    )
    assert min(sizes) >= 7
    for name in ("sigmoid", "logit", "log_softmax"):
        box = tab.locator(f'[data-table="formulas: {name}"]').bounding_box()
        assert box["x"] + box["width"] <= 390
    context.close()


def run(*words, cwd=None):
    return command("explore", *words, cwd=cwd)


def test_what_cannot_be_opened_is_said_before_the_page(tmp_path):
    (tmp_path / "s.csv").write_text("s_0,s_1\n1,2\n")
    (tmp_path / "costs.csv").write_text("class,a,b\na,0,1\na,much,0\n")
    own = ["s.csv"]
    for words, said in (
        (["missing.csv"], "missing.csv: No such file"),
        (["scores.txt"], "unknown ending '.txt'"),
        (["--costs", "costs.csv"], "--costs is for a file of yours"),
        ([*own, "--costs", "costs.csv"], "costs.csv: the cost 'much' of 'a' is no number"),
        ([*own, "--model", "s.csv"], "s.csv: this is no model"),
        (["--host", "203.0.113.7"], "cannot serve at 203.0.113.7"),
    ):
        done = run(*words, cwd=tmp_path)
        assert (done.returncode, said in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot serve at 127.0.0.1" in done.stderr


def test_the_code_can_be_looked_at_in_a_copy(monkeypatch):
    import sigmax.explore
    from sigmax.cli.explore import explore

    seen = []
    monkeypatch.setattr(os, "execv", lambda _, command: seen.append(command))
    explore(edit=True, browser=False)
    assert seen[0][1:3] == ["-m", "sigmax.explore.door"]
    page = Path(seen[0][seen[0].index("edit") + 1])
    ours = Path(sigmax.explore.__file__).parent / "page.py"
    assert page.read_text() == ours.read_text()
    assert page != ours
    shutil.rmtree(page.parent)


def test_the_page_is_asked_what_the_command_was(tmp_path, monkeypatch):
    """All options of a job reach the page, those for a CSV file of another kind among them; a file that is sent begins anew."""
    from sigmax.cli.explore import explore
    from sigmax.explore.own import chosen_columns, columns_of, job_of, read_scores
    from sigmax.tables import Dialect, Job

    (tmp_path / "a.csv").write_text("s_a;s_b;truth\n1,5;2;a\n0,25;-1;b\n")
    job = Job(("s_*",), "truth", kind="softmax", temperature=2.5, dialect=Dialect(delimiter=";", decimal=","))
    seen = []
    monkeypatch.setattr(os, "execv", lambda _, command: seen.append(command))
    explore(tmp_path / "a.csv", job=job, browser=False)
    told = {"job": seen[0][seen[0].index("--job") + 1], "file": seen[0][seen[0].index("--file") + 1]}
    assert job_of(told, None) == job
    assert job_of(told, object()) == job_of({}, None) == Job()
    names = columns_of(None, told["file"], job)
    assert (names, chosen_columns(names, job)) == (["s_a", "s_b", "truth"], ["s_a", "s_b"])
    own, problem = read_scores(None, told["file"], job_of(told, None), "truth", columns=["s_a", "s_b"])
    assert problem == ""
    assert own.scores.tolist() == [[1.5, 2.0], [0.25, -1.0]]
    assert own.truth.tolist() == [0, 1]
    assert chosen_columns(names, Job(("s_b", "s_*"))) == ["s_b", "s_a"]
    job = Job(("s_b", "s_a"), "truth", classes=("x, y", "z"), dialect=job.dialect)
    own, problem = read_scores(None, told["file"], job, "truth", "x, y, z", ["s_a", "s_b"])
    assert "'a'" in problem  # which is none of the classes, of which there are two
    own, problem = read_scores(None, told["file"], job, "", "x, y, z", ["s_a", "s_b"])
    assert (own.classes, own.columns) == (["x, y", "z"], ["s_b", "s_a"])
    assert (
        "many labels"
        in read_scores(None, told["file"], Job(kind="multilabel", dialect=job.dialect), "", "", ["s_a", "s_b"])[1]
    )
    assert Job.from_json(Job(temperature=np.inf, labels="y.npy").to_json()).labels.is_absolute()
