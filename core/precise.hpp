// The exponential and the logarithm to about 100 bits, for the results that cancel: a logsumexp near 0, a logit near 0.
//
// e^x = 2^n e^r as in exp.hpp, r / 16 into Taylor's series to the 15th degree (the first eight terms in two-term arithmetic),
// and four squarings of e^(r/16) - 1. The logarithm is log_ratio's 60 bits and one step of Newton's method.
// Included once per level, hence no include guard.

enum class Tier { quick, exact, precise };  // about 52, 60 and 100 bits

// A difference smaller than this part of its terms is to be done again with 100 bits.
template <Tier tier>
constexpr double cancelling = tier == Tier::quick ? 0x1p-20 : 0x1p-3;

constexpr double hopeless_part = 0x1p-36;  // and smaller than this part, in longhand

struct PreciseConstants {
    static constexpr double ln2_rest = 0x1.7b57a079a1934p-111;  // behind ln2_hi and ln2_lo of exp.hpp
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

// e^x = 2^n m with t = n + magic, for power_of_two.
struct ScaledExp {
    f64 t;
    Pair<double> m;
};

SIGMAX_SHARED ScaledExp exp_precise(Pair<double> x) {
    using C = ExactExpConstants;
    using P = PreciseConstants;
    f64 t = fma(x.hi, C::log2_e, -C::skew) + C::magic, n = t - C::magic;
    Pair<double> low = two_product(n, f64(-C::ln2_lo)), r = two_sum(fma(n, -C::ln2_hi, x.hi), low.hi);
    r = fast_two_sum(r.hi, r.lo + (low.lo + fma(n, -P::ln2_rest, x.lo))) * f64(0x1p-4);
    Pair<double> q = {r.hi * polynomial(P::high_degrees, r.hi, r.hi * r.hi), 0};
    for (int i = 6; i >= 0; --i) {
        q = q + Pair<double>{P::hi[i], P::lo[i]};
        q = q * r;
    }
    Pair<double> e = r + q * r;  // e^r - 1
    for (int i = 0; i < 4; ++i) e = e * f64(2) + e * e;
    Pair<double> m = two_sum(f64(1), e.hi);
    return {t, {m.hi, m.lo + e.lo}};
}

template <Tier tier>
SIGMAX_INLINE ScaledExp scaled_exp(Pair<double> x) {
    static_assert(tier != Tier::quick);
    if constexpr (tier == Tier::precise) {
        return exp_precise(x);
    } else {
        ExactExp e = exact_exp(x.hi, x.lo);
        Pair<double> m = fast_two_sum(f64(1), e.g);
        return {e.t, {m.hi, m.lo + e.g_lo}};
    }
}

// log(a / b); below 2^-40 log_ratio alone has all that is needed.
SIGMAX_SHARED Pair<double> precise_log_ratio(Pair<double> a, Pair<double> b) {
    Pair<double> y = log_ratio(a, b);
    ScaledExp e = exp_precise(-y);
    Pair<double> error = a * e.m * power_of_two(e.t, 0) - b, better = two_sum(y.hi, y.lo + error.hi / b.hi);
    return select(abs(y.hi) < 0x1p-40, y, better);
}
template <Tier tier>
SIGMAX_INLINE Pair<double> log_of_ratio(Pair<double> a, Pair<double> b) {
    if constexpr (tier == Tier::precise) return precise_log_ratio(a, b);
    return log_ratio(a, b);
}

// log(1 + y) for y = hi + lo > -1. For a small y, 1 + y has no room for its last digits.
template <Tier tier>
SIGMAX_INLINE Pair<double> log1p_of(Pair<double> y) {
    constexpr double small = tier == Tier::precise ? 0x1p-50 : 0x1p-30;
    Pair<double> a = two_sum(f64(1), y.hi);
    a.lo = a.lo + y.lo;
    return select(abs(y.hi) < small, fast_two_sum(y.hi, fma(y.hi * -0.5, y.hi, y.lo)), log_of_ratio<tier>(a, {1, 0}));
}

// The same in functions of their own, for kernels whose code would grow too large.
SIGMAX_SHARED ScaledExp shared_exp(Pair<double> x) { return scaled_exp<Tier::exact>(x); }
SIGMAX_SHARED Pair<double> shared_log1p(Pair<double> y) { return log1p_of<Tier::exact>(y); }
