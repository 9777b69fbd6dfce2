"""Print the polynomial coefficients of exp.hpp and log.hpp, as C++ arrays of hex floats.

    python core/math/coefficients.py        (needs mpmath)

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

    show(
        "(e^r - 1 - r) / r^2, double, degree 10, relative to e^r - 1",
        "double",
        53,
        remez(expm1, lambda r: abs(r) + mp.mpf(10) ** -30, 10, low, high),
    )
    # eighths of a power of two from a table; each entry is a number of 12 or 20 bits, and r makes up for the difference
    for ctype, digits, short, degree, field in (("float", 24, 12, 2, "<i"), ("double", 53, 20, 5, "<q")):
        half_step = mp.log(2) / 16 + mp.mpf(2) ** -short
        fit = remez(expm1, weight, degree, -half_step, half_step)
        show(f"(e^r - 1 - r) / r^2, {ctype}, degree {degree}", ctype, digits, fit)
        high = mp.mpf(float(mp.nint(mp.ldexp(mp.log(2) / 8, digits + 3)) / mp.mpf(2) ** (digits + 3)))
        print(f"// ln 2 / 8: {float(high).hex()} + {float(mp.log(2) / 8 - high).hex()}")
        entries = [mp.nint(mp.ldexp(mp.mpf(2) ** (mp.mpf(j) / 8), short - 1)) / 2 ** (short - 1) for j in range(8)]
        pack, shift = ("<f", 20) if ctype == "float" else ("<d", 49)
        fields = [struct.unpack(field, struct.pack(pack, float(t)))[0] - (j << shift) for j, t in enumerate(entries)]
        print(
            f"// 2^(j/8) to {short} bits, its bits less j 2^{shift}\n{{{', '.join(f'{word:#x}' for word in fields)}}}"
        )
        rest = [mp.log(2) * j / 8 - mp.log(t) for j, t in enumerate(entries)]
        print(f"// (j/8) ln 2 - log of the entry\n{{{', '.join(float(r).hex() for r in rest)}}}")

    # exp35: entries of 24 bits, and what they lack
    half_step = mp.log(2) / 16 + mp.mpf(2) ** -20
    show("(e^r - 1 - r) / r^2, float, degree 3", "float", 24, remez(expm1, weight, 3, -half_step, half_step))
    entries = [mp.nint(mp.ldexp(mp.mpf(2) ** (mp.mpf(j) / 8), 23)) / 2**23 for j in range(8)]
    words = [struct.unpack("<i", struct.pack("<f", float(t)))[0] - (j << 20) for j, t in enumerate(entries)]
    print("// 2^(j/8) to 24 bits, its bits less j 2^20\n{" + ", ".join(f"{word:#x}" for word in words) + "}")
    rest = [mp.log(2) * j / 8 - mp.log(t) for j, t in enumerate(entries)]
    print(f"// (j/8) ln 2 - log of the entry\n{{{', '.join(float(r).hex() for r in rest)}}}")

    # exp38 and exp52: eighths from a table of 53-bit numbers
    half_step = mp.log(2) / 16
    for degree in (5, 7):
        fit = remez(mp.exp, lambda r: 1 / mp.exp(r), degree, -half_step, half_step)
        show(f"e^r, degree {degree}", "double", 53, fit)
    show("8 / ln 2 and ln 2 / 8", "double", 53, ([8 / mp.log(2), mp.log(2) / 8], mp.mpf(2) ** -54))
    words = [
        struct.unpack("<q", struct.pack("<d", float(mp.mpf(2) ** (mp.mpf(j) / 8))))[0] - (j << 49) for j in range(8)
    ]
    print("// 2^(j/8), its bits less j 2^49\n{" + ", ".join(f"{word:#x}" for word in words) + "}")

    # log(a / b) = 2 atanh(s), |s| <= 1/5; the polynomial is in w = s^2
    def tail(w):
        return mp.mpf(2) / 3 if w == 0 else (2 * mp.atanh(mp.sqrt(w)) - 2 * mp.sqrt(w)) / mp.sqrt(w) ** 3

    show(
        "(2 atanh(s) - 2 s) / s^3, double, degree 7",
        "double",
        53,
        remez(tail, lambda w: w / 2 + mp.mpf(10) ** -30, 7, mp.mpf(0), mp.mpf("0.0402")),
    )
    for ctype, digits, degree in (("double", 53, 4), ("float", 24, 2)):
        fit = remez(tail, lambda w: w / 2 + mp.mpf(10) ** -30, degree, mp.mpf(0), mp.mpf("0.0402"))
        show(f"(2 atanh(s) - 2 s) / s^3, quick, {ctype}, degree {degree}", ctype, digits, fit)

    # log by a table: -log c_j a multiple L of 2^-42 near log(1 + j/16), such that c_j, rounded to 53 bits, is e^-L to 66. Not too
    # near: next to a short fraction the roundings repeat themselves.
    inverses, logs, worst = [], [], mp.mpf(0)
    for j in range(16):
        middle = mp.nint(mp.ldexp(mp.log(1 + mp.mpf(j) / 16) + (mp.pi / 2**14 if j else 0), 42))
        candidates = [(middle + (i + 1) // 2 * (-1) ** i) / mp.mpf(2) ** 42 for i in range(4000 if j else 1)]
        log = min(candidates, key=lambda c: abs(mp.log(mp.mpf(float(mp.exp(-c)))) + c))
        inverse = float(mp.exp(-log))
        worst = max(worst, abs(mp.log(mp.mpf(inverse)) + log))
        inverses.append(struct.unpack("<q", struct.pack("<d", inverse))[0] + (1024 << 52))
        logs.append(float(log).hex())
    print(f"// c_j, its bits and 1024 2^52; -log c_j, right to 2^{float(mp.log(worst, 2)):.1f}")
    print(f"{{{', '.join(f'{word:#x}' for word in inverses)}}}\n{{{', '.join(logs)}}}")

    def log1p(r: mp.mpf) -> mp.mpf:
        return mp.mpf(1) / 3 if r == 0 else (mp.log1p(r) - r + r * r / 2) / r**3

    fit = remez(log1p, lambda r: r**2 + mp.mpf(10) ** -30, 6, -mp.mpf(1) / 32, mp.mpf(1) / 32)
    show("(log(1 + r) - r + r^2 / 2) / r^3, degree 6", "double", 53, fit)


if __name__ == "__main__":
    main()
