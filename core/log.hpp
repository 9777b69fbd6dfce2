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

// The k for which a / b = 2^k a'/b, and 2^-k: the difference of the representations is log2(a / b) within 0.09, in units of 2^52.
struct QuotientBits {
    Pack<std::int64_t> k;
    f64 down;
    SIGMAX_INLINE QuotientBits(f64 a, f64 b) {
        constexpr std::int64_t one = std::int64_t{1023} << 52, half = std::int64_t{1} << 51, exponent = ~((std::int64_t{1} << 52) - 1);
        k = (bits(a) - bits(b) + half) & exponent;
        down = from_bits<double>(one - k);
    }
    SIGMAX_INLINE f64 value() const {
        return from_bits<double>(shift_right_logical<52>(k + (std::int64_t{1024} << 52)) | std::int64_t{0x4330000000000000}) -
               (0x1p52 + 1024);
    }
};

SIGMAX_BLOCK Pair<double> log_ratio(Pair<double> a, Pair<double> b) {
    const QuotientBits k(a.hi, b.hi);
    a = a * k.down;
    Pair<double> difference = two_sum(a.hi - b.hi, a.lo - b.lo), sum = two_sum(a.hi, b.hi);
    sum.lo = sum.lo + (a.lo + b.lo);
    return log_of_quotient(difference, sum, k.value());
}
