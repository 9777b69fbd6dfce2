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
// in pairs. A logsumexp that cancels goes to log_sums.hpp.
//
// Tried and lost: floats in double (0.501 ulp, at two to three times the time); doubles with 60 bits on the way (0.56 ulp, twice);
// the sum as softmax takes it, on a grid below the largest term (2.1 ulp for a confident class: all that is left lies below the
// grid). Included once per level, hence no include guard.

template <class T>
using LogOfRow = std::conditional_t<sizeof(T) == 4, f64, Pair<double>>;

// log(1 + rest), the same bits at every level
SIGMAX_SHARED f64 log1p_of_rest(const f64& rest) {
    using C = QuickConstants<double>;
    f64 whole = rest + 1.0;
    const QuotientBits k(whole, f64(1));
    f64 a = whole * k.down, d = select(k.k == std::int64_t(0), rest, a - 1.0);
    f64 s = d / (a + 1.0), w = s * s;
    return fma(k.value(), C::ln2, fma(s * w, polynomial(C::log, w, w * w), s + s));
}

// log(1 + ties + others / largest)
SIGMAX_SHARED Pair<double> log1p_of_rest(const Pair<double>& others, const Pair<double>& largest, const f64& ties) {
    Pair<double> rest = divide(others, largest), sum = two_sum(ties, rest.hi), whole = two_sum(f64(1), sum.hi);
    return log_by_table(whole.hi, whole.lo + (sum.lo + rest.lo));
}

// The sum over the classes but one of the largest.
template <class T>
struct Rest {
    using P = Pack<T>;
    P high, low, ties;  // of the terms since the last end_of_block
    Sum<T> sum;

    SIGMAX_INLINE Rest() : high(T(0)), low(T(0)), ties(T(0)), sum(Sum<T>::zero()) {}
    template <bool scaled, bool near = false>
    SIGMAX_INLINE void add(P x, P m, const Shift<T, 1>& shift, const Temperature<T>& temperature) {
        auto largest = x == m, dropped = largest | ((near ? x : x - shift.c) <= shift.lowest);
        Part<T> p = shift.template part<scaled, near>(x, temperature);
        p.scale = select(dropped, T(0), p.scale);
        Pair<T> s = two_sum(high, p.scale);
        high = s.hi;
        low = fma(p.scale, p.g, low) + s.lo;
        ties = ties + select(largest, T(1), P(0));
    }
    SIGMAX_INLINE void end_of_block() {
        sum.add(high, low);
        high = low = P(0);
    }
    SIGMAX_INLINE void gather() {
        sum.gather();
        tree<lanes / 2, T>([&](auto moved) SIGMAX_LAMBDA { ties = ties + moved(ties); });
        ties = P(first_lane(ties));
    }
    template <bool scaled>
    SIGMAX_INLINE LogOfRow<T> log(P m, const Shift<T, 1>& shift, const Temperature<T>& temperature) const {
        Part<T> p = shift.template part<scaled>(m, temperature);
        if constexpr (sizeof(T) == 4) {
            f64 scale = convert<double>(p.scale), largest = fma(scale, convert<double>(p.g), scale);
            f64 others = convert<double>(sum.total.hi) + convert<double>(sum.total.lo);
            return log1p_of_rest(others / largest + (convert<double>(ties) - 1.0));
        } else {
            return log1p_of_rest(sum.value(), fast_two_sum(p.scale, p.scale * p.g), ties - 1.0);
        }
    }
};

// log p of one score after the other.
template <bool scaled, class T>
struct LogShare {
    using P = Pack<T>;
    P m, hi, lo;
    SIGMAX_INLINE LogShare(f32 largest, f64 log) : m(largest) {
        f64 c = scaled ? log : convert<double>(m) + log;
        hi = convert<float>(c);
        if constexpr (scaled)
            lo = convert<float>(c - convert<double>(hi));
        else  // in the order that keeps the digits of a small log
            lo = convert<float>((convert<double>(m) - convert<double>(hi)) + log);
    }
    SIGMAX_INLINE LogShare(f64 largest, Pair<double> log) : m(largest) {
        Pair<double> c = scaled ? fast_two_sum(log.hi, log.lo) : two_sum(m, log.hi);
        hi = c.hi;
        lo = scaled ? c.lo : c.lo + log.lo;
    }
    SIGMAX_INLINE P of(P x, const Temperature<T>& temperature) const {
        Pair<T> q = {x, T(0)};
        if constexpr (scaled) {
            Pair<T> z = two_sum(x, -m);
            q = two_product(z.hi, temperature.inverse);
            q.lo = q.lo + fma(z.lo, temperature.inverse, z.hi * temperature.inverse_lo);
        }
        Pair<T> y = two_sum(q.hi, -hi);
        return select(abs(y.hi) == std::numeric_limits<T>::infinity(), y.hi, y.hi + (y.lo + (q.lo - lo)));
    }
};

// m + L, or again with more digits
template <bool across>
SIGMAX_INLINE f32 joined(f32 m, f64 log, const Scores<float>& x) {
    f64 wide = convert<double>(m), sum = wide + log;
    auto again = cancels(wide, log, 0.5);
    if (any(again)) sum = select(again, double_logsumexp<across>(x), sum);
    return convert<float>(sum);
}
template <bool across>
SIGMAX_INLINE f64 joined(f64 m, Pair<double> log, const Scores<double>& x) {
    f64 sum = joined({m, log});
    auto again = cancels(m, log.hi, 0.5);
    return any(again) ? select(again, precise_logsumexp<across>(x, again), sum) : sum;
}

template <bool across, bool scaled, class T>
SIGMAX_INLINE LogOfRow<T> log_of_row(const Scores<T>& x, Pack<T> m, const Temperature<T>& temperature) {
    const auto shift = Shift<T, 1>::template to<scaled>(m, temperature);
    constexpr std::ptrdiff_t block = RowConstants<T>::block;
    Rest<T> rest;
    for (std::ptrdiff_t begin = 0; begin < x.steps; begin += block) {
        const std::ptrdiff_t end = begin + block < x.steps ? begin + block : x.steps;
        for (std::ptrdiff_t j = begin; j < end; ++j) {
            if constexpr (!across) x.fetch(j);
            rest.template add<scaled>(Pack<T>::load(x.at(j)), m, shift, temperature);
        }
        rest.end_of_block();
    }
    if constexpr (across) rest.gather();
    return rest.template log<scaled>(m, shift, temperature);
}
template <bool across, class T>
SIGMAX_INLINE Pack<T> maximum(const Scores<T>& x) {
    Pack<T> m = -std::numeric_limits<T>::infinity();
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) m = max(Pack<T>::load(x.at(j)), m);
    if constexpr (across) m = tree_max(m);
    return m;
}

template <bool across, bool scaled, class T>
SIGMAX_INLINE Pack<T> log_softmax_kernel(Rows<T>& r) {
    if constexpr (!across)
        for (std::ptrdiff_t j = 0; j < r.y.steps; ++j) r.y.fetch(j);
    Pack<T> m = maximum<across>(r.x);
    const LogShare<scaled, T> share(m, log_of_row<across, scaled>(r.x, m, r.temperature));
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) share.of(Pack<T>::load(r.x.at(j)), r.temperature).store(r.y.at(j));
    return m;
}
template <bool across, class T>
SIGMAX_INLINE Pack<T> logsumexp_kernel(Rows<T>& r) {
    Pack<T> m = maximum<across>(r.x);
    r.results[0] = joined<across>(m, log_of_row<across, false>(r.x, m, r.temperature), r.x);
    return m;
}

// The same of upright vectors that stay in registers; false, and nothing done, if a row has its maximum far from 0.
template <bool sum_only, class T, int classes>
SIGMAX_INLINE bool logs_in_registers(Pack<T> (&x)[classes]) {
    const Temperature<T> unit{};
    Pack<T> m = -std::numeric_limits<T>::infinity();
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) m = max(x[k], m);
    const auto shift = Shift<T, 1>::template to<false>(m, unit);
    if (any(shift.c != T(0))) return false;
    Rest<T> rest;
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) rest.template add<false, true>(x[k], m, shift, unit);
    rest.end_of_block();
    const LogOfRow<T> log = rest.template log<false>(m, shift, unit);
    if constexpr (sum_only) {
        T scores[classes * lanes];
        for (int k = 0; k < classes; ++k) x[k].store(scores + k * lanes);
        x[0] = joined<false>(m, log, {scores, nullptr, classes, classes});
    } else {
        const LogShare<false, T> share(m, log);
#pragma GCC unroll 16
        for (int k = 0; k < classes; ++k) x[k] = share.of(x[k], unit);
    }
    return true;
}
