// e^x in a ladder: each rung is named by the bits that it is right to, and costs about half of the next.
//
//     Exp<float>      24 and what 1 + g rounds away: softmax and log_softmax of floats (0.05 ulp), links of 16-bit numbers
//     exp35           in two-term floats: the sigmoid of floats, whose doubtful results go on to 38
//     exp38           links of floats, whose doubtful results go on to 60
//     exp52           pullbacks of floats, and their losses with soft labels, smoothing or a temperature
//     Exp<double>     57 (0.1 ulp of 53): softmax and log_softmax of doubles, links of doubles
//     exp60           what is to be rounded correctly, or to cancel a little
//     exp100          what cancels: a logsumexp near 0, a logit near 0
//
// Beyond them stands longhand.hpp, with 192. Coefficients: core/math/coefficients.py. Included once per level, hence no include guard.

// ---- Exp: e^x as a scale, a power of two times a short number, and 1 + g: the parts that a softmax or a logarithm goes on with ----
//
//     k = rint(8 x log2 e),   e^x = 2^floor(k/8) entry[k mod 8] (1 + g),   |r| <= ln(2)/16,   |g| < 0.045
//
// Kept apart they give more than a rounded e^x. Scaling by a power of two is exact, so that a softmax may shift its row by an
// integer multiple of ln 2 at no loss (x - max, rounded, costs every peer 20-66 ulp), and g keeps the digits that 1 + g
// rounds away. The reduction r = x - k ln 2 / 8 is exact up to its last product: k ln2_hi cancels against x on a
// grid that holds the difference. Adding magic leaves k in the low bits of the sum's own significand.
// The entries are 2^(j/8) in 12 bits (float) or 20 (double); rest[j] makes up for what they lack. With g this small none of its
// roundings is seen.
//
// |x| must stay below 2^18 (float) or 2^50 (double); callers clamp. NaN passes through g.
// Tried and lost: whole powers of two and a polynomial of degree 6 (float: seven instructions more, 1.13 ulp in a softmax) or 11
// (double: eight more); sixteenths and a degree less (AVX2 looks up eight numbers of 4 bytes at a time: a wide softmax
// of floats took 1.18 times as long there, of doubles 1.35; on AVX-512 they are 3 % faster for floats and 1 % slower for doubles).

inline constexpr int octave_bits = 3, octave = 1 << octave_bits;  // entries from one power of two to the next; eight of 4 bytes fill 32

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
    static constexpr float log2_e_8 = 0x1.715476p+3f, magic = 0x1.8p23f, ln2_hi_8 = 0x1.62e430p-4f, ln2_lo_8 = -0x1.05c610p-32f;
    static constexpr float polynomial[] = {0x1p-1f, 0x1.555c8ap-3f, 0x1.55481cp-5f};
    // the bits of entry[j], less j 2^20: adding n 2^20 multiplies by 2^floor(n/8)
    static constexpr std::int32_t entry[] = {0x3f800000, 0x3f7b9000, 0x3f783000, 0x3f760000,
                                             0x3f750000, 0x3f756000, 0x3f774000, 0x3f7ac000};
    static constexpr float rest[] = {0,
                                     0x1.51eb063a2cb58p-13f,
                                     0x1.ab492f25db1c9p-13f,
                                     -0x1.ca8cdf95bfdd6p-16f,
                                     0x1.c00c40725a061p-14f,
                                     0x1.295520044c5e9p-13f,
                                     0x1.7b9c1c91c385fp-14f,
                                     0x1.b1d1ba7aa7ff9p-17f};
};
template <>
struct ExpConstants<double> {
    static constexpr double log2_e_8 = 0x1.71547652b82fep+3, magic = 0x1.8p52, ln2_hi_8 = 0x1.62e42fefa39efp-4,
                            ln2_lo_8 = 0x1.abc9e3b39803fp-59;
    static constexpr double polynomial[] = {0x1.000000000010bp-1, 0x1.5555555555132p-3,  0x1.555555480fd09p-5,
                                            0x1.11111125d4f85p-7, 0x1.6c1cbd422e8d7p-10, 0x1.a0163a9290dbcp-13};
    // the bits of entry[j], less j 2^49: adding n 2^49 multiplies by 2^floor(n/8)
    static constexpr std::int64_t entry[] = {0x3ff0000000000000, 0x3fef72b800000000, 0x3fef06fe00000000, 0x3feebfda00000000,
                                             0x3feea09e00000000, 0x3feeace600000000, 0x3feee8a000000000, 0x3fef581800000000};
    static constexpr double rest[] = {0,
                                      0x1.bbc0ceba37fb1p-23,
                                      0x1.1250015761931p-25,
                                      0x1.48d13b22265efp-21,
                                      0x1.21e7c52134643p-22,
                                      -0x1.ec5df56ee9fdcp-22,
                                      -0x1.e843fda5ced1ap-23,
                                      0x1.e1f7a7c12c7ddp-22};
};

// k[0] + k[1] x + ..., two terms at a time: as many fmas as Horner's rule in half the latency.
template <class T, int many, int n>
SIGMAX_INLINE Pack<T, n> polynomial(const T (&k)[many], Pack<T, n> x, Pack<T, n> x_squared) {
    auto pair = [&](int i) SIGMAX_LAMBDA { return i + 1 < many ? fma(x, k[i + 1], k[i]) : Pack<T, n>(k[i]); };
    Pack<T, n> p = pair((many - 1) / 2 * 2);
    for (int i = (many - 1) / 2 * 2 - 2; i >= 0; i -= 2) p = fma(p, x_squared, pair(i));
    return p;
}
// The same with as few multiplications as there are: for long loops without a chain from step to step.
template <class T, int many, int n>
SIGMAX_INLINE Pack<T, n> horner(const T (&k)[many], Pack<T, n> x) {
    Pack<T, n> p = k[many - 1];
#pragma GCC unroll 16
    for (int i = many - 2; i >= 0; --i) p = fma(p, x, k[i]);
    return p;
}

template <class T, int n = natural<T>>
struct Exp {
    Pack<T, n> t, g;        // t = k + magic
    Pack<Int<T>, n> entry;  // of k mod 8
};

// With a `magic` of its own in each lane, 2^m taken off the scale is 8 m taken off magic. See Shift in rows/softmax.hpp.
template <class T, int n, class... Low>
SIGMAX_BLOCK Exp<T, n> exp_at(Pack<T, n> x, Pack<T, n> magic, Low... x_lo) {
    using C = ExpConstants<T>;
    Exp<T, n> e;
    e.t = fma(x, C::log2_e_8, magic);
    e.entry = lookup<C::entry>(bits(e.t));
    const Pack<T, n> rest = lookup<C::rest>(bits(e.t));
    Pack<T, n> k = e.t - magic, high = fma(k, -C::ln2_hi_8, x), r = high + (fma(k, -C::ln2_lo_8, rest) + ... + x_lo);
    Pack<T, n> square = r * r;
    e.g = fma(square, polynomial(C::polynomial, r, square), r);
    return e;
}
template <class T, int n>
SIGMAX_INLINE Exp<T, n> exp_of(Pack<T, n> x) {
    return exp_at(x, Pack<T, n>(ExpConstants<T>::magic));
}

// The magic that makes the scale of t, which was found with the usual one, 2^offset times an entry.
template <int offset, class T, int n>
SIGMAX_INLINE Pack<T, n> magic_below(Pack<T, n> t) {
    constexpr Int<T> usual = std::bit_cast<Int<T>>(ExpConstants<T>::magic);
    return from_bits<T>(usual - ((bits(t) & -octave) - (usual + octave * offset)));
}
// The scale, by integer arithmetic on the exponent field, so that it must be a normal number.
template <class T, int n>
SIGMAX_INLINE Pack<T, n> scale_of(const Exp<T, n>& e) {
    return from_bits<T>(shift_left<Format<T>::digits - octave_bits>(bits(e.t)) + e.entry);
}

// ---- exp35: e^x in floats, |x| <= 87 ----
//
//     e^x = 2^floor(k/8) entry[k mod 8] (1 + r + more),   k = rint(8 x / ln 2),   |r| <= ln(2)/16,   |more| < 2^-10
//
// r is exact. What k (ln 2 / 8) lacks in it and what an entry of 24 bits lacks of 2^(j/8), 2^-22 together, goes into `more`, with all
// that is of second order and higher: its roundings are absolute errors of 2^-32.1.
struct Exp35Constants {
    static constexpr float polynomial[] = {0x1p-1f, 0x1.555556p-3f, 0x1.555d88p-5f, 0x1.1115c0p-7f};
    // the bits of 2^(j/8) in 24 bits, less j 2^20, and (j/8) ln 2 less their logarithm
    static constexpr std::int32_t entry[] = {0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7,
                                             0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7};
    static constexpr float rest[] = {0,
                                     -0x1.9c0c2141fef92p-27f,
                                     0x1.1250015761931p-25f,
                                     -0x1.0a355113e553ap-25f,
                                     0x1.26055c546c140p-26f,
                                     0x1.67a1ca1d9d84ap-28f,
                                     -0x1.f9c305081c25ep-27f,
                                     -0x1.a5217cbeba37ep-28f};
};
template <int n>
struct Exp35 {
    Pack<float, n> scale, r, more;
};
template <int n>
SIGMAX_INLINE Exp35<n> exp35(Pack<float, n> x) {
    using C = ExpConstants<float>;
    using D = Exp35Constants;
    using P = Pack<float, n>;
    const P t = fma(x, C::log2_e_8, C::magic), k = t - C::magic, r = fma(k, -C::ln2_hi_8, x);
    const P low = fma(k, -C::ln2_lo_8, lookup<D::rest>(bits(t))), whole = r + low;
    const P scale = from_bits<float>(shift_left<Format<float>::digits - octave_bits>(bits(t)) + lookup<D::entry>(bits(t)));
    return {scale, r, fma(whole * whole, horner(D::polynomial, whole), low)};
}

// ---- exp38: e^x + more, and exp52: e^x, in double, |x| <= reach ----
//
//     e^x = entry[k mod 8] 2^floor(k/8) e^r,   k = rint(8 x / ln 2),   |r| <= ln(2)/16
//
// of degree 5, relative error 2^-41.7, and of degree 7, 2^-58.5 before the roundings, 2^-52 together; e^0 is 1.
// Tried and lost: sixteenths and a degree less (two registers of multiplications fewer, where a sigmoid has eighteen, but AVX2 looks up
// eight numbers of 4 bytes at a time: 1.24 ns an element there against 1.03; 0.62 against 0.64 on AVX-512).
struct ExpByEighths {
    static constexpr double inverse = 0x1.71547652b82fep+3, magic = 0x1.8p52, eighth = 0x1.62e42fefa39efp-4,
                            eighth_lo = ExpConstants<double>::ln2_lo_8;
    static constexpr double of_38[] = {0x1.000000000050bp+0, 0x1.fffffffffd630p-1, 0x1.ffffffd0bd444p-2,
                                       0x1.555555a1de51fp-3, 0x1.555d88442c8e2p-5, 0x1.110c6197b7060p-7};
    static constexpr double of_52[] = {1,
                                       1,
                                       0x1.0000000000171p-1,
                                       0x1.5555555554d01p-3,
                                       0x1.55555546541c6p-5,
                                       0x1.1111112fbf645p-7,
                                       0x1.6c1d00a403b1bp-10,
                                       0x1.a014740a637e1p-13};
    // the bits of 2^(j/8), less j 2^49
    static constexpr std::int64_t entry[] = {0x3ff0000000000000, 0x3fef72b83c7d517b, 0x3fef06fe0a31b715, 0x3feebfdad5362a27,
                                             0x3feea09e667f3bcd, 0x3feeace5422aa0db, 0x3feee89f995ad3ad, 0x3fef5818dcfba487};
};
template <int n>
struct Eighths {
    Pack<double, n> power, k, r;
    SIGMAX_INLINE explicit Eighths(Pack<double, n> x) {
        using C = ExpByEighths;
        const Pack<double, n> t = fma(x, C::inverse, C::magic);
        k = t - C::magic;
        r = fma(k, -C::eighth, x);
        power = from_bits<double>(shift_left<Format<double>::digits - octave_bits>(bits(t)) + lookup<C::entry>(bits(t)));
    }
};
template <int n>
SIGMAX_INLINE Pack<double, n> exp38(Pack<double, n> x, double more) {
    const Eighths<n> e(x);
    return fma(e.power, horner(ExpByEighths::of_38, e.r), more);
}
template <int n, class... Low>
SIGMAX_INLINE Pack<double, n> exp52(Pack<double, n> x, Low... x_lo) {
    const Eighths<n> e(x);
    return e.power * horner(ExpByEighths::of_52, fma(e.k, -ExpByEighths::eighth_lo, (e.r + ... + x_lo)));
}

// ---- exp60 ----
//
//     k = rint(x log2 e - skew),   e^x = 2^k (1 + g + g_lo),   log 3/4 <= r <= log 3/2,   -1/4 <= g <= 1/2
//
// The skew, 1/2 + log2(3/4), puts g where |g| / (1 + g), by which its roundings count, is at most 1/3 (it would be 0.41). A second
// term x_lo is optional too. r is rounded in the terms of second order only: the linear one adds high and low last.
struct Exp60Constants {
    static constexpr double log2_e = 0x1.71547652b82fep+0, magic = 0x1.8p52, skew = 0x1.5c01a39fbd688p-4, ln2_hi = 0x1.62e42fefa39efp-1,
                            ln2_lo = 0x1.abc9e3b39803fp-56;
    static constexpr double polynomial[] = {0x1.0000000000000p-1,  0x1.5555555555553p-3,  0x1.5555555555628p-5,  0x1.1111111111d36p-7,
                                            0x1.6c16c16baef3dp-10, 0x1.a01a019b25d5ep-13, 0x1.a01a04443d2ecp-16, 0x1.71de3e6922371p-19,
                                            0x1.27dd4eb2f901cp-22, 0x1.aebbb6fec18fcp-26, 0x1.2f8ad5a368d69p-29};
};
template <int n>
struct Exp60 {
    Pack<double, n> t, g, g_lo;  // t = k + magic; g + g_lo has a relative error of about 2^-60
};
template <int n, class... Low>
SIGMAX_BLOCK Exp60<n> exp60_parts(Pack<double, n> x, Low... x_lo) {
    using C = Exp60Constants;
    using P = Pack<double, n>;
    P t = fma(x, C::log2_e, -C::skew) + C::magic, k = t - C::magic;
    P high = fma(k, -C::ln2_hi, x), low = fma(k, -C::ln2_lo, (P(0) + ... + x_lo));
    P r = high + low, square = r * r;
    P q = polynomial(C::polynomial, r, square), r_lo = (high - r) + low;
    Pair<double, n> g = fast_two_sum(r, fma(square, q, fma(r, r_lo, r_lo)));
    return {t, g.hi, g.lo};
}
// 2^(k + offset) for t = k + magic: the result must be a normal number.
template <int n>
SIGMAX_INLINE Pack<double, n> power_of_two(Pack<double, n> t, int offset) {
    return from_bits<double>(shift_left<52>(bits(t) + std::int64_t(1023 + offset)));
}

// e^x = 2^k m with t = k + magic, for power_of_two.
template <int n>
struct ScaledExp {
    Pack<double, n> t;
    Pair<double, n> m;
};
template <int n>
SIGMAX_INLINE ScaledExp<n> exp60(Pair<double, n> x) {
    Exp60<n> e = exp60_parts(x.hi, x.lo);
    Pair<double, n> m = fast_two_sum(Pack<double, n>(1), e.g);
    return {e.t, {m.hi, m.lo + e.g_lo}};
}

// ---- exp100 ----
//
// e^x = 2^k e^r as in exp60, r / 16 into Taylor's series to the 15th degree (the first eight terms in two-term arithmetic), and four
// squarings of e^(r/16) - 1.
struct Exp100Constants {
    static constexpr double ln2_rest = 0x1.7b57a079a1934p-111;  // behind ln2_hi and ln2_lo
    // 1 / i!, in two terms for i = 2 ... 8 and in one for i = 9 ... 15
    static constexpr double hi[] = {0x1p-1,
                                    0x1.5555555555555p-3,
                                    0x1.5555555555555p-5,
                                    0x1.1111111111111p-7,
                                    0x1.6c16c16c16c17p-10,
                                    0x1.a01a01a01a01ap-13,
                                    0x1.a01a01a01a01ap-16};
    static constexpr double lo[] = {0,
                                    0x1.5555555555555p-57,
                                    0x1.5555555555555p-59,
                                    0x1.1111111111111p-63,
                                    -0x1.f49f49f49f49fp-65,
                                    0x1.a01a01a01a01ap-73,
                                    0x1.a01a01a01a01ap-76};
    static constexpr double high_degrees[] = {0x1.71de3a556c734p-19, 0x1.27e4fb7789f5cp-22, 0x1.ae64567f544e4p-26, 0x1.1eed8eff8d898p-29,
                                              0x1.6124613a86d09p-33, 0x1.93974a8c07c9dp-37, 0x1.ae7f3e733b81fp-41};
};

template <int n>
SIGMAX_SHARED ScaledExp<n> exp100(Pair<double, n> x) {
    using C = Exp60Constants;
    using H = Exp100Constants;
    using P = Pack<double, n>;
    P t = fma(x.hi, C::log2_e, -C::skew) + C::magic, k = t - C::magic;
    Pair<double, n> low = two_product(k, P(-C::ln2_lo)), r = two_sum(fma(k, -C::ln2_hi, x.hi), low.hi);
    r = fast_two_sum(r.hi, r.lo + (low.lo + fma(k, -H::ln2_rest, x.lo))) * P(0x1p-4);
    Pair<double, n> q = {r.hi * polynomial(H::high_degrees, r.hi, r.hi * r.hi), P(0)};
    for (int i = 6; i >= 0; --i) {
        q = q + Pair<double, n>{P(H::hi[i]), P(H::lo[i])};
        q = q * r;
    }
    Pair<double, n> e = r + q * r;  // e^r - 1
    for (int i = 0; i < 4; ++i) e = e * P(2) + e * e;
    Pair<double, n> m = two_sum(P(1), e.hi);
    return {t, {m.hi, m.lo + e.lo}};
}
