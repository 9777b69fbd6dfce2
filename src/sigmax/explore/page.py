# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The page of ``sigmax explore``: a marimo notebook, read from top to bottom; ``marimo edit`` shows how each number is made."""

import marimo

app = marimo.App(app_title="sigmax: from scores to probabilities", width="medium")


@app.cell(hide_code=True)
def _():
    import marimo as mo
    import numpy as np

    import sigmax
    from sigmax import plots
    from sigmax.explore.deciding import (
        ASK,
        confusion,
        costs_at_first,
        costs_named,
        deciding,
        decision_charts,
        decision_figures,
        decision_table,
        moved_to,
        on_track,
        step_of,
        threshold_of,
        thresholds_told,
        with_asking,
    )
    from sigmax.explore.mending import METHODS, best_temperature, changed, mended, mended_charts, tempered_chart, unsure
    from sigmax.explore.own import chosen_columns, columns_of, job_of, read_scores
    from sigmax.explore.shown import chart, figures, formula_table, with_scale
    from sigmax.explore.weighing import model_of, weighed, weights_picture
    from sigmax.host.dtypes import BFLOAT16

    # what the command was given, if anything
    given, given_costs = mo.cli_args().get("file"), mo.cli_args().get("costs")
    return (
        ASK,
        BFLOAT16,
        METHODS,
        best_temperature,
        changed,
        chart,
        chosen_columns,
        columns_of,
        confusion,
        costs_at_first,
        costs_named,
        deciding,
        decision_charts,
        decision_figures,
        decision_table,
        figures,
        formula_table,
        given,
        given_costs,
        job_of,
        mended,
        mended_charts,
        mo,
        model_of,
        moved_to,
        np,
        on_track,
        plots,
        read_scores,
        sigmax,
        step_of,
        tempered_chart,
        threshold_of,
        thresholds_told,
        unsure,
        weighed,
        weights_picture,
        with_asking,
        with_scale,
    )


@app.cell(hide_code=True)
def _(mo):
    mo.md(
        r"""
        # From scores to probabilities

        A classifier ends in numbers on the whole real line. This page leads from a bet on a horse to the **sigmoid** and the
        **softmax**, which turn them into probabilities. Move things; every number is worked out anew by sigmax. At the end you can
        open a file of your own scores.

        ## 1 A bet: one number, five scales

        At odds of 3 : 8 a horse is thought to win 3 races for every 8 that it loses, 3 of 11. Odds are $p / (1 - p)$; their
        logarithm, the **logit**, spans the whole line. Each slider is the same fact on another scale: move one, and all move.
        """
    )
    return


@app.cell(hide_code=True)
def _(mo, sigmax):
    # one fact is kept: the logit
    get_logit, set_logit = mo.state(float(sigmax.logit(3 / 11)))
    return get_logit, set_logit


@app.cell(hide_code=True)
def _(mo):
    def slider_of(low, value, high, step, name, on_change):
        return mo.ui.slider(
            low,
            high,
            step=step,
            value=min(high, max(low, round(float(value), 3))),  # the fact itself is not rounded
            label=name,
            show_value=True,
            full_width=True,
            on_change=on_change,
        )

    return (slider_of,)


# One cell a scale: the one that is moved is left alone, and the others are made anew.
@app.cell(hide_code=True)
def _(get_logit, set_logit, sigmax, slider_of):
    _p = sigmax.sigmoid(get_logit())
    probability_scale = slider_of(0.001, _p, 0.999, 0.001, "probability", lambda v: set_logit(float(sigmax.logit(v))))
    return (probability_scale,)


@app.cell(hide_code=True)
def _(get_logit, mo, np, set_logit, sigmax):
    # as far from one step to the next everywhere on a logarithmic track; three digits of each
    _steps = sorted({float(f"{v:.3g}") for v in [*np.geomspace(0.001, 1000, 601), 0.375, 0.75]})
    _odds = float(sigmax.odds(sigmax.sigmoid(get_logit())))
    odds_scale = mo.ui.slider(
        steps=_steps,
        value=min(_steps, key=lambda step: abs(step - _odds)),
        label="odds",
        show_value=True,
        full_width=True,
        on_change=lambda v: set_logit(float(sigmax.logit(sigmax.from_odds(v)))),
    )
    return (odds_scale,)


@app.cell(hide_code=True)
def _(get_logit, set_logit, slider_of):
    logit_scale = slider_of(-7.0, get_logit(), 7.0, 0.01, "logit", set_logit)
    return (logit_scale,)


@app.cell(hide_code=True)
def _(get_logit, set_logit, sigmax, slider_of):
    _log_p = sigmax.log_sigmoid(get_logit())
    log_scale = slider_of(
        -7.0, _log_p, -0.001, 0.001, "log-probability", lambda v: set_logit(float(sigmax.logitexp(v)))
    )
    return (log_scale,)


@app.cell(hide_code=True)
def _(get_logit, set_logit, sigmax, slider_of):
    _rest = sigmax.sigmoid(-get_logit())
    complement_scale = slider_of(0.001, _rest, 0.999, 0.001, "complement", lambda v: set_logit(-float(sigmax.logit(v))))
    return (complement_scale,)


@app.cell(hide_code=True)
def _(complement_scale, log_scale, logit_scale, mo, odds_scale, probability_scale, with_scale):
    mo.vstack(
        [
            with_scale(probability_scale, ["0", "¼", "½", "¾", "1"]),
            with_scale(odds_scale, ["1 : 1000", "1 : 100", "1 : 10", "1 : 1", "10 : 1", "100 : 1", "1000 : 1"]),
            with_scale(logit_scale, ["−7", "−3.5", "0", "3.5", "7"]),
            with_scale(log_scale, ["−7", "−5.25", "−3.5", "−1.75", "0"]),
            with_scale(complement_scale, ["0", "¼", "½", "¾", "1"]),
        ]
    )
    return


@app.cell(hide_code=True)
def _(chart, figures, get_logit, mo, plots, sigmax):
    _x = get_logit()
    _p = float(sigmax.sigmoid(_x))
    mo.vstack(
        [
            figures(
                "scale",
                {
                    "probability": _p,
                    "odds": float(sigmax.odds(_p)),
                    "logit": _x,
                    "log-probability": float(sigmax.log_sigmoid(_x)),
                    "complement": float(sigmax.sigmoid(-_x)),
                },
            ),
            chart(plots.odds_and_log_odds(min(max(_p, 1e-6), 1 - 1e-6))),
        ]
    )
    return


@app.cell(hide_code=True)
def _(mo):
    guess_scale = mo.ui.radio(
        ["it doubles", "it grows by log 2", "it depends on the odds"],
        label="**Predict:** the odds double. What happens to the logit?",
    )
    guess_scale
    return (guess_scale,)


@app.cell(hide_code=True)
def _(guess_scale, mo, sigmax):
    mo.stop(guess_scale.value is None)
    _before, _after = (float(sigmax.logit(sigmax.from_odds(o))) for o in (0.375, 0.75))
    mo.callout(
        mo.md(
            f"{'Yes.' if guess_scale.value == 'it grows by log 2' else 'Not quite.'} From odds of 0.375 to 0.75 the logit goes from {_before:.4f} to "
            f"{_after:.4f}: by {_after - _before:.4f}, which is log 2. Multiplying odds is adding to the logit, wherever one starts."
        ),
        kind="success" if guess_scale.value == "it grows by log 2" else "warn",
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(
        r"""
        ## 2 A neuron: from a weighted sum to a probability

        A neuron adds up its inputs, each times a weight, and a bias: $z = w_1 x_1 + w_2 x_2 + b$. That is any real number, a logit; the
        sigmoid $\sigma(z) = 1 / (1 + e^{-z})$ turns it into $P(Y = 1 \mid X = x)$, and $1 - \sigma(z) = \sigma(-z)$ is the other class.
        """
    )
    return


@app.cell(hide_code=True)
def _(mo):
    # each on its own: values of one dictionary that change at once can be lost
    w1, x1, w2, x2, bias = (
        mo.ui.slider(-3.0, 3.0, step=0.1, value=value, label=name, show_value=True)
        for name, value in (("w₁", 0.8), ("x₁", 2.0), ("w₂", -1.2), ("x₂", 1.5), ("b", 0.3))
    )
    mo.hstack([w1, x1, w2, x2, bias], wrap=True, justify="start")
    return bias, w1, w2, x1, x2


@app.cell(hide_code=True)
def _(bias, chart, figures, mo, plots, sigmax, w1, w2, x1, x2):
    from sigmax.explain import weighted_sum

    _z = weighted_sum([w1.value, w2.value], [x1.value, x2.value], bias.value)
    mo.vstack(
        [
            figures("neuron", {"z": _z, "P(Y = 1)": float(sigmax.sigmoid(_z)), "P(Y = 0)": float(sigmax.sigmoid(-_z))}),
            chart(
                plots.sigmoid_curve(_z, low=-8, high=8) if abs(_z) <= 8 else plots.sigmoid_curve(_z, low=-25, high=25)
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(mo):
    guess_neuron = mo.ui.radio(
        ["0", "0.5", "1"], label="**Predict:** all weights and the bias are 0. What is P(Y = 1)?", inline=True
    )
    guess_neuron
    return (guess_neuron,)


@app.cell(hide_code=True)
def _(guess_neuron, mo, sigmax):
    mo.stop(guess_neuron.value is None)
    mo.callout(
        mo.md(
            f"{'Yes' if guess_neuron.value == '0.5' else 'No'}: σ(0) = {float(sigmax.sigmoid(0.0))}. A logit of 0 is even odds, 1 : 1."
        ),
        kind="success" if guess_neuron.value == "0.5" else "warn",
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(
        r"""
        ## 3 Many classes: the softmax

        One score a class. Turn each into odds, $e^{x}$, and share out one whole: $p_k = e^{x_k} / \sum_j e^{x_j}$. A sigmoid of each score
        answers each class by itself, and the answers do not add up to 1. The temperature divides the scores first; a class that is
        masked out is not possible.
        """
    )
    return


@app.cell(hide_code=True)
def _(mo):
    animals = ["cat", "dog", "fox", "owl"]
    cat, dog, fox, owl = (
        mo.ui.slider(-6.0, 6.0, step=0.1, value=value, label=name, show_value=True)
        for name, value in zip(animals, [2.0, 1.0, 0.1, -1.0], strict=True)
    )
    temperature = mo.ui.slider(0.1, 10.0, step=0.1, value=1.0, label="temperature", show_value=True)
    possible = mo.ui.multiselect(animals, value=animals, label="possible classes")
    mo.vstack(
        [
            mo.hstack([cat, dog, fox, owl], wrap=True, justify="start"),
            mo.hstack([temperature, possible], wrap=True, justify="start"),
        ]
    )
    return animals, cat, dog, fox, owl, possible, temperature


@app.cell(hide_code=True)
def _(cat, dog, fox, np, owl):
    scores = np.array([cat.value, dog.value, fox.value, owl.value])
    return (scores,)


@app.cell(hide_code=True)
def _(animals, chart, figures, mo, np, plots, possible, scores, sigmax, temperature):
    _x = scores
    _where = np.array([name in possible.value for name in animals])
    _p = sigmax.softmax(_x, where=_where, temperature=temperature.value)
    _alone = sigmax.sigmoid(_x)
    _shown = [name for name in animals if name in possible.value]
    _charts = (
        [
            chart(plots.softmax_bars(_x[_where], _shown, temperature=temperature.value)),
            chart(plots.sigmoid_each(_x[_where], _shown)),
        ]
        if len(_shown) > 1
        else [mo.md("One possible class takes all; none, and every probability is 0.")]
    )
    mo.vstack(
        [
            figures(
                "softmax",
                {name: float(v) for name, v in zip(animals, _p, strict=True)}
                | {"sum": float(_p.sum()), "sum of a sigmoid each": float(_alone.sum())},
            ),
            *_charts,
        ]
    )
    return


@app.cell(hide_code=True)
def _(mo):
    guess_softmax = mo.ui.radio(
        ["all probabilities grow", "nothing changes", "the largest takes more"],
        label="**Predict:** 5 is added to every score. What happens to the softmax?",
    )
    guess_softmax
    return (guess_softmax,)


@app.cell(hide_code=True)
def _(guess_softmax, mo, scores, sigmax):
    mo.stop(guess_softmax.value is None)
    _x = scores
    _before, _after = sigmax.softmax(_x).round(4).tolist(), sigmax.softmax(_x + 5).round(4).tolist()
    mo.callout(
        mo.md(
            f"{'Yes' if guess_softmax.value == 'nothing changes' else 'No'}: before {_before}, after {_after}. All odds are multiplied by the same e⁵; only differences of scores count."
        ),
        kind="success" if guess_softmax.value == "nothing changes" else "warn",
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(
        r"""
        ## 4 Two classes: the same thing

        The softmax of two scores is the sigmoid of their difference: $\dfrac{e^a}{e^a + e^b} = \dfrac{1}{1 + e^{-(a - b)}}$.
        """
    )
    return


@app.cell(hide_code=True)
def _(mo):
    score_a, score_b = (
        mo.ui.slider(-6.0, 6.0, step=0.1, value=value, label=name, show_value=True)
        for name, value in (("score a", 1.7), ("score b", 0.4))
    )
    mo.hstack([score_a, score_b], wrap=True, justify="start")
    return score_a, score_b


@app.cell(hide_code=True)
def _(figures, score_a, score_b, sigmax):
    _a, _b = score_a.value, score_b.value
    figures("pair", {"softmax(a, b)": float(sigmax.softmax([_a, _b])[0]), "σ(a − b)": float(sigmax.sigmoid(_a - _b))})
    return


@app.cell(hide_code=True)
def _(mo):
    guess_pair = mo.ui.radio(
        ["it is certain", "it is even", "it cannot be said"],
        label="**Predict:** both scores are 1000. What is the probability of the first class?",
    )
    guess_pair
    return (guess_pair,)


@app.cell(hide_code=True)
def _(guess_pair, mo, sigmax):
    mo.stop(guess_pair.value is None)
    _right = guess_pair.value == "it is even"
    mo.callout(
        mo.md(
            f"{'Yes' if _right else 'No'}: {float(sigmax.softmax([1000.0, 1000.0])[0])}, the sigmoid of 0. How large scores are "
            "says nothing, only how far apart."
        ),
        kind="success" if _right else "warn",
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(
        r"""
        ## 5 In a computer's numbers

        The formulas are short, and in a computer's numbers they go wrong. Below, `1 / (1 + exp(-x))`, `log(p / (1 - p))` and
        `log(exp(x) / (exp(x) + 1))` are worked out step by step in each type, beside sigmax. Try x = 20, 100 and -15.
        """
    )
    return


@app.cell(hide_code=True)
def _(mo):
    number = mo.ui.slider(-120.0, 120.0, step=0.5, value=20.0, label="x", show_value=True, full_width=True)
    number
    return (number,)


@app.cell(hide_code=True)
def _(BFLOAT16, formula_table, np, number):
    formula_table(
        number.value, {"float16": np.float16, "bfloat16": BFLOAT16.type, "float32": np.float32, "float64": np.float64}
    )
    return


@app.cell(hide_code=True)
def _(mo):
    guess_digits = mo.ui.radio(
        ["exactly 0", "about −2·10⁻⁹", "about −0.5"],
        label="**Predict:** a class has the score 20, the other 0. What is the logarithm of its probability?",
    )
    guess_digits
    return (guess_digits,)


@app.cell(hide_code=True)
def _(guess_digits, mo, sigmax):
    mo.stop(guess_digits.value is None)
    _right = guess_digits.value == "about −2·10⁻⁹"
    mo.callout(
        mo.md(
            f"{'Yes' if _right else 'No'}: {float(sigmax.log_softmax([20.0, 0.0])[0]):.6g}. Small, and not 0: a loss of 0 would teach a model nothing any more. The usual formula gives 0 in every type but float64."
        ),
        kind="success" if _right else "warn",
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(
        r"""
        ## 6 Your own scores

        Open a file of scores (CSV, Parquet, Arrow, .npy, .npz, .safetensors): one row an example, one column a class or one column in all, and if you have
        it a column with the true class.
        """
    )
    return


@app.cell(hide_code=True)
def _(mo):
    upload = mo.ui.file(
        filetypes=[".csv", ".tsv", ".parquet", ".pq", ".arrow", ".feather", ".npy", ".npz", ".safetensors"],
        label="Open a score file",
        kind="area",
    )
    upload
    return (upload,)


@app.cell(hide_code=True)
def _(chosen_columns, columns_of, given, job_of, mo, upload):
    # what the file has is offered to choose from; what the command said is chosen for its file
    _sent = upload.value[0] if upload.value else None
    job = job_of(mo.cli_args(), _sent)
    _names = columns_of(_sent, given, job)
    label_field = mo.ui.dropdown(
        _names, value=job.label if job.label in _names else None, label="column of the true class"
    )
    columns_field = mo.ui.multiselect(_names, value=chosen_columns(_names, job), label="score columns (none: found)")
    classes_field = mo.ui.text(value=", ".join(job.classes), label="names of the classes", placeholder="no, yes")
    scores_box = mo.ui.checkbox(value=job.as_scores, label="they are scores, even if they look like probabilities")
    _named = (
        []
        if _sent is not None or not given
        else [mo.md(f"From the command: `{given.replace(chr(92), '/').rpartition('/')[2]}`")]
    )
    mo.vstack([*_named, mo.hstack([label_field, columns_field, classes_field, scores_box], wrap=True, justify="start")])
    return classes_field, columns_field, job, label_field, scores_box


@app.cell(hide_code=True)
def _(classes_field, columns_field, given, job, label_field, mo, read_scores, scores_box, upload):
    mo.stop(not upload.value and not given, mo.md("*Nothing is open yet.*"))
    own, _problem = read_scores(
        upload.value[0] if upload.value else None,
        given,
        job,
        label_field.value or "",
        classes_field.value,
        columns_field.value,
        scores_box.value,
    )
    mo.stop(own is None, mo.callout(mo.md(f"This file cannot be read: {_problem}"), kind="danger"))

    def _some(names):
        return ", ".join(f"`{n}`" for n in names[:12]) + (", ..." if len(names) > 12 else "")

    mo.vstack(
        [
            mo.md(
                f"**{own.name}**: {own.scores.shape[0]:,} rows, {len(own.classes)} classes: {', '.join(own.classes[:12])}; "
                f"scores in {_some(own.columns)}; left out {_some(own.left_out) or 'nothing'}"
                + ("" if own.labels is not None else ". Name the column of the true class to see how right they are.")
            ),
            *(mo.callout(mo.md(f"Take care: {w}"), kind="warn") for w in own.warnings),
        ]
    )
    return (own,)


@app.cell(hide_code=True)
def _(chart, mo, own, plots):
    mo.stop(own.labels is not None)
    chart(plots.confidence_histogram(own.probabilities()))
    return


@app.cell(hide_code=True)
def _(mo, own):
    mo.stop(own.labels is None)
    guess_own = mo.ui.radio(
        ["too sure", "not sure enough", "about right"],
        label="**Predict:** at 90 % confidence, is your model right more or less often than 9 times in 10? It is",
    )
    guess_own
    return (guess_own,)


@app.cell(hide_code=True)
def _(best, guess_own, mo):
    mo.stop(guess_own.value is None)
    _truth = "too sure" if best > 1.03 else "not sure enough" if best < 0.97 else "about right"
    mo.callout(
        mo.md(f"{'Yes' if guess_own.value == _truth else 'No'}: {_truth}. Its scores fit best divided by {best:.3g}."),
        kind="success" if guess_own.value == _truth else "warn",
    )
    return


@app.cell(hide_code=True)
def _(best_temperature, job, mo, own):
    mo.stop(own.labels is None)
    best = best_temperature(own)
    own_temperature = mo.ui.slider(
        0.05,
        10.0,
        step=0.05,
        value=min(max(round(job.temperature * 20) / 20, 0.05), 10.0) if job.temperature < 10 else 10.0,
        label="temperature",
        show_value=True,
        full_width=True,
    )
    mo.vstack(
        [
            mo.md(f"Least log-loss at temperature **{best:.3g}**: the diamond in the picture."),
            own_temperature,
        ]
    )
    return best, own_temperature


@app.cell(hide_code=True)
def _(best, chart, figures, mo, own, own_temperature, plots, tempered_chart):
    _t = own_temperature.value
    mo.vstack(
        [
            figures("own", {"log-loss": own.log_loss(_t), "accuracy": own.accuracy()}),
            mo.hstack(
                [
                    chart(plots.reliability_chart(own.evidence(_t))),
                    chart(tempered_chart(own, _t, best)),
                ],
                wrap=True,
                justify="start",
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(METHODS, mo, own):
    mo.stop(own.labels is None or len(own.scores) < 50)
    method = mo.ui.dropdown(METHODS, value="auto", label="by")
    mo.vstack(
        [
            mo.md(
                "### Make the probabilities hold\n\nA calibrator learns from labelled rows what a score is worth; each row below is judged by one that has "
                "not seen it. `sigmax calibrate` writes one, `sigmax score --calibration` applies it."
            ),
            method,
        ]
    )
    return (method,)


@app.cell(hide_code=True)
def _(changed, figures, mended, mended_charts, method, mo, own):
    _found = mended(own, method.value)
    _gain, _low, _high = _found.judged.gain
    mo.vstack(
        [
            mo.md(_found.judged.sentence()),
            figures(
                "mended",
                {
                    "log-loss before": float(_found.judged.loss[0].mean()),
                    "after": float(_found.judged.loss[1].mean()),
                    "gain, from": _low,
                    "to": _high,
                },
            ),
            mo.hstack(mended_charts(own, _found), wrap=True, justify="start"),
            mo.md("The rows that change the most:"),
            changed(own, _found),
        ]
    )
    return


@app.cell(hide_code=True)
def _(ASK, costs_at_first, given_costs, mo, model, own, upload):
    mo.stop(own.labels is None)
    first_costs, _problem = costs_at_first(
        own, None if upload.value else given_costs, None if model is None else model.costs
    )
    mo.stop(first_costs is None)
    # what was dragged last, kept when a decision comes or goes; no cell waits for it
    dragged = {"costs": first_costs}
    asking = mo.ui.checkbox(value=ASK in first_costs.decisions, label="a person may be asked")
    mo.vstack(
        [
            mo.md(
                "### What to do with them\n\nA decision costs something, and what depends on the true class: a line for each class, a column for each decision. "
                "**Drag the numbers** (or double-click one to write it): each row gets the decision that is expected to cost least, and "
                "`sigmax decide --costs` does the same with a file."
            ),
            *(
                [mo.callout(mo.md(f"The costs of the command cannot be used: {_problem}"), kind="danger")]
                if _problem
                else []
            ),
            asking,
        ]
    )
    return asking, dragged


@app.cell(hide_code=True)
def _(asking, dragged, mo, step_of, with_asking):
    _costs = with_asking(dragged["costs"], asking=asking.value)
    cost_names = _costs.decisions
    cost_matrix = mo.ui.matrix(
        _costs.matrix.tolist(),
        step=step_of(_costs),
        row_labels=[f"it is “{c}”" for c in _costs.classes],
        column_labels=[f"say “{d}”" if d in _costs.classes else d for d in cost_names],
    )
    cost_matrix
    return cost_matrix, cost_names


@app.cell(hide_code=True)
def _(cost_matrix, cost_names, costs_named, dragged, mo, on_track, own, threshold_of, thresholds_told):
    costs = dragged["costs"] = costs_named(own, cost_names, cost_matrix.value)
    best_threshold = threshold_of(costs)
    threshold = None
    if best_threshold is not None:
        threshold = mo.ui.slider(
            0.005,
            0.995,
            step=0.005,
            value=on_track(best_threshold),
            label="decide from another threshold",
            show_value=True,
            full_width=True,
        )
    mo.vstack(
        ([mo.md(thresholds_told(costs))] if len(own.classes) == 2 else [])
        + ([threshold] if threshold is not None else [])
    )
    return best_threshold, costs, threshold


@app.cell(hide_code=True)
def _(
    best_threshold,
    costs,
    deciding,
    decision_charts,
    decision_figures,
    decision_table,
    figures,
    mo,
    moved_to,
    own,
    own_temperature,
    threshold,
):
    _at = None if threshold is None else moved_to(threshold.value, best_threshold)
    _decided = deciding(own, own_temperature.value, costs, _at)
    mo.vstack(
        [
            figures(
                "decision",
                decision_figures(_decided, moved=_at is not None)
                | ({} if best_threshold is None else {"threshold by the costs": best_threshold}),
            ),
            decision_table(own, _decided),
            mo.hstack(decision_charts(own, own_temperature.value, _decided, _at), wrap=True, justify="start"),
        ]
    )
    return


@app.cell(hide_code=True)
def _(confusion, mo, own):
    mo.stop(own.labels is None or len(own.classes) == 2)
    mo.vstack([mo.md("### What is taken for what"), confusion(own)])
    return


@app.cell(hide_code=True)
def _(mo, own, unsure):
    mo.vstack([mo.md("### The rows the model is least sure of"), unsure(own)])
    return


@app.cell(hide_code=True)
def _(job, model_of):
    model = model_of(job)
    return (model,)


@app.cell(hide_code=True)
def _(mo, model, weights_picture):
    mo.stop(model is None)
    mo.vstack(
        [
            mo.md(
                "## 7 Where the scores come from\n\nThe command named a model: a weighted sum of features, as in 2. What `sigmax fit` found the weights to be:"
            ),
            weights_picture(model),
        ]
    )
    return


@app.cell(hide_code=True)
def _(mo, model):
    mo.stop(model is None)
    row_number = mo.ui.number(1, value=1, step=1, label="the row, from 1")
    mo.vstack([mo.md("One row, term by term: each feature times its weight, down to the probability."), row_number])
    return (row_number,)


@app.cell(hide_code=True)
def _(figures, given, job, mo, row_number, weighed):
    _row, _problem = weighed(job, given, int(row_number.value))
    mo.stop(_row is None, mo.callout(mo.md(f"This row has no score: {_problem}"), kind="danger"))
    mo.vstack(
        [
            figures("row", _row.figures),
            _row.picture,
            *([mo.md(_row.note)] if _row.note else []),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
