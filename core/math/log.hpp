// log in the same ladder as exp.hpp.
//
//     log28, log42    log((c + d) / (c - d)) of floats and doubles: links of 16-bit numbers and of floats
//     log57           of a double and what it lacks, by table: log_softmax, links of doubles
//     log60           log(a / b) of two two-term numbers: the logarithm behind logit, log1p, softplus and logsumexp
//     log100          the same, for what cancels
//
// A quotient instead of a number, because the cancellation then happens in a' - b, which is exact: log1p(y) is the ratio
// (1 + y) / 1, and logit(p) the ratio p / (1 - p), whose difference near one half is exactly 2 p - 1 (every peer that
// takes log(p / (1 - p)) there loses all its digits).
// Coefficients: core/math/coefficients.py. Included once per level, hence no include guard.

// The k for which a / b = 2^k a'/b, and 2^-k: the difference of the representations is log2(a / b) within 0.09, in units of the
// last digit of the exponent.
template <class T, int n>
struct QuotientBits {
    static constexpr int field = sizeof(T) == 4 ? 23 : 52;
    static constexpr Int<T> unit = Int<T>{1} << field, bias = sizeof(T) == 4 ? 127 : 1023;
    Pack<Int<T>, n> k;
    Pack<T, n> down;
    SIGMAX_INLINE QuotientBits(Pack<T, n> a, Pack<T, n> b) {
        k = (bits(a) - bits(b) + unit / 2) & ~(unit - 1);
        down = from_bits<T>(bias * unit - k);
    }
    SIGMAX_INLINE Pack<T, n> value() const {
        constexpr T one = static_cast<T>(unit);  // the last digit of its neighbours is 1
        return from_bits<T>(shift_right_logical<field>(k + (bias + 1) * unit) | std::bit_cast<Int<T>>(one)) - (one + (bias + 1));
    }
};

// ---- log28, log42: log((c + d) / (c - d)) = 2 artanh(d / c) = 2 s + s^3 P(s^2),  s = d / c,  |s| <= 1/5 ----
template <class W>
struct ShortLogConstants;
template <>
struct ShortLogConstants<float> {
    static constexpr float ln2 = 0x1.62e430p-1f;
    static constexpr float polynomial[] = {0x1.5555b4p-1f, 0x1.9929e6p-2f, 0x1.36fcf8p-2f};  // 2^-28.4
};
template <>
struct ShortLogConstants<double> {
    static constexpr double ln2 = 0x1.62e42fefa39efp-1;
    static constexpr double polynomial[] = {0x1.555555592dcdcp-1, 0x1.99998f12d04bcp-2, 0x1.2496f4d16ea3bp-2, 0x1.c54f42e3147dap-3,
                                            0x1.9c4ead2f18309p-3};  // 2^-42.2
};
template <class W, int n>
SIGMAX_INLINE Pack<W, n> short_log(Pack<W, n> d, Pack<W, n> c) {
    Pack<W, n> s = d / c, w = s * s;
    return fma(s * w, horner(ShortLogConstants<W>::polynomial, w), s + s);
}
// log(1 + e) for 0 <= e <= 1
template <class W, int n>
SIGMAX_INLINE Pack<W, n> short_log1p(Pack<W, n> e) {
    auto large = e > W(0.41);
    Pack<W, n> l = short_log(select(large, e - W(1), e), e + select(large, W(3), Pack<W, n>(2)));
    return l + select(large, ShortLogConstants<W>::ln2, Pack<W, n>(0));
}

// ln 2 and the polynomial of log60
struct LogConstants {
    static constexpr double ln2_hi = 0x1.62e42fefa38p-1, ln2_lo = 0x1.ef35793c7673p-45;  // k ln2_hi is exact
    static constexpr double polynomial[] = {0x1.555555555554fp-1, 0x1.999999999c266p-2, 0x1.24924921d6d98p-2, 0x1.c71c749b45352p-3,
                                            0x1.745c483a947abp-3, 0x1.3b3614e5672a6p-3, 0x1.0dc62814848bep-3, 0x1.1ba5caa2b30cfp-3};
};

// ---- log57: log(q + q_lo), for a normal q and |q_lo| of a rounding of q ----
//
//     q = 2^k m,   31/32 <= m < 63/32,   c_j = 1/m within 1/32 for the sixteenth j of m,   r + r_lo = (q + q_lo) 2^-k c_j - 1
//     log(q + q_lo) = k ln 2 - log c_j + r + r_lo - r r_lo - r^2 / 2 + r^3 P(r)
//
// Around 1 both k and log c_j are 0, so that a small logarithm has all its digits. The c_j are such that -log c_j, which is a
// multiple of 2^-42 like ln2_hi, is right to 2^-66, and its sum with k ln2_hi exact.
struct LogTable {
    // the bits of c_j, and 1024 in the field of the exponent
    static constexpr std::int64_t inverse[] = {0x7ff0000000000000, 0x7fee1ca3af00c1df, 0x7fec7061b3b0e6b0, 0x7feaf13423868ee5,
                                               0x7fe99857ee8fc275, 0x7fe86053be6bb928, 0x7fe744ad07634340, 0x7fe641b0a2e90354,
                                               0x7fe5544946b6ec37, 0x7fe479dff202af98, 0x7fe3b043a3d1ac47, 0x7fe2f59677d962ab,
                                               0x7fe2483eced896ef, 0x7fe1a6db8a0faa67, 0x7fe1103a9ee434aa, 0x7fe083518114c807};
    static constexpr double log[] = {0,
                                     0x1.f2352beecp-5,
                                     0x1.e33986be68p-4,
                                     0x1.60578ef624p-3,
                                     0x1.c96404645ap-3,
                                     0x1.16a80eb8ddp-2,
                                     0x1.464b001885p-2,
                                     0x1.73cfc361adp-2,
                                     0x1.9f6482c57cp-2,
                                     0x1.c931c070f2p-2,
                                     0x1.f15b39f028p-2,
                                     0x1.0c00503c4c800p-1,
                                     0x1.1e9f17e53bp-1,
                                     0x1.3096952f12p-1,
                                     0x1.41f2208390800p-1,
                                     0x1.52bbf4621f800p-1};
    static constexpr double polynomial[] = {0x1.55555555554d9p-2, -0x1.0000000066c85p-2, 0x1.9999999bf5af8p-3, -0x1.555544960b3c4p-3,
                                            0x1.24922e16faa62p-3, -0x1.006915ba23d64p-3, 0x1.c80e51f469489p-4};
};
template <int n>
SIGMAX_BLOCK Pair<double, n> log57(Pack<double, n> q, Pack<double, n> q_lo) {
    using T = LogTable;
    using P = Pack<double, n>;
    constexpr std::int64_t exponent = ~((std::int64_t{1} << 52) - 1);
    auto word = bits(q) + ((std::int64_t{1} << 52) + (std::int64_t{1} << 47)), j = shift_right_logical<48>(word);
    P k = from_bits<double>(shift_right_logical<52>(word) | std::int64_t{0x4330000000000000}) - (0x1p52 + 1024), log;
    Pack<std::int64_t, n> entry;
    lookup_both<T::log, T::inverse>(j, log, entry);
    P inverse = from_bits<double>(entry - (word & exponent));
    Pair<double, n> near = two_product(q, inverse);
    P r = near.hi - 1.0, r_lo = fma(q_lo, inverse, near.lo);  // r is exact
    Pair<double, n> sum = fast_two_sum(fma(k, LogConstants::ln2_hi, log), r);
    P slope = fma(r, fma(r, polynomial(T::polynomial, r, r * r), -0.5), -r_lo);
    return {sum.hi, sum.lo + fma(r, slope, fma(k, LogConstants::ln2_lo, r_lo))};
}

// ---- log60: log(a / b) as hi + lo, for a.hi and b.hi that are positive and normal ----
//
//     a / b = 2^k a'/b,   2/3 < a'/b < 3/2,   s = (a' - b) / (a' + b),   log(a / b) = k ln 2 + 2 s + s^3 P(s^2)
//
// The polynomial alone is right to 62.6 bits.

// log((c + d) / (c - d)) + k ln 2 = 2 artanh(d / c) + k ln 2 for |d / c| <= 1/5.
template <int n>
SIGMAX_BLOCK Pair<double, n> log60_of_quotient(Pair<double, n> d, Pair<double, n> c, Pack<double, n> k) {
    using C = LogConstants;
    Pair<double, n> s = divide(d, c);
    Pack<double, n> w = s.hi * s.hi, tail = fma(s.hi * w, polynomial(C::polynomial, w, w * w), s.lo + s.lo);
    Pair<double, n> r = fast_two_sum(k * C::ln2_hi, s.hi + s.hi);
    return fast_two_sum(r.hi, fma(k, C::ln2_lo, r.lo + tail));
}
template <int n>
SIGMAX_BLOCK Pair<double, n> log60(Pair<double, n> a, Pair<double, n> b) {
    const QuotientBits<double, n> k(a.hi, b.hi);
    a = a * k.down;
    Pair<double, n> difference = two_sum(a.hi - b.hi, a.lo - b.lo), sum = two_sum(a.hi, b.hi);
    sum.lo = sum.lo + (a.lo + b.lo);
    return log60_of_quotient(difference, sum, k.value());
}

// ---- log100: that, and one step of Newton's method; below 2^-40 it alone has all that is needed ----
template <int n>
SIGMAX_SHARED Pair<double, n> log100(Pair<double, n> a, Pair<double, n> b) {
    Pair<double, n> y = log60(a, b);
    ScaledExp<n> e = exp100(-y);
    Pair<double, n> error = a * e.m * power_of_two(e.t, 0) - b, better = two_sum(y.hi, y.lo + error.hi / b.hi);
    return select(abs(y.hi) < 0x1p-40, y, better);
}

// ---- by the bits that are asked for ----

template <int digits, int n>
SIGMAX_INLINE ScaledExp<n> exp_to(Pair<double, n> x) {
    static_assert(digits == 60 || digits == 100);
    if constexpr (digits == 100)
        return exp100(x);
    else
        return exp60(x);
}
template <int digits, int n>
SIGMAX_INLINE Pair<double, n> log_to(Pair<double, n> a, Pair<double, n> b) {
    if constexpr (digits == 100)
        return log100(a, b);
    else
        return log60(a, b);
}
// log(1 + y) for y = hi + lo > -1. For a small y, 1 + y has no room for its last digits.
template <int digits, int n>
SIGMAX_INLINE Pair<double, n> log1p_to(Pair<double, n> y) {
    using P = Pack<double, n>;
    constexpr double small = digits == 100 ? 0x1p-50 : 0x1p-30;
    Pair<double, n> a = two_sum(P(1), y.hi);
    a.lo = a.lo + y.lo;
    return select(abs(y.hi) < small, fast_two_sum(y.hi, fma(y.hi * -0.5, y.hi, y.lo)), log_to<digits>(a, one_term(P(1))));
}

// The same in functions of their own, for kernels whose text would grow too large.
template <int digits, int n>
SIGMAX_SHARED ScaledExp<n> shared_exp(Pair<double, n> x) {
    return exp_to<digits>(x);
}
template <int digits, int n>
SIGMAX_SHARED Pair<double, n> shared_log1p(Pair<double, n> y) {
    return log1p_to<digits>(y);
}

// A difference smaller than this part of its terms has lost digits: from results of 52 or of 60 bits, to be done again with 100.
inline constexpr double lost_of_52 = 0x1p-20, lost_of_60 = 0x1p-3, lost_of_60_to_narrow = 0x1p-24,
                        lost_of_100 = 0x1p-36;  // the last in longhand
// The same for results of 100 bits, whose logarithms are right to 2^-100 of 1, also where they are small.
template <int n>
SIGMAX_INLINE Pack<std::int64_t, n> lost_by_100(Pack<double, n> difference, Pack<double, n> terms) {
    return abs(difference) < max(terms, Pack<double, n>(0x1p-6)) * lost_of_100;
}
