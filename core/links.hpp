// The elementwise functions: probability, odds, logit and log-probability into one another (CONTRACT: the scales).
//
// Each is a struct with its name, whether it has poles or a bounded domain, and its value on sixteen doubles, correct to a
// little over half an ulp: the exponential and the logarithm carry two terms, and only the last addition or the scaling
// rounds. Floats are computed in double and rounded once.
//
// Subnormal results: e^x is kept as (1 + g) 2^n; 2^(n + 512) is a normal number, and the last product, by 2^-512, rounds
// once into the subnormal range.
// Included once per level, hence no include guard.

struct Tail {  // e^-|x|: m 2^n with m = 1 + g as a pair
    Pair<double> m;
    f64 scale;      // 2^(n + 512)
    f64 magnitude;  // |x|, at most 760 (e^-760 rounds to zero)
    Pair<double> value() const { return {m.hi * scale * 0x1p-512, m.lo * scale * 0x1p-512}; }
};
SIGMAX_INLINE Tail tail_of(f64 x) {
    f64 magnitude = min(f64(760), abs(x));
    Exp<double> e = exp_parts<true>(-magnitude);
    Pair<double> m = fast_two_sum(f64(1), e.g);
    return {{m.hi, m.lo + e.g_lo}, power_of_two(e.t, 512), magnitude};
}

// 1/(1+e^-x): the numerator is 1 or, for a negative x, e^x.
struct Sigmoid {
    static constexpr const char* name = "sigmoid";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static f64 of(f64 x) {
        Tail tail = tail_of(x);
        Pair<double> e = tail.value(), below = fast_two_sum(f64(1), e.hi);
        below.lo = below.lo + e.lo;
        auto negative = x < 0.0;
        Pair<double> above = {select(negative, tail.m.hi, 1.0), select(negative, tail.m.lo, 0.0)};
        return divide(above, below).hi * select(negative, tail.scale, 0x1p512) * 0x1p-512;
    }
};

// log(1+e^x) = max(x, 0) + log1p(e^-|x|). Beyond 40 the smaller term is below 2^-57 of the larger.
struct Softplus {
    static constexpr const char* name = "softplus";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static f64 of(f64 x) {
        Tail tail = tail_of(x);
        Pair<double> e = tail.value(), l = log1p(e), sum = two_sum(max(x, 0.0), l.hi);
        f64 near = sum.hi + (sum.lo + l.lo);
        return select(tail.magnitude > 40.0, select(x > 0.0, x, e.hi), near);
    }
};

struct LogSigmoid {
    static constexpr const char* name = "log_sigmoid";
    static constexpr bool has_domain = false;
    SIGMAX_INLINE static f64 of(f64 x) { return -Softplus::of(-x); }
};

SIGMAX_INLINE Pair<double> complement(f64 p) { return fast_two_sum(f64(1), -p); }  // exact for 0 <= p <= 1
SIGMAX_INLINE f64 outside_is_nan(f64 x, double low, double high, f64 y) {
    return select((x < low) | (x > high), std::numeric_limits<double>::quiet_NaN(), y);
}

// log(p/(1-p)). A tiny p is lifted into the normal range first: p 2^200, and 200 ln 2 is taken off again.
struct Logit {
    static constexpr const char* name = "logit";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static f64 of(f64 p) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        auto tiny = p < 0x1p-900;
        Pair<double> l = log_ratio({p * select(tiny, 0x1p200, f64(1)), 0}, complement(p));
        f64 r = l.hi + select(tiny, l.lo - 0x1.1542457337d43p+7, l.lo);
        return outside_is_nan(p, 0, 1, select(p == 0.0, -infinity, select(p == 1.0, infinity, r)));
    }
};

// p/(1-p)
struct Odds {
    static constexpr const char* name = "odds";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static f64 of(f64 p) {
        f64 r = divide({p, 0}, complement(p)).hi;
        return outside_is_nan(p, 0, 1, select(p == 1.0, std::numeric_limits<double>::infinity(), r));
    }
};

// o/(1+o), which is 1 for every o beyond 2^100.
struct FromOdds {
    static constexpr const char* name = "from_odds";
    static constexpr bool has_domain = true;
    SIGMAX_INLINE static f64 of(f64 o) {
        f64 bounded = min(f64(0x1p100), o);
        f64 r = divide({bounded, 0}, two_sum(f64(1), bounded)).hi;
        return outside_is_nan(o, 0, std::numeric_limits<double>::infinity(), r);
    }
};

using Links = std::tuple<Sigmoid, Logit, Odds, FromOdds, LogSigmoid, Softplus>;

template <class T>
SIGMAX_INLINE Pack<T> copy_strided(const char* p, std::ptrdiff_t stride, std::ptrdiff_t count, T fill) {
    T buffer[lanes];
    for (int i = 0; i < lanes; ++i) buffer[i] = fill;
    for (std::ptrdiff_t i = 0; i < count; ++i) std::memcpy(buffer + i, p + i * stride, sizeof(T));
    return Pack<T>::load(buffer);
}

// y[i] = F(x[i]) for any strides. Each result depends on its own input only, so the way the array is cut is of no matter.
template <class F, class T>
unsigned link_loop(const char* x, std::ptrdiff_t x_stride, char* y, std::ptrdiff_t y_stride, std::ptrdiff_t n) {
    Pack<Int<double>> invalid(0), pole(0);
    bool contiguous = x_stride == sizeof(T) && y_stride == sizeof(T);
    for (std::ptrdiff_t i = 0; i < n; i += lanes) {
        std::ptrdiff_t count = n - i < lanes ? n - i : lanes;
        bool whole = contiguous && count == lanes;
        Pack<T> in = whole ? Pack<T>::load(reinterpret_cast<const T*>(x) + i) : copy_strided<T>(x + i * x_stride, x_stride, count, T(0.5));
        f64 value = convert<double>(in), result = F::of(value);
        if constexpr (F::has_domain) {
            constexpr double infinity = std::numeric_limits<double>::infinity();
            invalid = invalid | ((result != result) & (value == value));
            pole = pole | ((abs(result) == infinity) & (abs(value) != infinity));
        }
        Pack<T> out = convert<T>(result);
        if (whole) {
            out.store(reinterpret_cast<T*>(y) + i);
        } else {
            T buffer[lanes];
            out.store(buffer);
            for (std::ptrdiff_t j = 0; j < count; ++j) std::memcpy(y + (i + j) * y_stride, buffer + j, sizeof(T));
        }
    }
    return (any(invalid) ? unsigned(Status::invalid) : 0u) | (any(pole) ? unsigned(Status::divide_by_zero) : 0u);
}
