// The elementwise functions: probability, odds, logit and log-probability into one another (CONTRACT: the scales), and the
// cross-entropy of two classes.
//
// Each is a struct with its name, whether it has poles or a bounded domain, and its value on sixteen doubles as a sum of two
// terms. For float64 the sum is rounded; for the narrower types it is rounded to odd, and then once more to the type: the
// exponential and the logarithm carry about 60 bits, so that the result is the correctly rounded one (verify/ shows it for
// every float32, float16 and bfloat16).
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
    ScaledExp e = scaled_exp<Tier::exact>({-magnitude, 0});
    return {e.m, power_of_two(e.t, 512), magnitude};
}
SIGMAX_INLINE Pair<double> one_term(f64 x) { return {x, 0.0}; }
// Where a result is infinite or NaN its second term may be anything.
SIGMAX_INLINE Pair<double> finite_or(f64 special, Pack<std::int64_t> is_special, Pair<double> x) {
    return select(is_special, one_term(special), x);
}

// e^x in the parts of exp.hpp: for double results that need no more than about 57 bits on their way. Where a function's `plain` way
// ends, at |x| = 700 or at the ends of its domain, the long way begins.
struct PlainExp {
    static constexpr double reach = 700;
    f64 scale, g;
    SIGMAX_INLINE explicit PlainExp(f64 x) {
        Exp<double> e = exp_at(x, f64(ExpConstants<double>::magic));
        scale = scale_of(e.t);
        g = e.g;
    }
};

// 1/(1+e^-x): the numerator is 1 or, for a negative x, e^x.
struct Sigmoid {
    static constexpr const char* name = "sigmoid";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static Pair<double> of(f64 x) {
        Tail tail = tail_of(x);
        Pair<double> e = tail.value(), below = fast_two_sum(f64(1), e.hi);
        below.lo = below.lo + e.lo;
        auto negative = x < 0.0;
        Pair<double> q = divide(select(negative, tail.m, one_term(f64(1))), below);
        return q * select(negative, tail.scale, 0x1p512) * f64(0x1p-512);
    }
    template <class W>
    SIGMAX_INLINE static Pack<W> quick(f32 x) {
        constexpr float reach = QuickConstants<W>::reach + 1;  // 1 / (1 + e^reach) is subnormal, and in doubt
        return W(1) / quick_exp(convert<W>(min(f32(reach), max(f32(-reach), -x))), W(1));
    }
    // 1 / (1 + scale (1 + g)), the quotient mended by what it leaves
    SIGMAX_INLINE static f64 plain(f64 x) {
        PlainExp e(-x);
        Pair<double> one = fast_two_sum(max(e.scale, f64(1)), min(e.scale, f64(1)));
        f64 more = fma(e.scale, e.g, one.lo), y = 1.0 / (one.hi + more);
        return fma(fma(-y, more, fma(-y, one.hi, f64(1))), y, y);
    }
    SIGMAX_INLINE static Pack<std::int64_t> is_plain(f64 x) { return abs(x) < PlainExp::reach; }
};

// log(1+e^x) = max(x, 0) + log1p(e^-|x|). Beyond 40 the smaller term is below 2^-57 of the larger.
SIGMAX_INLINE Pair<double> softplus(f64 x, const Tail& tail) {
    Pair<double> e = tail.value(), l = log1p_of<Tier::exact>(e), sum = two_sum(max(x, 0.0), l.hi);
    sum = fast_two_sum(sum.hi, sum.lo + l.lo);
    return select(tail.magnitude > 40.0, Pair<double>{select(x > 0.0, x, e.hi), select(x > 0.0, e.hi, e.lo)}, sum);
}
struct Softplus {
    static constexpr const char* name = "softplus";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static Pair<double> of(f64 x) { return softplus(x, tail_of(x)); }
    template <class W>
    SIGMAX_INLINE static Pack<W> quick(f32 x) {
        constexpr float reach = QuickConstants<W>::reach;
        Pack<W> y = convert<W>(max(x, 0.0f)) + quick_log1p(quick_exp(convert<W>(-min(f32(reach), abs(x))), W(0)));
        if constexpr (sizeof(W) == 4) y = unless(x < -reach, y);
        return y;
    }
    SIGMAX_INLINE static f64 plain(f64 x) {
        PlainExp e(-abs(x));
        Pair<double> one = fast_two_sum(f64(1), e.scale), whole = fast_two_sum(one.hi, fma(e.scale, e.g, one.lo));
        Pair<double> log = log_by_table(whole.hi, whole.lo);
        // next to a rounding of 1 the two terms of log1p(e) nearly cancel; e - e^2 / 2 does not
        log = select(e.scale < 0x1p-51, {e.scale, e.scale * fma(e.scale, f64(-0.5), e.g)}, log);
        Pair<double> sum = two_sum(max(x, 0.0), log.hi);
        return sum.hi + (sum.lo + log.lo);
    }
    SIGMAX_INLINE static Pack<std::int64_t> is_plain(f64 x) { return abs(x) < PlainExp::reach; }
};

struct LogSigmoid {
    static constexpr const char* name = "log_sigmoid";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static Pair<double> of(f64 x) { return -Softplus::of(-x); }
    template <class W>
    SIGMAX_INLINE static Pack<W> quick(f32 x) {
        return -Softplus::quick<W>(-x);
    }
    SIGMAX_INLINE static f64 plain(f64 x) { return -Softplus::plain(-x); }
    SIGMAX_INLINE static Pack<std::int64_t> is_plain(f64 x) { return Softplus::is_plain(x); }
};

SIGMAX_INLINE Pair<double> complement(f64 p) { return fast_two_sum(f64(1), -p); }  // exact for 0 <= p <= 1
SIGMAX_INLINE Pair<double> outside_is_nan(f64 x, double low, double high, Pair<double> y) {
    return finite_or(std::numeric_limits<double>::quiet_NaN(), (x < low) | (x > high), y);
}

// log(p/(1-p)). A tiny p is lifted into the normal range first: p 2^200, and 200 ln 2 is taken off again.
struct Logit {
    static constexpr const char* name = "logit";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of(f64 p) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        auto tiny = p < 0x1p-900;
        Pair<double> l = log_ratio({p * select(tiny, 0x1p200, f64(1)), 0}, complement(p));
        l = fast_two_sum(l.hi, select(tiny, l.lo - 0x1.1542457337d43p+7, l.lo));
        return outside_is_nan(p, 0, 1, finite_or(-infinity, p == 0.0, finite_or(infinity, p == 1.0, l)));
    }
    template <class W>
    SIGMAX_INLINE static Pack<W> quick(f32 x) {
        Pack<W> p = convert<W>(x), b = W(1) - p;
        const QuotientBits<W> k(p, b);
        Pack<W> a = p * k.down;
        // also where p is too small for QuotientBits in float
        return unless((p < W(0x1p-126)) | (p >= W(1)), fma(k.value(), Pack<W>(QuickConstants<W>::ln2), quick_log(a - b, a + b)));
    }
    SIGMAX_INLINE static f64 plain(f64 p) {
        Pair<double> b = complement(p);
        f64 inverse = 1.0 / b.hi, q = p * inverse;
        Pair<double> log = log_by_table(q, fma(-q, b.lo, fma(-q, b.hi, p)) * inverse);
        return log.hi + log.lo;
    }
    SIGMAX_INLINE static Pack<std::int64_t> is_plain(f64 p) { return (p > 0x1p-1000) & (p < 1.0); }
};

// p/(1-p)
struct Odds {
    static constexpr const char* name = "odds";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of(f64 p) {
        return outside_is_nan(p, 0, 1, finite_or(std::numeric_limits<double>::infinity(), p == 1.0, divide({p, 0}, complement(p))));
    }
    template <class W>
    SIGMAX_INLINE static Pack<W> quick(f32 x) {
        Pack<W> p = convert<W>(x);
        return unless((p < W(0)) | (p >= W(1)), p / (W(1) - p));
    }
};

// o/(1+o), which is 1 for every o beyond 2^100.
struct FromOdds {
    static constexpr const char* name = "from_odds";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of(f64 o) {
        f64 bounded = min(f64(0x1p100), o);
        return outside_is_nan(o, 0, std::numeric_limits<double>::infinity(), divide({bounded, 0}, two_sum(f64(1), bounded)));
    }
    template <class W>
    SIGMAX_INLINE static Pack<W> quick(f32 x) {
        Pack<W> o = convert<W>(x), bounded = min(Pack<W>(0x1p100), o);
        return unless(o < W(0), bounded / (bounded + W(1)));
    }
};

// log(1-e^l): down to -0.7 through 1 - e^l = -g of exp.hpp, or 1 - 2^n (1 + g), below through 1 - (e^l), which is near 1.
// A tiny l is lifted as in Logit.
struct Log1mexp {
    static constexpr const char* name = "log1mexp";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static Pair<double> of(f64 l) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        Pair<double> e = tail_of(l).value(), far = two_sum(f64(1), -e.hi);
        far.lo = far.lo - e.lo;
        f64 bounded = max(f64(-1), l);
        ExactExp parts = exact_exp(bounded);
        f64 power = power_of_two(parts.t, 0);
        Pair<double> near = two_sum(1.0 - power, -parts.g * power);
        near.lo = near.lo - parts.g_lo * power;
        auto tiny = l > -0x1p-900;
        Pair<double> rest = select(tiny, one_term(l * -0x1p200), select(l > -0.7, near, far));
        Pair<double> r = log_ratio(rest, {1, 0});
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
    SIGMAX_INLINE static Pair<double> of(f64 l) {
        using C = ExactExpConstants;
        constexpr double infinity = std::numeric_limits<double>::infinity();
        Pair<double> other = Log1mexp::of(l), far = two_sum(l, -other.hi);
        far = fast_two_sum(far.hi, far.lo - other.lo);
        auto middle = (l > -0.9) & (l < -0.51);
        Pair<double> u = two_sum(select(middle, l, -0.7) + C::ln2_hi, f64(C::ln2_lo));
        ExactExp e = exact_exp(u.hi, u.lo + PreciseConstants::ln2_rest);
        Pair<double> near = log_of_quotient({e.g, e.g_lo}, one_term(f64(1)), f64(0));
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
    SIGMAX_INLINE static Pair<double> of(f64 x, f64 y) { return binary_loss(x, y, tail_of(x)); }
};

// Its derivative by x: s(x) - y = (1-y) s(x) - y s(-x), which does not cancel where y is 0 or 1. Where it does, with 100 bits.
SIGMAX_INLINE Pair<double> binary_slope(f64 x, f64 y, const Tail& tail) {
    Pair<double> small = tail.m * tail.scale, large = one_term(f64(0x1p512));  // e^-|x| and 1, both times 2^512
    auto negative = x < 0.0;
    Pair<double> yes = select(negative, small, large), no = select(negative, large, small);
    return divide(complement(y) * yes - one_term(y) * no, one_term(f64(1)) + tail.value()) * f64(0x1p-512);
}
SIGMAX_SHARED Pair<double> precise_binary_slope(const f64& x, const f64& y) {
    f64 magnitude = min(f64(760), abs(x));
    ScaledExp e = exp_precise(one_term(-magnitude));
    return binary_slope(x, y, {e.m, power_of_two(e.t, 512), magnitude});
}
struct BinaryCrossEntropyAndGrad {
    static constexpr const char* name = "binary_cross_entropy_and_grad";
    static constexpr bool has_domain = false;
    static constexpr int results = 2;
    SIGMAX_INLINE static void of(f64 x, f64 y, Pair<double>* r) {
        Tail tail = tail_of(x);
        r[0] = binary_loss(x, y, tail);
        r[1] = binary_slope(x, y, tail);
        auto close = abs(r[1].hi) < y * cancelling<Tier::exact>;
        if (any(close)) r[1] = select(close, precise_binary_slope(x, y), r[1]);
    }
};

using Links =
    std::tuple<Sigmoid, Logit, Odds, FromOdds, LogSigmoid, Softplus, Log1mexp, Logitexp, BinaryCrossEntropy, BinaryCrossEntropyAndGrad>;

// inputs and results of a link
template <class F>
constexpr int inputs_of = requires(f64 x) { F::of(x); } ? 1 : 2;
template <class F>
constexpr int results_of = [] {
    if constexpr (requires { F::results; }) return F::results;
    return 1;
}();

inline constexpr std::ptrdiff_t link_block_size = 256;  // doubles, so that a block stays in the L1 cache

// What NumPy is to hear of: results that are NaN where the input is not, and infinite ones of finite inputs.
template <class F>
struct Trouble {
    Pack<std::int64_t> invalid, pole;
    SIGMAX_INLINE Trouble() : invalid(0), pole(0) {}
    SIGMAX_INLINE void see(f64 x, f64 y) {
        if constexpr (F::has_domain) {
            constexpr double infinity = std::numeric_limits<double>::infinity();
            invalid = invalid | ((y != y) & (x == x));
            pole = pole | ((abs(y) == infinity) & (abs(x) != infinity));
        }
    }
    SIGMAX_INLINE unsigned status() const {
        return (any(invalid) ? unsigned(Status::invalid) : 0u) | (any(pole) ? unsigned(Status::divide_by_zero) : 0u);
    }
};

template <class F>
unsigned link_block(double (*x)[link_block_size], double (*y)[link_block_size], std::ptrdiff_t count, bool narrow) {
    Trouble<F> trouble;
    for (std::ptrdiff_t i = 0; i < count; i += lanes) {
        f64 value = f64::load(x[0] + i);
        Pair<double> r[results_of<F>];
        if constexpr (inputs_of<F> == 1)
            r[0] = F::of(value);
        else if constexpr (results_of<F> == 1)
            r[0] = F::of(value, f64::load(x[1] + i));
        else
            F::of(value, f64::load(x[1] + i), r);
        for (int j = 0; j < results_of<F>; ++j) {
            if (narrow)
                to_odd(r[j]).store(y[j] + i);
            else
                select(r[j].hi == 0.0, r[j].hi, r[j].hi + r[j].lo).store(y[j] + i);  // -0 stays -0
        }
        trouble.see(value, r[0].hi);
    }
    return trouble.status();
}

// Sixteen results that the quick way leaves in doubt, by the long way if need be.
template <class F, class T>
[[gnu::noinline, gnu::cold]] unsigned link_slowly(const T* x, T* y) {
    f32 r;
    if (settled<T>(F::template quick<double>(load_as<float>(x)), r)) {
        store_as(y, r);
        return 0;
    }
    Trouble<F> trouble;
    f64 value = load_as<double>(x);
    Pair<double> exact = F::of(value);
    store_as(y, to_odd(exact));
    trouble.see(value, exact.hi);
    return trouble.status();
}
template <class F, class T>
unsigned settle_pack(const T* x, T* y);
template <class F, class T, int packs>
SIGMAX_INLINE unsigned settle_packs(const T* x, T* y) {
    Doubts<T, packs == 1> doubts;
    f32 r[packs];
#pragma GCC unroll 4
    for (int j = 0; j < packs; ++j) r[j] = doubts.settle(F::template quick<QuickWork<T>>(load_as<float>(x + j * lanes)));
    unsigned status = 0;
    if (doubts.any()) [[unlikely]] {
        for (int j = 0; j < packs; ++j) {
            if constexpr (packs == 1)
                status |= link_slowly<F>(x, y);
            else
                status |= settle_pack<F>(x + j * lanes, y + j * lanes);
        }
    } else {
#pragma GCC unroll 4
        for (int j = 0; j < packs; ++j) store_settled(y + j * lanes, r[j]);
    }
    return status;
}
// Whichever of several packs it is that is in doubt.
template <class F, class T>
[[gnu::noinline]] unsigned settle_pack(const T* x, T* y) {
    return settle_packs<F, T, 1>(x, y);
}
template <class F, class T>
unsigned link_quickly(const T* x, T* y, std::ptrdiff_t count) {
    unsigned status = 0;
    std::ptrdiff_t i = 0;
    constexpr int packs = is_half<T> ? 2 : 4;
    for (; i + packs * lanes <= count; i += packs * lanes) status |= settle_packs<F, T, packs>(x + i, y + i);
    for (; i < count; i += lanes) status |= settle_pack<F>(x + i, y + i);
    return status;
}
// Sixteen doubles; a lane's result does not depend on the others.
template <class F>
[[gnu::noinline, gnu::cold]] unsigned link_long(const double* x, double* y) {
    Trouble<F> trouble;
    f64 value = f64::load(x);
    Pair<double> r = F::of(value);
    select(F::is_plain(value), F::plain(value), select(r.hi == 0.0, r.hi, r.hi + r.lo)).store(y);  // -0 stays -0
    trouble.see(value, r.hi);
    return trouble.status();
}
template <class F>
unsigned link_plainly(const double* x, double* y, std::ptrdiff_t count) {
    unsigned status = 0;
    for (std::ptrdiff_t i = 0; i < count; i += lanes) {
        f64 value = f64::load(x + i);
        if (any(F::is_plain(value) == std::int64_t(0))) [[unlikely]]
            status |= link_long<F>(x + i, y + i);
        else
            F::plain(value).store(y + i);
    }
    return status;
}

template <class F, class T>
unsigned link_packs(const T* x, T* y, std::ptrdiff_t count) {
    if constexpr (sizeof(T) == 8)
        return link_plainly<F>(x, y, count);
    else
        return link_quickly<F>(x, y, count);
}
// Whole packs, for any strides and counts.
template <class F, class T>
unsigned link_packs(const LinkBatch& b) {
    const Input& in = b.x[0];
    const Output& out = b.y[0];
    std::ptrdiff_t i = 0;
    unsigned status = 0;
    if (in.step == sizeof(T) && out.step == sizeof(T)) {
        i = b.count / lanes * lanes;
        status = link_packs<F>(reinterpret_cast<const T*>(in.data), reinterpret_cast<T*>(out.data), i);
    }
    alignas(64) T x[link_block_size], y[link_block_size];
    for (; i < b.count; i += link_block_size) {
        const std::ptrdiff_t n = b.count - i < link_block_size ? b.count - i : link_block_size;
        gather(in.data + i * in.step, in.step, n, x);
        for (std::ptrdiff_t k = n; k % lanes != 0; ++k) x[k] = x[n - 1];
        status |= link_packs<F>(x, y, n);
        scatter(y, out.data + i * out.step, out.step, n);
    }
    return status;
}

// Each result depends on its own input only, so the way the array is cut is of no matter.
template <class F>
unsigned link_loop(const LinkBatch& b) {
    unsigned status = 0;
    constexpr bool quick = requires(f32 x) { F::template quick<double>(x); }, plain = requires(f64 x) { F::plain(x); };
    if (b.x[0].dtype == b.y[0].dtype && (b.y[0].dtype == Dtype::float64 ? plain : quick)) {
        with_dtype(b.x[0].dtype, [&](auto kind) SIGMAX_LAMBDA {
            if constexpr (sizeof(kind) == 8 ? plain : quick) status = link_packs<F, decltype(kind)>(b);
        });
        return status;
    }
    alignas(64) double x[inputs_of<F>][link_block_size], y[results_of<F>][link_block_size];
    for (std::ptrdiff_t i = 0; i < b.count; i += link_block_size) {
        const std::ptrdiff_t n = b.count - i < link_block_size ? b.count - i : link_block_size;
        for (int j = 0; j < inputs_of<F>; ++j) {
            load_run(b.x[j].data + i * b.x[j].step, b.x[j].step, n, b.x[j].dtype, x[j]);
            for (std::ptrdiff_t k = n; k % lanes != 0; ++k) x[j][k] = x[j][n - 1];
        }
        status |= link_block<F>(x, y, n, b.y[0].dtype != Dtype::float64);
        for (int j = 0; j < results_of<F>; ++j) store_run(y[j], b.y[j].data + i * b.y[j].step, b.y[j].step, n, b.y[j].dtype);
    }
    return status;
}
