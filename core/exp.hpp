// e^x as an integer power of two times 1 + g, in float and in double.
//
//     n = rint(x log2 e - skew),   r = x - n ln 2,   e^x = 2^n e^r = 2^n (1 + g),   log 3/4 <= r <= log 3/2,   -1/4 <= g <= 1/2
//
// Kept apart, 2^n and g give more than a rounded e^x: scaling by a power of two is exact, so a softmax may shift its row by
// an integer multiple of ln 2 at no loss (x - max, rounded, costs every peer 20-66 ulp), and g keeps the digits that
// 1 + g rounds away. The two-step reduction is exact up to the last product: n ln2_hi cancels against x on a grid that
// holds the difference. Adding magic leaves n in the low bits of the sum's own significand. The skew, 1/2 + log2(3/4), puts g
// where |g| / (1 + g), by which roundings of g count, is at most 1/3 (it would be 0.41).
//
// |x| must stay below 2^20 (float) or 2^50 (double); callers clamp. NaN passes through g.
// Coefficients: core/coefficients.py. Included once per level, hence no include guard.

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
    static constexpr int mantissa_bits = 23;
    static constexpr float log2_e = 0x1.715476p+0f, magic = 0x1.8p23f, skew = 0x1.5c01a4p-4f, ln2_hi = 0x1.62e430p-1f,
                           ln2_lo = -0x1.05c610p-29f;
    static constexpr float polynomial[] = {0x1.000006p-1f, 0x1.5554d8p-3f, 0x1.5543a0p-5f, 0x1.11f160p-7f, 0x1.80125ap-10f};
};
template <>
struct ExpConstants<double> {
    static constexpr int mantissa_bits = 52;
    static constexpr double log2_e = 0x1.71547652b82fep+0, magic = 0x1.8p52, skew = 0x1.5c01a39fbd688p-4, ln2_hi = 0x1.62e42fefa39efp-1,
                            ln2_lo = 0x1.abc9e3b39803fp-56;
    static constexpr double polynomial[] = {0x1.ffffffffffffep-2,  0x1.55555555556d8p-3,  0x1.55555555560e5p-5,  0x1.11111110909b7p-7,
                                            0x1.6c16c16a3253ap-10, 0x1.a01a05420fa82p-13, 0x1.a019f69625faap-16, 0x1.71d331621bd10p-19,
                                            0x1.283e01dce6ab9p-22, 0x1.c6c9a07839b1cp-26};
};

// k[0] + k[1] x + ..., two terms at a time: as many fmas as Horner's rule in half the latency.
template <class T, int n, int c>
SIGMAX_INLINE Pack<T, c> polynomial(const T (&k)[n], Pack<T, c> x, Pack<T, c> x_squared) {
    auto pair = [&](int i) SIGMAX_LAMBDA { return i + 1 < n ? fma(x, k[i + 1], k[i]) : Pack<T, c>(k[i]); };
    Pack<T, c> p = pair((n - 1) / 2 * 2);
    for (int i = (n - 1) / 2 * 2 - 2; i >= 0; i -= 2) p = fma(p, x_squared, pair(i));
    return p;
}

// n times -ln2_lo, plus the low part of x if there is one
template <class T, int c>
SIGMAX_INLINE Pack<T, c> scaled_tail(Pack<T, c> n, T factor) {
    return n * factor;
}
template <class T, int c>
SIGMAX_INLINE Pack<T, c> scaled_tail(Pack<T, c> n, T factor, Pack<T, c> x_lo) {
    return fma(n, factor, x_lo);
}

template <class T, int c = 1>
struct Exp {
    Pack<T, c> t;        // n + magic: n sits in the low bits of its representation
    Pack<T, c> g, g_lo;  // e^r - 1; g_lo only where asked for
};

// e^(x + x_lo), the second term optional. r is rounded in the terms of second order only: the linear one adds high and low
// last. The error of 1 + g is about 0.3 ulp; with `exact`, that of 1 + g + g_lo about 0.01.
template <bool exact = false, class T, int c, class... Low>
SIGMAX_INLINE Exp<T, c> exp_parts(Pack<T, c> x, Low... x_lo) {
    using C = ExpConstants<T>;
    Pack<T, c> t = fma(x, C::log2_e, -C::skew) + C::magic, n = t - C::magic;
    Pack<T, c> high = fma(n, -C::ln2_hi, x), low = scaled_tail(n, -C::ln2_lo, x_lo...);
    Pack<T, c> r = high + low, square = r * r, q = polynomial(C::polynomial, r, square);
    if constexpr (exact) {
        Pack<T, c> r_lo = (high - r) + low;
        Pair<T, c> g = fast_two_sum(r, fma(square, q, fma(r, r_lo, r_lo)));
        return {t, g.hi, g.lo};
    } else {
        return {t, high + fma(square, q, low), T(0)};
    }
}

// 2^(n + offset) from t, by integer arithmetic on the exponent field: the result must be a normal number.
template <class T, int c>
SIGMAX_INLINE Pack<T, c> power_of_two(Pack<T, c> t, int offset = 0) {
    using C = ExpConstants<T>;
    constexpr int bias = std::numeric_limits<T>::max_exponent - 1;
    return from_bits<T>(shift_left<C::mantissa_bits>(bits(t) + Int<T>(bias + offset)));
}
