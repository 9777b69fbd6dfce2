// log_softmax and logsumexp of floats and narrower numbers, in float but for one logarithm a row.
//
// The sum S of the e^(x_j - m) without one of the largest is shifted by whole powers of two, as in softmax. Scores equal to the
// maximum are left out of it and counted; scores beyond `reach`, and impossible classes, are left out for good. Nothing is known
// of how large the sum is beside its terms, so that each addition is done in full. L = log1p(S) is a double, right to 2^-28; then
// with c = m + L in two floats
//
//     log p_k = (x_k - c_hi) - c_lo
//
// the first difference in two terms: at most 0.5 ulp and what L is off, a tenth of one. With a temperature it is (x_k - m) / T - L,
// in pairs. A logsumexp that cancels goes to the doubles of log_rows.hpp.
//
// Tried and lost: all of it in double (0.501 ulp, at two to three times the time); the sum as softmax takes it, on a grid below the
// largest term (2.1 ulp for a confident class: all that is left lies below the grid). Included once per level, hence no include guard.

// log(1 + rest), the same bits at every level
SIGMAX_SHARED f64 log1p_of_rest(const f64& rest) {
    using C = QuickConstants;
    f64 whole = rest + 1.0;
    const QuotientBits k(whole, f64(1));
    f64 a = whole * k.down, d = select(k.k == std::int64_t(0), rest, a - 1.0);
    f64 s = d / (a + 1.0), w = s * s;
    return fma(k.value(), C::ln2, fma(s * w, polynomial(C::log, w, w * w), s + s));
}

// The sum over the classes but one of the largest.
struct Rest {
    using P = f32;
    P high, low, ties;  // of the terms since the last end_of_block
    Sum<float> sum;

    SIGMAX_INLINE Rest() : high(0.0f), low(0.0f), ties(0.0f), sum(Sum<float>::zero()) {}
    template <bool scaled, bool near = false>
    SIGMAX_INLINE void add(P x, P m, const Shift<float, 1>& shift, const Temperature<float>& temperature) {
        auto largest = x == m, dropped = largest | ((near ? x : x - shift.c) <= shift.lowest);
        Part<float> p = shift.part<scaled, near>(x, temperature);
        p.scale = select(dropped, 0.0f, p.scale);
        Pair<float> s = two_sum(high, p.scale);
        high = s.hi;
        low = fma(p.scale, p.g, low) + s.lo;
        ties = ties + select(largest, 1.0f, P(0));
    }
    SIGMAX_INLINE void end_of_block() {
        sum.add(high, low);
        high = low = P(0);
    }
    SIGMAX_INLINE void gather() {
        sum.gather();
        tree<lanes / 2, float>([&](auto moved) SIGMAX_LAMBDA { ties = ties + moved(ties); });
        ties = P(first_lane(ties));
    }
    template <bool scaled>
    SIGMAX_INLINE f64 log(P m, const Shift<float, 1>& shift, const Temperature<float>& temperature) const {
        Part<float> p = shift.part<scaled>(m, temperature);
        f64 scale = convert<double>(p.scale), largest = fma(scale, convert<double>(p.g), scale);
        f64 others = convert<double>(sum.total.hi) + convert<double>(sum.total.lo);
        return log1p_of_rest(others / largest + (convert<double>(ties) - 1.0));
    }
};

// log p of one score after the other.
template <bool scaled>
struct LogShare {
    f32 m, hi, lo;
    SIGMAX_INLINE LogShare(f32 largest, f64 log) : m(largest) {
        f64 c = scaled ? log : convert<double>(m) + log;
        hi = convert<float>(c);
        if constexpr (scaled)
            lo = convert<float>(c - convert<double>(hi));
        else  // in the order that keeps the digits of a small log
            lo = convert<float>((convert<double>(m) - convert<double>(hi)) + log);
    }
    SIGMAX_INLINE f32 of(f32 x, const Temperature<float>& temperature) const {
        Pair<float> q = {x, 0.0f};
        if constexpr (scaled) {
            Pair<float> z = two_sum(x, -m);
            q = two_product(z.hi, temperature.inverse);
            q.lo = q.lo + fma(z.lo, temperature.inverse, z.hi * temperature.inverse_lo);
        }
        Pair<float> y = two_sum(q.hi, -hi);
        return select(abs(y.hi) == std::numeric_limits<float>::infinity(), y.hi, y.hi + (y.lo + (q.lo - lo)));
    }
};

template <bool across, bool scaled>
SIGMAX_INLINE f64 float_log_rest(const Scores<float>& x, f32 m, const Temperature<float>& temperature) {
    const auto shift = Shift<float, 1>::to<scaled>(m, temperature);
    constexpr std::ptrdiff_t block = RowConstants<float>::block;
    Rest rest;
    for (std::ptrdiff_t begin = 0; begin < x.steps; begin += block) {
        const std::ptrdiff_t end = begin + block < x.steps ? begin + block : x.steps;
        for (std::ptrdiff_t j = begin; j < end; ++j) {
            if constexpr (!across) x.fetch(j);
            rest.add<scaled>(f32::load(x.at(j)), m, shift, temperature);
        }
        rest.end_of_block();
    }
    if constexpr (across) rest.gather();
    return rest.log<scaled>(m, shift, temperature);
}
template <bool across>
SIGMAX_INLINE f32 float_max(const Scores<float>& x) {
    f32 m = -std::numeric_limits<float>::infinity();
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) m = max(f32::load(x.at(j)), m);
    if constexpr (across) m = tree_max(m);
    return m;
}

template <bool across, bool scaled>
SIGMAX_INLINE f32 float_log_softmax_kernel(Rows<float>& r) {
    if constexpr (!across)
        for (std::ptrdiff_t j = 0; j < r.y.steps; ++j) r.y.fetch(j);
    f32 m = float_max<across>(r.x);
    const LogShare<scaled> share(m, float_log_rest<across, scaled>(r.x, m, r.temperature));
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) share.of(f32::load(r.x.at(j)), r.temperature).store(r.y.at(j));
    return m;
}

template <bool across>
[[gnu::noinline, gnu::cold]] f64 double_logsumexp(const Scores<float>& x) {
    return logsumexp_of<across, Tier::quick>(x).value;
}
template <bool across>
SIGMAX_INLINE f32 float_logsumexp_kernel(Rows<float>& r) {
    f32 m = float_max<across>(r.x);
    f64 wide = convert<double>(m), log = float_log_rest<across, false>(r.x, m, r.temperature), sum = wide + log;
    auto again = cancels(wide, log, 0.5);
    if (any(again)) sum = select(again, double_logsumexp<across>(r.x), sum);
    r.results[0] = convert<float>(sum);
    return m;
}

// The same of upright vectors that stay in registers; false, and nothing done, if a row has its maximum far from 0.
template <bool sum_only, int classes>
SIGMAX_INLINE bool float_logs_in_registers(f32 (&x)[classes]) {
    const Temperature<float> unit{};
    f32 m = -std::numeric_limits<float>::infinity();
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) m = max(x[k], m);
    const auto shift = Shift<float, 1>::to<false>(m, unit);
    if (any(shift.c != 0.0f)) return false;
    Rest rest;
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) rest.add<false, true>(x[k], m, shift, unit);
    rest.end_of_block();
    f64 log = rest.log<false>(m, shift, unit);
    if constexpr (sum_only) {
        f64 wide = convert<double>(m), sum = wide + log;
        if (auto again = cancels(wide, log, 0.5); any(again)) {
            float scores[classes * lanes];
            for (int k = 0; k < classes; ++k) x[k].store(scores + k * lanes);
            sum = select(again, double_logsumexp<false>({scores, nullptr, classes, classes}), sum);
        }
        x[0] = convert<float>(sum);
    } else {
        const LogShare<false> share(m, log);
#pragma GCC unroll 16
        for (int k = 0; k < classes; ++k) x[k] = share.of(x[k], unit);
    }
    return true;
}
