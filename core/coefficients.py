"""Print the polynomial coefficients of exp.hpp and log.hpp, as C++ arrays of hex floats.

    python core/coefficients.py        (needs mpmath)

Minimax polynomials by the Remez exchange, weighted so that the error counted is the relative error of the final value.
"""

import struct
from collections.abc import Callable

import mpmath as mp

mp.mp.prec = 240
Function = Callable[[mp.mpf], mp.mpf]


def remez(f: Function, weight: Function, degree: int, low: mp.mpf, high: mp.mpf) -> tuple[list[mp.mpf], mp.mpf]:
    """Coefficients, lowest first, of the polynomial p that minimises max |weight (p - f)| on [low, high]; and that maximum."""
    n = degree + 2
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]
    grid = [low + (high - low) * (1 - mp.cos(mp.pi * i / 1200)) / 2 for i in range(1201)]
    for _ in range(12):
        system = mp.matrix(n, n)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                system[i, j] = x**j
            system[i, degree + 1] = (-1) ** i / weight(x)
        solution = mp.lu_solve(system, mp.matrix([f(x) for x in points]))
        coefficients = list(solution[: degree + 1])
        errors = [weight(x) * (mp.polyval(coefficients[::-1], x) - f(x)) for x in grid]
        # one extremum per run of equal sign
        points, best = [], 0
        for i in range(1, len(grid) + 1):
            if i == len(grid) or errors[i] * errors[i - 1] < 0:
                points.append(grid[best])
                best = i
            elif abs(errors[i]) > abs(errors[best]):
                best = i
        if len(points) != n:
            break
    return coefficients, max(abs(e) for e in errors)


def show(name: str, ctype: str, digits: int, fit: tuple[list[mp.mpf], mp.mpf]) -> None:
    """Print the coefficients, rounded to `digits` bits."""
    coefficients, error = fit
    print(f"// {name}: relative error 2^{float(mp.log(error, 2)):.1f}")
    words = []
    for c in coefficients:
        rounded = float(
            mp.mpf(int(mp.nint(mp.ldexp(c, digits - int(mp.ceil(mp.log(abs(c), 2)))))))
            * mp.mpf(2) ** (int(mp.ceil(mp.log(abs(c), 2))) - digits)
        )
        words.append(rounded.hex() + ("f" if ctype == "float" else ""))
    print(f"{{{', '.join(words)}}}")


def main() -> None:
    """Print every polynomial."""
    low, high = mp.log(mp.mpf("0.75")) - mp.mpf("1e-4"), mp.log(mp.mpf("1.5")) + mp.mpf("1e-4")

    def expm1(r):
        return mp.mpf("0.5") if r == 0 else (mp.expm1(r) - r) / r**2

    def weight(r: mp.mpf) -> mp.mpf:
        return r**2 / mp.exp(r) + mp.mpf(10) ** -30

    show("(e^r - 1 - r) / r^2, double, degree 9", "double", 53, remez(expm1, weight, 9, low, high))
    show(
        "(e^r - 1 - r) / r^2, double, degree 10, relative to e^r - 1",
        "double",
        53,
        remez(expm1, lambda r: abs(r) + mp.mpf(10) ** -30, 10, low, high),
    )
    # float: sixteenths of a power of two from a table; each entry is a 12-bit number, and r makes up for the difference
    sixteenth = mp.log(2) / 32 + mp.mpf(2) ** -12
    show("(e^r - 1 - r) / r^2, float, degree 1", "float", 24, remez(expm1, weight, 1, -sixteenth, sixteenth))
    show("ln 2 / 16, high", "float", 24, ([mp.log(2) / 16], mp.mpf(2) ** -25))
    entries = [mp.nint(mp.ldexp(mp.mpf(2) ** (mp.mpf(j) / 16), 11)) / 2**11 for j in range(16)]
    fields = [struct.unpack("<i", struct.pack("<f", float(t)))[0] - (j << 19) for j, t in enumerate(entries)]
    print("// 2^(j/16) to 12 bits, its bits less j 2^19\n{" + ", ".join(f"{field:#x}" for field in fields) + "}")
    rest = [mp.log(2) * j / 16 - mp.log(t) for j, t in enumerate(entries)]
    print("// (j/16) ln 2 - log of the entry\n{" + ", ".join(f"{float(r).hex()}f" for r in rest) + "}")

    # quick, for results of 24 bits: sixteenths from a table of 53-bit numbers
    def exp(r: mp.mpf) -> mp.mpf:
        return mp.exp(r)

    half_step = mp.log(2) / 32
    show("e^r, quick, degree 4", "double", 53, remez(exp, lambda r: 1 / mp.exp(r), 4, -half_step, half_step))
    show("16 / ln 2 and ln 2 / 16", "double", 53, ([16 / mp.log(2), mp.log(2) / 16], mp.mpf(2) ** -54))
    words = [
        struct.unpack("<q", struct.pack("<d", float(mp.mpf(2) ** (mp.mpf(j) / 16))))[0] - (j << 48) for j in range(16)
    ]
    print("// 2^(j/16), its bits less j 2^48\n{" + ", ".join(f"{word:#x}" for word in words) + "}")

    # log(a / b) = 2 atanh(s), |s| <= 1/5; the polynomial is in w = s^2
    def tail(w):
        return mp.mpf(2) / 3 if w == 0 else (2 * mp.atanh(mp.sqrt(w)) - 2 * mp.sqrt(w)) / mp.sqrt(w) ** 3

    show(
        "(2 atanh(s) - 2 s) / s^3, double, degree 7",
        "double",
        53,
        remez(tail, lambda w: w / 2 + mp.mpf(10) ** -30, 7, mp.mpf(0), mp.mpf("0.0402")),
    )
    show(
        "(2 atanh(s) - 2 s) / s^3, quick, degree 4",
        "double",
        53,
        remez(tail, lambda w: w / 2 + mp.mpf(10) ** -30, 4, mp.mpf(0), mp.mpf("0.0402")),
    )


if __name__ == "__main__":
    main()
