"""
The functions in DuckDB: from the core, or as macros for tables that never leave the database.

:func:`create_functions` gives a connection of this process the functions themselves, with the same bits. ``MACROS`` is plain SQL for
anywhere else: paste it into a session, a dbt project or the ``duckdb`` shell; :func:`create_macros` runs it on a connection.
The elementwise ones take a number, the others a list of scores, ``softmax([a, b, c])`` or ``softmax(list(score))`` with GROUP BY;
missing scores stay missing, and the others of the list share the whole.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import sigmax
from sigmax.family import FAMILY, names_of

if TYPE_CHECKING:
    from sigmax.family import Kind

__all__ = ["MACROS", "create_functions", "create_macros"]

# DuckDB has no log1p and no expm1; what the sum 1 + u rounds away is put back by a factor (W. Kahan).
MACROS = """
CREATE OR REPLACE MACRO sigmax_log1p(u) AS
    CASE WHEN 1 + u = 1 OR u = 'inf'::DOUBLE THEN u::DOUBLE WHEN u = -1 THEN '-inf'::DOUBLE
         WHEN u < -1 OR isnan(u) THEN 'nan'::DOUBLE ELSE ln(1 + u) * (u / ((1 + u) - 1)) END;
CREATE OR REPLACE MACRO sigmax_expm1(x) AS
    CASE WHEN exp(x) = 1 THEN x::DOUBLE WHEN exp(x) - 1 = -1 OR x > 700 THEN exp(x) - 1 ELSE (exp(x) - 1) * (x / ln(exp(x))) END;

CREATE OR REPLACE MACRO sigmoid(x) AS
    CASE WHEN x >= 0 THEN 1 / (1 + exp(-x::DOUBLE)) ELSE exp(x::DOUBLE) / (1 + exp(x::DOUBLE)) END;
CREATE OR REPLACE MACRO log_sigmoid(x) AS
    CASE WHEN x > 0 THEN -sigmax_log1p(exp(-x::DOUBLE)) ELSE x - sigmax_log1p(exp(x::DOUBLE)) END;
CREATE OR REPLACE MACRO softplus(x) AS -log_sigmoid(-(x::DOUBLE));
CREATE OR REPLACE MACRO odds(p) AS
    CASE WHEN p::DOUBLE = 1 THEN 'inf'::DOUBLE WHEN p BETWEEN 0 AND 1 THEN p::DOUBLE / (1 - p::DOUBLE)
         WHEN p IS NULL THEN NULL ELSE 'nan'::DOUBLE END;
CREATE OR REPLACE MACRO from_odds(o) AS
    CASE WHEN o::DOUBLE = 'inf'::DOUBLE THEN 1::DOUBLE WHEN o >= 0 AND NOT isnan(o::DOUBLE) THEN o::DOUBLE / (1 + o::DOUBLE)
         WHEN o IS NULL THEN NULL ELSE 'nan'::DOUBLE END;
CREATE OR REPLACE MACRO logit(p) AS
    CASE WHEN p::DOUBLE = 0 THEN '-inf'::DOUBLE WHEN p::DOUBLE = 1 THEN 'inf'::DOUBLE
         WHEN p BETWEEN 0.25 AND 0.75 THEN sigmax_log1p((2 * p::DOUBLE - 1) / (1 - p::DOUBLE))
         WHEN p BETWEEN 0 AND 1 THEN ln(p::DOUBLE) - sigmax_log1p(-p::DOUBLE) WHEN p IS NULL THEN NULL ELSE 'nan'::DOUBLE END;
CREATE OR REPLACE MACRO log1mexp(l) AS
    CASE WHEN l::DOUBLE = 0 THEN '-inf'::DOUBLE WHEN l < -0.6931471805599453 THEN sigmax_log1p(-exp(l::DOUBLE))
         WHEN l < 0 THEN ln(-sigmax_expm1(l::DOUBLE)) WHEN l IS NULL THEN NULL ELSE 'nan'::DOUBLE END;
CREATE OR REPLACE MACRO sigmax_twice(l) AS sigmax_expm1((l::DOUBLE + 0.6931471805599453::DOUBLE) + 2.3190468138462996e-17::DOUBLE);
CREATE OR REPLACE MACRO logitexp(l) AS
    CASE WHEN l::DOUBLE = 0 THEN 'inf'::DOUBLE WHEN l::DOUBLE = '-inf'::DOUBLE THEN l::DOUBLE
         WHEN l BETWEEN -0.94 AND -0.45 THEN sigmax_log1p(2 * sigmax_twice(l) / (1 - sigmax_twice(l)))
         ELSE l::DOUBLE - log1mexp(l) END;

-- e^(x - m) with what the difference rounds away; the largest score of all has 1
CREATE OR REPLACE MACRO sigmax_term(x, m) AS
    CASE WHEN x IS NULL THEN NULL WHEN isnan(m) THEN m WHEN m = 'inf'::DOUBLE THEN (x = m)::INTEGER::DOUBLE WHEN x = '-inf'::DOUBLE THEN 0::DOUBLE
         ELSE exp(x - m) * (1 + ((x - ((x - m) - ((x - m) - x))) - (m + ((x - m) - x)))) END;
-- a list with its largest score, its terms, and their sum without one term of the largest
CREATE OR REPLACE MACRO sigmax_row(scores) AS
    list_transform(list_transform([{x: scores::DOUBLE[], m: list_max(scores::DOUBLE[])}],
        lambda r: {x: r.x, m: r.m, t: list_transform(r.x, lambda v: sigmax_term(v, r.m))}),
        lambda r: {x: r.x, m: r.m, t: r.t, rest: coalesce(list_sum(list_sort(r.t, 'DESC', 'NULLS LAST')[2:]), 0)})[1];
CREATE OR REPLACE MACRO softmax(scores) AS
    list_transform([sigmax_row(scores)],
        lambda r: list_transform(r.t, lambda v: CASE WHEN r.m = '-inf'::DOUBLE THEN v ELSE v / (1 + r.rest) END))[1];
CREATE OR REPLACE MACRO log_softmax(scores) AS
    list_transform([sigmax_row(scores)], lambda r: list_transform(r.x, lambda v:
        CASE WHEN v IS NULL THEN NULL WHEN isnan(r.m) THEN r.m WHEN v = '-inf'::DOUBLE THEN v
             WHEN r.m = 'inf'::DOUBLE THEN CASE WHEN v = r.m THEN -sigmax_log1p(r.rest) ELSE '-inf'::DOUBLE END
             ELSE (v - r.m) - sigmax_log1p(r.rest) END))[1];
CREATE OR REPLACE MACRO logsumexp(scores) AS
    list_transform([sigmax_row(scores)], lambda r:
        CASE WHEN r.m IS NULL THEN CASE WHEN len(r.x) = 0 THEN '-inf'::DOUBLE END
             WHEN isnan(r.m) OR isinf(r.m) THEN r.m ELSE r.m + sigmax_log1p(r.rest) END)[1];
-- x_k less the logarithm of the others' sum of e^x: of the largest, over a list without it
CREATE OR REPLACE MACRO logit_softmax(scores) AS
    list_transform([sigmax_row(scores)], lambda r: list_transform(r.x, lambda v:
        CASE WHEN v IS NULL THEN NULL WHEN isnan(r.m) THEN r.m WHEN v = '-inf'::DOUBLE THEN v
             WHEN r.m = 'inf'::DOUBLE THEN CASE WHEN v < r.m THEN '-inf'::DOUBLE WHEN r.rest = 0 THEN v ELSE -ln(r.rest) END
             WHEN v = r.m THEN v - logsumexp(list_sort(list_filter(r.x, lambda w: w IS NOT NULL), 'DESC')[2:])
             ELSE (v - r.m) - sigmax_log1p(r.rest - sigmax_term(v, r.m)) END))[1];
"""


def create_macros(connection: Any) -> None:
    """
    Create the macros in a DuckDB database.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        An open connection; macros of the same names are replaced.

    Examples
    --------
    >>> import duckdb
    >>> from sigmax.sql import create_macros
    >>> connection = duckdb.connect()
    >>> create_macros(connection)
    >>> connection.sql("SELECT softmax([2.0, 2.0]) AS p").fetchall()
    [([0.5, 0.5],)]
    """
    connection.execute(MACROS)


def create_functions(connection: Any) -> None:
    """
    Create the functions in a DuckDB connection, as vectorised functions on the core.

    They have the names of the macros and give the bits that the functions give elsewhere; they live as long as the connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        An open connection without the macros. Needs pyarrow.

    Examples
    --------
    >>> import duckdb
    >>> from sigmax.sql import create_functions
    >>> connection = duckdb.connect()
    >>> create_functions(connection)
    >>> connection.sql("SELECT sigmoid(0.4), log_softmax([50, 0])").fetchall()
    [(0.598687660112452, [-1.9287498479639178e-22, -50.0])]
    """
    import duckdb

    one, several = "DOUBLE", "DOUBLE[]"
    signatures: dict[Kind, tuple[str, str]] = {
        "elementwise": (one, one),
        "per class": (several, several),
        "per row": (several, one),
    }
    for name in names_of(*signatures):
        taken, given = signatures[FAMILY[name].kind]
        with contextlib.suppress(duckdb.InvalidInputException):  # there is none yet
            connection.remove_function(name)
        connection.create_function(name, _on_arrow(name), [taken], given, type="arrow", null_handling="special")


def _on_arrow(name: str) -> Any:
    function = getattr(sigmax, name)

    def run(x: Any) -> Any:
        return function(x)

    return run
