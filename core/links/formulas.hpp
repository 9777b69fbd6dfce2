// The elementwise functions: probability, odds, logit and log-probability into one another (docs/contract.md), and the
// cross-entropy of two classes.
//
// Each is a struct with its name, whether it has poles or a bounded domain, and its value:
//
//     of60        on doubles, as a sum of two terms. For float64 the sum is rounded; for the narrower types it is rounded to odd, and
//                 then once more to the type: about 60 bits make the result the correctly rounded one (verify/ shows it for every
//                 float32, float16 and bfloat16)
//     of57        on doubles, one rounding less than the last digit, where within57 says so; elsewhere of60
//     of38<W>     on floats, in W: what math/rounding.hpp settles, and NaN where it must not
//     of35        on floats, as a sum of two floats right to doubt35, from -reach35 on; below, and in doubt, of38
//
// Subnormal results: e^x is kept as m 2^n; 2^(n + 512) is a normal number, and the last product, by 2^-512, rounds
// once into the subnormal range.
// Included once per level, hence no include guard.

struct Tail {  // e^-|x|: m 2^n with m in two terms
    Pair<double> m;
    f64 scale;      // 2^(n + 512)
    f64 magnitude;  // |x|, at most 760 (e^-760 rounds to zero)
    Pair<double> value() const { return m * scale * f64(0x1p-512); }
};
SIGMAX_INLINE Tail tail_of(f64 x) {
    f64 magnitude = min(f64(760), abs(x));
    ScaledExp<double_lanes> e = exp60(one_term(-magnitude));
    return {e.m, power_of_two(e.t, 512), magnitude};
}
// Where a result is infinite or NaN its second term may be anything.
SIGMAX_INLINE Pair<double> finite_or(f64 special, Pack<std::int64_t> is_special, Pair<double> x) {
    return select(is_special, one_term(special), x);
}

inline constexpr float reach35 = 75;    // where the second term of a sigmoid is not subnormal yet
inline constexpr double reach57 = 700;  // where of57 ends, if not at the ends of the domain

// What of38 works in, and how far e^x is good there: it is normal in float; in double no result of 24 bits lies beyond.
template <class W>
inline constexpr float reach38 = sizeof(W) == 4 ? 87 : 300;
template <class W, int n>
SIGMAX_INLINE Pack<W, n> near_exp(Pack<W, n> x, W more) {
    if constexpr (sizeof(W) == 8) {
        return exp38(x, more);
    } else {
        const Exp<float, n> e = exp_of(x);
        const Pack<float, n> scale = scale_of(e);
        return fma(scale, e.g, scale + more);
    }
}

// 1/(1+e^-x): the numerator is 1 or, for a negative x, e^x.
struct Sigmoid {
    static constexpr const char* name = "sigmoid";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static Pair<double> of60(f64 x) {
        Tail tail = tail_of(x);
        Pair<double> e = tail.value(), below = fast_two_sum(f64(1), e.hi);
        below.lo = below.lo + e.lo;
        auto negative = x < 0.0;
        Pair<double> q = divide(select(negative, tail.m, one_term(f64(1))), below);
        return q * select(negative, tail.scale, 0x1p512) * f64(0x1p-512);
    }
    template <class W, int n>
    SIGMAX_INLINE static Pack<W, n> of38(Pack<float, n> x) {
        constexpr float reach = reach38<W> + 1;  // 1 / (1 + e^reach) is subnormal, and in doubt
        return W(1) / near_exp(convert<W>(min(Pack<float, n>(reach), max(Pack<float, n>(-reach), -x))), W(1));
    }
    // 1 / (1 + scale (1 + r + more)), in two terms throughout: 16 multiplications and a division of floats, where of38 has 36 and two of
    // doubles
    template <int n>
    SIGMAX_INLINE static Pair<float, n> of35(Pack<float, n> x) {
        using P = Pack<float, n>;
        const Exp35<n> e = exp35(max(P(-reach35), -x));
        const Pair<float, n> one = fast_two_sum(max(e.scale, P(1)), min(e.scale, P(1)));
        const P hi = fma(e.scale, e.r + e.more, one.hi), lo = fma(e.scale, e.more, fma(e.scale, e.r, one.hi - hi)) + one.lo;
        const P y = 1.0f / hi;
        return {y, fma(-y, lo, fma(-y, hi, P(1))) * y};
    }
    // 1 / (1 + scale (1 + g)), the quotient mended by what it leaves
    template <int n>
    SIGMAX_INLINE static Pack<double, n> of57(Pack<double, n> x) {
        using P = Pack<double, n>;
        Exp<double, n> e = exp_of(-x);
        P scale = scale_of(e);
        Pair<double, n> one = fast_two_sum(max(scale, P(1)), min(scale, P(1)));
        P more = fma(scale, e.g, one.lo), y = 1.0 / (one.hi + more);
        return fma(fma(-y, more, fma(-y, one.hi, P(1))), y, y);
    }
    template <int n>
    SIGMAX_INLINE static Pack<std::int64_t, n> within57(Pack<double, n> x) {
        return abs(x) < reach57;
    }
};

// log(1+e^x) = max(x, 0) + log1p(e^-|x|). Beyond 40 the smaller term is below 2^-57 of the larger.
SIGMAX_INLINE Pair<double> softplus(f64 x, const Tail& tail) {
    Pair<double> e = tail.value(), l = log1p_to<60>(e), sum = two_sum(max(x, 0.0), l.hi);
    sum = fast_two_sum(sum.hi, sum.lo + l.lo);
    return select(tail.magnitude > 40.0, Pair<double>{select(x > 0.0, x, e.hi), select(x > 0.0, e.hi, e.lo)}, sum);
}
struct Softplus {
    static constexpr const char* name = "softplus";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static Pair<double> of60(f64 x) { return softplus(x, tail_of(x)); }
    template <class W, int n>
    SIGMAX_INLINE static Pack<W, n> of38(Pack<float, n> x) {
        constexpr float reach = reach38<W>;
        Pack<W, n> y = convert<W>(max(x, 0.0f)) + short_log1p(near_exp(convert<W>(-min(Pack<float, n>(reach), abs(x))), W(0)));
        if constexpr (sizeof(W) == 4) y = unless(x < -reach, y);
        return y;
    }
    template <int n>
    SIGMAX_INLINE static Pack<double, n> of57(Pack<double, n> x) {
        using P = Pack<double, n>;
        Exp<double, n> e = exp_of(-abs(x));
        P scale = scale_of(e);
        Pair<double, n> one = fast_two_sum(P(1), scale), whole = fast_two_sum(one.hi, fma(scale, e.g, one.lo));
        Pair<double, n> log = log57(whole.hi, whole.lo);
        // next to a rounding of 1 the two terms of log1p(e) nearly cancel; e - e^2 / 2 does not
        log = select(scale < 0x1p-51, {scale, scale * fma(scale, P(-0.5), e.g)}, log);
        Pair<double, n> sum = two_sum(max(x, 0.0), log.hi);
        return sum.hi + (sum.lo + log.lo);
    }
    template <int n>
    SIGMAX_INLINE static Pack<std::int64_t, n> within57(Pack<double, n> x) {
        return abs(x) < reach57;
    }
};

struct LogSigmoid {
    static constexpr const char* name = "log_sigmoid";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static Pair<double> of60(f64 x) { return -Softplus::of60(-x); }
    template <class W, int n>
    SIGMAX_INLINE static Pack<W, n> of38(Pack<float, n> x) {
        return -Softplus::of38<W>(-x);
    }
    template <int n>
    SIGMAX_INLINE static Pack<double, n> of57(Pack<double, n> x) {
        return -Softplus::of57(-x);
    }
    template <int n>
    SIGMAX_INLINE static Pack<std::int64_t, n> within57(Pack<double, n> x) {
        return Softplus::within57(x);
    }
};

template <int n>
SIGMAX_INLINE Pair<double, n> complement(Pack<double, n> p) {
    return fast_two_sum(Pack<double, n>(1), -p);
}  // exact for 0 <= p <= 1
SIGMAX_INLINE Pair<double> outside_is_nan(f64 x, double low, double high, Pair<double> y) {
    return finite_or(std::numeric_limits<double>::quiet_NaN(), (x < low) | (x > high), y);
}

// log(p/(1-p)). A tiny p is lifted into the normal range first: p 2^200, and 200 ln 2 is taken off again.
struct Logit {
    static constexpr const char* name = "logit";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of60(f64 p) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        auto tiny = p < 0x1p-900;
        Pair<double> l = log60(one_term(p * select(tiny, 0x1p200, f64(1))), complement(p));
        l = fast_two_sum(l.hi, select(tiny, l.lo - 0x1.1542457337d43p+7, l.lo));
        return outside_is_nan(p, 0, 1, finite_or(-infinity, p == 0.0, finite_or(infinity, p == 1.0, l)));
    }
    template <class W, int n>
    SIGMAX_INLINE static Pack<W, n> of38(Pack<float, n> x) {
        Pack<W, n> p = convert<W>(x), b = W(1) - p;
        const QuotientBits<W, n> k(p, b);
        Pack<W, n> a = p * k.down;
        // also where p is too small for QuotientBits in float
        return unless((p < W(0x1p-126)) | (p >= W(1)), fma(k.value(), Pack<W, n>(ShortLogConstants<W>::ln2), short_log(a - b, a + b)));
    }
    template <int n>
    SIGMAX_INLINE static Pack<double, n> of57(Pack<double, n> p) {
        Pair<double, n> b = complement(p);
        Pack<double, n> inverse = 1.0 / b.hi, q = p * inverse;
        Pair<double, n> log = log57(q, fma(-q, b.lo, fma(-q, b.hi, p)) * inverse);
        return log.hi + log.lo;
    }
    template <int n>
    SIGMAX_INLINE static Pack<std::int64_t, n> within57(Pack<double, n> p) {
        return (p > 0x1p-1000) & (p < 1.0);
    }
};

// p/(1-p)
struct Odds {
    static constexpr const char* name = "odds";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of60(f64 p) {
        return outside_is_nan(p, 0, 1, finite_or(std::numeric_limits<double>::infinity(), p == 1.0, divide({p, 0}, complement(p))));
    }
    template <class W, int n>
    SIGMAX_INLINE static Pack<W, n> of38(Pack<float, n> x) {
        Pack<W, n> p = convert<W>(x);
        return unless((p < W(0)) | (p >= W(1)), p / (W(1) - p));
    }
};

// o/(1+o), which is 1 for every o beyond 2^100.
struct FromOdds {
    static constexpr const char* name = "from_odds";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of60(f64 o) {
        f64 bounded = min(f64(0x1p100), o);
        return outside_is_nan(o, 0, std::numeric_limits<double>::infinity(), divide({bounded, 0}, two_sum(f64(1), bounded)));
    }
    template <class W, int n>
    SIGMAX_INLINE static Pack<W, n> of38(Pack<float, n> x) {
        Pack<W, n> o = convert<W>(x), bounded = min(Pack<W, n>(0x1p100), o);
        return unless(o < W(0), bounded / (bounded + W(1)));
    }
};

// log(1-e^l): down to -0.7 through 1 - e^l = -g of exp.hpp, or 1 - 2^n (1 + g), below through 1 - (e^l), which is near 1.
// A tiny l is lifted as in Logit.
struct Log1mexp {
    static constexpr const char* name = "log1mexp";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of60(f64 l) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        Pair<double> e = tail_of(l).value(), far = two_sum(f64(1), -e.hi);
        far.lo = far.lo - e.lo;
        f64 bounded = max(f64(-1), l);
        Exp60<double_lanes> parts = exp60_parts(bounded);
        f64 power = power_of_two(parts.t, 0);
        Pair<double> near = two_sum(1.0 - power, -parts.g * power);
        near.lo = near.lo - parts.g_lo * power;
        auto tiny = l > -0x1p-900;
        Pair<double> rest = select(tiny, one_term(l * -0x1p200), select(l > -0.7, near, far));
        Pair<double> r = log60(rest, {1, 0});
        r = fast_two_sum(r.hi, select(tiny, r.lo - 0x1.1542457337d43p+7, r.lo));
        r = select(l < -21.0, -fast_two_sum(e.hi, fma(e.hi * 0.5, e.hi, e.lo)), r);  // there 1 - e has no room for e's last digits
        return outside_is_nan(l, -infinity, 0, finite_or(-infinity, l == 0.0, r));
    }
};

// log(p/(1-p)) for p = e^l: l - log(1-e^l). Near l = -log 2, where the two cancel, it is 2 artanh(2 p - 1), and
// 2 p - 1 = e^(l + log 2) - 1.
struct Logitexp {
    static constexpr const char* name = "logitexp";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of60(f64 l) {
        using C = Exp60Constants;
        constexpr double infinity = std::numeric_limits<double>::infinity();
        Pair<double> other = Log1mexp::of60(l), far = two_sum(l, -other.hi);
        far = fast_two_sum(far.hi, far.lo - other.lo);
        auto middle = (l > -0.9) & (l < -0.51);
        Pair<double> u = two_sum(select(middle, l, -0.7) + C::ln2_hi, f64(C::ln2_lo));
        Exp60<double_lanes> e = exp60_parts(u.hi, u.lo + Exp100Constants::ln2_rest);
        Pair<double> near = log60_of_quotient({e.g, e.g_lo}, one_term(f64(1)), f64(0));
        Pair<double> r = finite_or(-infinity, l == -infinity, select(middle, near, far));
        return outside_is_nan(l, -infinity, 0, finite_or(infinity, l == 0.0, r));
    }
};

// -y log s(x) - (1-y) log s(-x) = log(1 + e^-|x|) + |x| (1-y or y): no term is negative.
SIGMAX_INLINE Pair<double> binary_loss(f64 x, f64 y, const Tail& tail) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    f64 magnitude = abs(x);
    Pair<double> against = select(x > 0.0, complement(y), one_term(y)), slope = two_product(magnitude, against.hi);
    slope.lo = fma(magnitude, against.lo, slope.lo);
    slope = finite_or(0, against.hi == 0.0, finite_or(infinity, magnitude == infinity, slope));
    Pair<double> l = softplus(-magnitude, tail), sum = two_sum(slope.hi, l.hi);
    sum = fast_two_sum(sum.hi, sum.lo + (slope.lo + l.lo));
    return finite_or(infinity, slope.hi == infinity, finite_or(x + y, (x != x) | (y != y), sum));
}
struct BinaryCrossEntropy {
    static constexpr const char* name = "binary_cross_entropy";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static Pair<double> of60(f64 x, f64 y) { return binary_loss(x, y, tail_of(x)); }
};

// Its derivative by x: s(x) - y = (1-y) s(x) - y s(-x), which does not cancel where y is 0 or 1. Where it does, with 100 bits.
SIGMAX_INLINE Pair<double> binary_slope(f64 x, f64 y, const Tail& tail) {
    Pair<double> small = tail.m * tail.scale, large = one_term(f64(0x1p512));  // e^-|x| and 1, both times 2^512
    auto negative = x < 0.0;
    Pair<double> yes = select(negative, small, large), no = select(negative, large, small);
    return divide(complement(y) * yes - one_term(y) * no, one_term(f64(1)) + tail.value()) * f64(0x1p-512);
}
// Near 0, where s(x) = 1/2 + x/4 - x^3/48 ..., x may be smaller than any number of bits.
SIGMAX_SHARED Pair<double> binary_slope_again(const f64& x, const f64& y) {
    f64 magnitude = min(f64(760), abs(x));
    ScaledExp<double_lanes> e = exp100(one_term(-magnitude));
    Pair<double> half = two_sum(f64(0.5), -y), near = two_sum(half.hi, x * 0.25);
    return select(magnitude < 0x1p-34, fast_two_sum(near.hi, near.lo + half.lo),
                  binary_slope(x, y, {e.m, power_of_two(e.t, 512), magnitude}));
}
struct BinaryCrossEntropyAndGrad {
    static constexpr const char* name = "binary_cross_entropy_and_grad";
    static constexpr bool has_domain = false;
    static constexpr int results = 2;
    SIGMAX_INLINE static void of60(f64 x, f64 y, Pair<double>* r) {
        Tail tail = tail_of(x);
        r[0] = binary_loss(x, y, tail);
        r[1] = binary_slope(x, y, tail);
        auto close = abs(r[1].hi) < y * lost_of_60;
        if (any(close)) r[1] = select(close, binary_slope_again(x, y), r[1]);
    }
};

using Links =
    std::tuple<Sigmoid, Logit, Odds, FromOdds, LogSigmoid, Softplus, Log1mexp, Logitexp, BinaryCrossEntropy, BinaryCrossEntropyAndGrad>;
