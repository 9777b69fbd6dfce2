// log(a / b) of two two-term numbers, as hi + lo: the one logarithm behind logit, log1p, softplus and logsumexp.
//
//     a / b = 2^k a'/b,   2/3 < a'/b < 3/2,   s = (a' - b) / (a' + b),   log(a / b) = k ln 2 + 2 s + s^3 P(s^2)
//
// A quotient instead of a number, because the cancellation then happens in a' - b, which is exact: log1p(y) is the ratio
// (1 + y) / 1, and logit(p) the ratio p / (1 - p), whose difference near one half is exactly 2 p - 1 (every peer that
// takes log(p / (1 - p)) there loses all its digits).
//
// hi + lo carries about 60 bits (the polynomial alone 62.6). a.hi and b.hi must be positive and normal.
// Coefficients: core/coefficients.py. Included once per level, hence no include guard.

struct LogConstants {
    static constexpr double ln2_hi = 0x1.62e42fefa38p-1, ln2_lo = 0x1.ef35793c7673p-45;  // k ln2_hi is exact
    static constexpr double polynomial[] = {0x1.555555555554fp-1, 0x1.999999999c266p-2, 0x1.24924921d6d98p-2, 0x1.c71c749b45352p-3,
                                            0x1.745c483a947abp-3, 0x1.3b3614e5672a6p-3, 0x1.0dc62814848bep-3, 0x1.1ba5caa2b30cfp-3};
};

// log((c + d) / (c - d)) + k ln 2 = 2 artanh(d / c) + k ln 2 for |d / c| <= 1/5.
SIGMAX_BLOCK Pair<double> log_of_quotient(Pair<double> d, Pair<double> c, f64 k) {
    using C = LogConstants;
    Pair<double> s = divide(d, c);
    f64 w = s.hi * s.hi, tail = fma(s.hi * w, polynomial(C::polynomial, w, w * w), s.lo + s.lo);
    Pair<double> r = fast_two_sum(k * C::ln2_hi, s.hi + s.hi);
    return fast_two_sum(r.hi, fma(k, C::ln2_lo, r.lo + tail));
}

// The k for which a / b = 2^k a'/b, and 2^-k: the difference of the representations is log2(a / b) within 0.09, in units of the
// last digit of the exponent.
template <class T>
struct QuotientBits {
    static constexpr int field = sizeof(T) == 4 ? 23 : 52;
    static constexpr Int<T> unit = Int<T>{1} << field, bias = sizeof(T) == 4 ? 127 : 1023;
    Pack<Int<T>> k;
    Pack<T> down;
    SIGMAX_INLINE QuotientBits(Pack<T> a, Pack<T> b) {
        k = (bits(a) - bits(b) + unit / 2) & ~(unit - 1);
        down = from_bits<T>(bias * unit - k);
    }
    SIGMAX_INLINE Pack<T> value() const {
        constexpr T one = static_cast<T>(unit);  // the last digit of its neighbours is 1
        return from_bits<T>(shift_right_logical<field>(k + (bias + 1) * unit) | std::bit_cast<Int<T>>(one)) - (one + (bias + 1));
    }
};

SIGMAX_BLOCK Pair<double> log_ratio(Pair<double> a, Pair<double> b) {
    const QuotientBits k(a.hi, b.hi);
    a = a * k.down;
    Pair<double> difference = two_sum(a.hi - b.hi, a.lo - b.lo), sum = two_sum(a.hi, b.hi);
    sum.lo = sum.lo + (a.lo + b.lo);
    return log_of_quotient(difference, sum, k.value());
}

// For results of double: log(q + q_lo) to about 2^-57 of the result, for a normal q and |q_lo| of a rounding of q.
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
SIGMAX_BLOCK Pair<double> log_by_table(f64 q, f64 q_lo) {
    using T = LogTable;
    constexpr std::int64_t exponent = ~((std::int64_t{1} << 52) - 1);
    auto word = bits(q) + ((std::int64_t{1} << 52) + (std::int64_t{1} << 47)), j = shift_right_logical<48>(word);
    f64 k = from_bits<double>(shift_right_logical<52>(word) | std::int64_t{0x4330000000000000}) - (0x1p52 + 1024);
    f64 inverse = from_bits<double>(lookup(T::inverse, j) - (word & exponent));
    Pair<double> near = two_product(q, inverse);
    f64 r = near.hi - 1.0, r_lo = fma(q_lo, inverse, near.lo);  // r is exact
    Pair<double> sum = fast_two_sum(fma(k, f64(LogConstants::ln2_hi), lookup(T::log, j)), r);
    f64 slope = fma(r, fma(r, polynomial(T::polynomial, r, r * r), f64(-0.5)), -r_lo);
    return {sum.hi, sum.lo + fma(r, slope, fma(k, LogConstants::ln2_lo, r_lo))};
}
