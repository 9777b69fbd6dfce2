// log_softmax and logsumexp, in the precision of the scores but for one logarithm a row.
//
// S = sum of e^(x_j - m) WITHOUT one of the largest, then m + log1p(S) (Blanchard, Higham & Higham, IMA J. Numer. Anal. 41(4),
// 2021, algorithm 4.1): the log-probability of a confident class is -log1p(S), which keeps every digit where every peer
// returns 0. S is shifted by whole powers of two, as in softmax. Scores equal to the maximum are left out of it and counted;
// scores beyond `reach`, and impossible classes, are left out for good. Nothing is known of how large the sum is beside its terms,
// so that each addition is done in full. L = log1p(S) is a double for floats, right to 2^-28, and two doubles for doubles; then
// with c = m + L in two terms
//
//     log p_k = (x_k - c_hi) - c_lo
//
// the first difference in two terms: at most 0.5 ulp and what L is off, a tenth of one. With a temperature it is (x_k - m) / T - L,
// in pairs. A logsumexp that cancels goes to logsumexp.hpp.
//
// Tried and lost: floats in double (0.501 ulp, at two to three times the time); doubles with 60 bits on the way (0.56 ulp, twice);
// the sum as softmax takes it, on a grid below the largest term (2.1 ulp for a confident class: all that is left lies below the
// grid). Included once per level, hence no include guard.

template <class T, int n>
using LogOfRow = std::conditional_t<sizeof(T) == 4, Pack<double, n>, Pair<double, n>>;

// log(1 + rest), to 42 bits
template <int n>
SIGMAX_SHARED Pack<double, n> log1p_of_rest(const Pack<double, n>& rest) {
    using C = ShortLogConstants<double>;
    using P = Pack<double, n>;
    P whole = rest + 1.0;
    const QuotientBits<double, n> k(whole, P(1));
    P a = whole * k.down, d = select(k.k == std::int64_t(0), rest, a - 1.0);
    P s = d / (a + 1.0), w = s * s;
    return fma(k.value(), C::ln2, fma(s * w, polynomial(C::polynomial, w, w * w), s + s));
}

// log(1 + ties + others / largest), to 57 bits
template <int n>
SIGMAX_SHARED Pair<double, n> log1p_of_rest(const Pair<double, n>& others, const Pair<double, n>& largest, const Pack<double, n>& ties) {
    Pair<double, n> rest = divide(others, largest), sum = two_sum(ties, rest.hi), whole = two_sum(Pack<double, n>(1), sum.hi);
    return log57(whole.hi, whole.lo + (sum.lo + rest.lo));
}

// The sum over the classes but one of the largest.
template <class T, int n>
struct Rest {
    using P = Pack<T, n>;
    P high, low, ties;  // high and low: of the terms since the last end_of_block
    Sum<T, n> sum;

    SIGMAX_INLINE Rest() : high(T(0)), low(T(0)), ties(T(0)) {}
    template <bool scaled, bool near = false>
    SIGMAX_INLINE void add(P x, P m, const Shift<T, n>& shift, const Temperature<T, n>& temperature) {
        add<near>(x, m, shift, shift.template part<scaled, near>(x, temperature));
    }
    template <bool near = false>
    SIGMAX_INLINE void add(P x, P m, const Shift<T, n>& shift, Part<T, n> p) {
        auto largest = x == m, dropped = largest | ((near ? x : x - shift.c) <= shift.lowest);
        p.scale = select(dropped, T(0), p.scale);
        Pair<T, n> s = two_sum(high, p.scale);
        high = s.hi;
        low = fma(p.scale, p.g, low) + s.lo;
        ties = ties + select(largest, T(1), P(0));
    }
    SIGMAX_INLINE void end_of_block() {
        sum.add(high, low);
        high = low = P(0);
    }
    template <bool scaled>
    SIGMAX_INLINE LogOfRow<T, n> log(P m, const Shift<T, n>& shift, const Temperature<T, n>& temperature) const {
        Part<T, n> p = shift.template part<scaled>(m, temperature);
        if constexpr (sizeof(T) == 4) {
            Pack<double, n> scale = convert<double>(p.scale), largest = fma(scale, convert<double>(p.g), scale);
            Pack<double, n> others = convert<double>(sum.total.hi) + convert<double>(sum.total.lo);
            return log1p_of_rest(others / largest + (convert<double>(ties) - 1.0));
        } else {
            return log1p_of_rest(sum.value(), fast_two_sum(p.scale, p.scale * p.g), ties - 1.0);
        }
    }
};
template <class T, int n, int strands>
SIGMAX_INLINE Rest<T, n> joined(Rest<T, n> (&rest)[strands]) {
    Sum<T, n> sum[strands], ties[strands];
    for (int s = 0; s < strands; ++s) {
        sum[s] = rest[s].sum;
        ties[s].total.hi = rest[s].ties;  // whole numbers, whose sum is exact
    }
    Rest<T, n> all;
    all.sum = joined(sum);
    all.ties = joined(ties).total.hi;
    return all;
}

// log p of one score after the other. Rows of temperature 1 beside others get what they would get alone.
template <bool scaled, class T, int n>
struct LogShare {
    using P = Pack<T, n>;
    P half_m, hi, lo, twice_inverse, twice_inverse_lo;
    Pack<Int<T>, n> unit;
    SIGMAX_INLINE LogShare(P m, LogOfRow<T, n> log, const Temperature<T, n>& temperature) {
        half_m = m * T(0.5);
        twice_inverse = temperature.inverse + temperature.inverse;
        twice_inverse_lo = temperature.inverse_lo + temperature.inverse_lo;
        unit = temperature.value == P(1);
        const P shift = scaled ? select(unit, m, T(0)) : m;
        if constexpr (sizeof(T) == 4) {
            Pack<double, n> wide = convert<double>(shift), c = wide + log;
            hi = convert<float>(c);
            lo = convert<float>((wide - convert<double>(hi)) + log);  // in the order that keeps the digits of a small log
        } else {
            Pair<double, n> c = two_sum(shift, log.hi);
            hi = c.hi;
            lo = c.lo + log.lo;
        }
    }
    SIGMAX_INLINE P of(P x) const {
        Pair<T, n> q = {x, P(0)};
        if constexpr (scaled) {  // of halves: x - m may be too large for a number where (x - m) / T is not
            Pair<T, n> z = two_sum(x * T(0.5), -half_m), product = two_product(z.hi, twice_inverse);
            product.lo = product.lo + fma(z.lo, twice_inverse, z.hi * twice_inverse_lo);
            q = select(unit, q, product);
        }
        Pair<T, n> y = two_sum(q.hi, -hi);
        return select(abs(y.hi) == std::numeric_limits<T>::infinity(), y.hi, y.hi + (y.lo + (q.lo - lo)));
    }
};

template <bool flat, bool scaled, class T, int n>
SIGMAX_INLINE LogOfRow<T, n> log_of_row(const Scores<T, n>& x, Pack<T, n> m, const Temperature<T, n>& temperature) {
    constexpr int strands = flat ? lanes / n : 1;
    const auto shift = Shift<T, n>::template to<scaled>(m, temperature);
    Rest<T, n> rest[strands];
    in_blocks<flat>(x, RowConstants<T>::block, [&](int s, std::ptrdiff_t first, std::ptrdiff_t end) SIGMAX_LAMBDA {
        Rest<T, n> part = rest[s];
        walk<flat>(x, x, first, end, strands, [&](const T* p, const T*, std::ptrdiff_t i) SIGMAX_LAMBDA {
            if constexpr (!flat) x.fetch(i);
            part.template add<scaled>(Pack<T, n>::load(p), m, shift, temperature);
        });
        part.end_of_block();
        rest[s] = part;
    });
    if constexpr (flat) rest[0] = joined(rest);
    return rest[0].template log<scaled>(m, shift, temperature);
}

template <bool flat, bool scaled, class T, int n>
SIGMAX_INLINE Pack<T, n> log_softmax_kernel(Rows<T, n>& r) {
    if constexpr (!flat)
        for (std::ptrdiff_t i = 0; i < r.y.count; ++i) r.y.fetch(i);
    const Pack<T, n> m = maximum<flat>(r.x);
    const LogShare<scaled, T, n> share(m, log_of_row<flat, scaled>(r.x, m, r.temperature), r.temperature);
    finish<flat>(r.x, r.y, [&](const T* x, T* y, std::ptrdiff_t) SIGMAX_LAMBDA { share.of(Pack<T, n>::load(x)).store(y); });
    return m;
}

// m + L, or again with more digits where the two cancel
template <class T, int n>
SIGMAX_INLINE Pack<T, n> logsumexp_of(Pack<T, n> m, LogOfRow<T, n> log, const Scores<T, n>& x, bool flat) {
    Pack<double, n> largest = convert<double>(m), value, more;
    if constexpr (sizeof(T) == 4) {
        more = log;
        value = largest + more;
    } else {
        more = log.hi + log.lo;  // of a sum below 2^-53 all is in the low term
        Pair<double, n> l = two_sum(largest, log.hi);
        value = l.hi + (l.lo + log.lo);
    }
    auto again = cancels(largest, more, 0.5);
    if (any(again)) {
        if (x.windows)
            x.windows->suffice = false;
        else
            value = logsumexp_again<sizeof(T) == 4 ? 52 : 60>(x, again, value, flat);
    }
    return convert<T>(value);
}
template <bool flat, class T, int n>
SIGMAX_INLINE Pack<T, n> logsumexp_kernel(Rows<T, n>& r) {
    const Pack<T, n> m = maximum<flat>(r.x);
    r.results[0] = logsumexp_of(m, log_of_row<flat, false>(r.x, m, r.temperature), r.x, flat);
    return m;
}

// The same of upright vectors that stay in registers; false, and nothing done, if a row has its maximum far from 0.
template <bool sum_only, class T, int n, int classes>
SIGMAX_INLINE bool logs_in_registers(Pack<T, n> (&x)[classes]) {
    const Temperature<T, n> unit{};
    Pack<T, n> m = -std::numeric_limits<T>::infinity();
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) m = max(x[k], m);
    const auto shift = Shift<T, n>::template to<false>(m, unit);
    if (any(shift.c != T(0))) return false;
    Rest<T, n> rest;
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) rest.template add<false, true>(x[k], m, shift, unit);
    rest.end_of_block();
    const LogOfRow<T, n> log = rest.template log<false>(m, shift, unit);
    if constexpr (sum_only) {
        T scores[classes * n];
        for (int k = 0; k < classes; ++k) x[k].store(scores + k * n);
        x[0] = logsumexp_of(m, log, {scores, nullptr, classes, classes}, false);
    } else {
        const LogShare<false, T, n> share(m, log, unit);
#pragma GCC unroll 16
        for (int k = 0; k < classes; ++k) x[k] = share.of(x[k]);
    }
    return true;
}
