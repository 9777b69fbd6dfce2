// A gradient by the scores, from the gradient g by the results (what automatic differentiation asks for):
//
//     softmax        p_k (g_k - sum p_j g_j) / T, which is the same for g - c whatever c is: with c the g of the largest class, its
//                    term is 0, and what is left does not drown in it
//     log_softmax    (g_k - p_k G) / T = (g_k (1 - p_k) - p_k (G - g_k)) / T, with G the sum of g
//
// Both cancel only where the terms themselves do; where that costs more digits than there are to spare, the row is done again with
// more. The g of an impossible class is not read. Included once per level, hence no include guard.

template <bool of_log>
struct Pullback {
    Contest c;
    f64 leading;         // softmax: g of the largest class
    Pair<double> whole;  // what all entries share: G, or the sum of p_j g_j times 2^512
    f64 size;            // the sum of the terms' sizes
};
template <bool of_log>
SIGMAX_INLINE f64 leading_cotangent(const Rows<double>& r, f64 first) {
    if constexpr (of_log) return f64(0);
    constexpr int n = double_lanes;
    return r.flat ? Named<true, double, n>(first, r.w.count).of(r.w) : Named<false, double, n>(first, r.w.count).of(r.w);
}
template <bool of_log>
SIGMAX_INLINE Pair<double> cotangent(f64 leading, const Rows<double>& r, std::ptrdiff_t i) {
    f64 g = select(is_possible(r.x[i]), r.w[i], of_log ? f64(0) : leading);
    if constexpr (of_log) return one_term(g);
    return two_sum(g, -leading);
}
template <bool of_log, int digits>
SIGMAX_SHARED Pullback<of_log> pullback(const Rows<double>& r) {
    Pullback<of_log> b;
    b.c = contest<digits>(r);
    b.leading = leading_cotangent<of_log>(r, b.c.first);
    Sums sums, sizes;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        Pair<double> term = cotangent<of_log>(b.leading, r, i);
        if constexpr (!of_log) term = term * parts_of<digits>(b.c, r, i).own;
        sums[r.strand(i)].add(term);
        sizes[r.strand(i)].add_plainly(abs(term.hi));
    }
    b.whole = sums.total(r.flat).value();
    if constexpr (!of_log) b.whole = divide(b.whole, b.c.all);
    b.size = sizes.total(r.flat).total.hi;
    return b;
}
// The gradient by the scores of vector i, times 2^512 and the temperature, and whether it has lost its digits.
template <bool of_log, int digits>
SIGMAX_SHARED Pair<double> pulled(const Pullback<of_log>& b, const Rows<double>& r, std::ptrdiff_t i, Pack<std::int64_t>& lost) {
    const f64 spare = r.to_narrow ? lost_of_60_to_narrow : 0x1p-6;
    Parts p = parts_of<digits>(b.c, r, i);
    Pair<double> g = cotangent<of_log>(b.leading, r, i), d;
    if constexpr (of_log) {
        Pair<double> kept = g * p.others, given = p.own * (b.whole - g);
        d = kept - given;
        lost = abs(d.hi) < (abs(kept.hi) + p.own.hi * b.size) * spare;
        d = divide(d, b.c.all);
    } else {
        Pair<double> above = g * f64(0x1p512) - b.whole;
        lost = abs(above.hi) < (abs(g.hi) * 0x1p512 + b.size) * spare;
        // the own part of the largest class is 1, and what is above may be tiny
        const f64 of_own = select(p.is_first, 0x1p-512, f64(1)), of_above = select(p.is_first, 1.0, f64(0x1p-512));
        d = divide(p.own, b.c.all) * of_own * (above * of_above);
    }
    return d;
}
template <bool of_log>
SIGMAX_RARE Pair<double> pulled_again(const Rows<double>& r, std::ptrdiff_t i, Pullback<of_log>& again, bool& ready) {
    if (!ready) again = pullback<of_log, 100>(r);
    ready = true;
    Pack<std::int64_t> lost;
    return pulled<of_log, 100>(again, r, i, lost);
}

template <bool of_log>
SIGMAX_SHARED f64 pullback_kernel(Rows<double>& r) {
    const Pullback<of_log> b = pullback<of_log, 60>(r);
    Pullback<of_log> again;
    bool ready = false;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        Pack<std::int64_t> lost;
        Pair<double> d = pulled<of_log, 60>(b, r, i, lost);
        if (any(lost)) d = select(lost, pulled_again<of_log>(r, i, again, ready), d);
        select(is_possible(r.x[i]), over_temperature(d, r.temperature), 0.0).store(r.y.at(i));
    }
    return b.c.m;
}
