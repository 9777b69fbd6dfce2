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
    const f64 spare = r.to_narrow ? 0x1p-32 : 0x1p-6;
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

// The same in plain double for narrower results, and the rows that lose digits by it.
template <bool flat, bool of_log>
SIGMAX_SHARED Pack<std::int64_t> plain_pullback(const Rows<double>& rows, f64& m) {
    Rows<double> r = rows;
    r.flat = flat;
    const auto largest = seen<Largest>(r.x, r.x.count, {flat});
    const f64 leading = leading_cotangent<of_log>(r, largest.number);
    Sums sums, sizes;
    const PlainTerms t = plain_terms(r, largest, [&](std::ptrdiff_t i, f64, f64 p) SIGMAX_LAMBDA {
        p.store(r.y.at(i));
        f64 term = cotangent<of_log>(leading, r, i).hi;
        if constexpr (!of_log) term = term * p;
        sums[r.strand(i)].add_plainly(term);
        sizes[r.strand(i)].add_plainly(abs(term));
    });
    m = t.m;
    f64 part = 1.0 / (1.0 + t.rest), whole = sums.total(r.flat).value().hi, size = sizes.total(r.flat).value().hi;
    if constexpr (!of_log) {
        whole = whole * part;
        size = size * part;
    }
    Pack<std::int64_t> lost = too_cold_for_plain_terms(r);
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        f64 g = cotangent<of_log>(leading, r, i).hi, e = r.y[i], d;
        auto possible = is_possible(r.x[i]);
        if constexpr (of_log) {
            f64 kept = g * t.others(e, r.classes(i)), given = e * (whole - g);
            d = kept - given;
            lost = lost | (possible & (abs(d) < (abs(kept) + e * size) * lost_of_52));
        } else {
            f64 above = g - whole;
            d = e * above;
            lost = lost | (possible & (abs(above) < (abs(g) + size) * lost_of_52));
        }
        select(possible, d * (part * r.temperature.inverse), 0.0).store(r.y.at(i));
    }
    return r.flat && any(lost) ? Pack<std::int64_t>(-1) : lost;
}

template <bool of_log>
SIGMAX_SHARED f64 pullback_kernel(Rows<double>& r) {
    Pack<std::int64_t> slowly = std::int64_t{-1};  // rows, which do not depend on one another in this either
    f64 m;
    if (r.to_narrow) slowly = r.flat ? plain_pullback<true, of_log>(r, m) : plain_pullback<false, of_log>(r, m);
    if (!any(slowly)) return m;
    const Pullback<of_log> b = pullback<of_log, 60>(r);
    Pullback<of_log> again;
    bool ready = false;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        Pack<std::int64_t> lost;
        Pair<double> d = pulled<of_log, 60>(b, r, i, lost);
        if (any(lost & slowly)) d = select(lost, pulled_again<of_log>(r, i, again, ready), d);
        f64 value = select(is_possible(r.x[i]), over_temperature(d, r.temperature), 0.0);
        if (r.to_narrow) value = select(slowly, value, r.y[i]);
        value.store(r.y.at(i));
    }
    return b.c.m;
}

// ---- of floats and narrower, at temperature 1: read as they lie, in doubles between ----
//
// A plain sum of 32 terms at a time, and these in two terms: right to 2^-48 of the terms' sizes. A class whose result is less than 2^-22 of
// them sends its row to the kernel above.

// The largest score of each lane, and the g that stands beside it.
template <int n>
struct Leader {
    Pack<float, n> score, g;
    SIGMAX_INLINE Leader() : score(-std::numeric_limits<float>::infinity()), g(0) {}
    SIGMAX_INLINE Leader(Pack<float, n> score, Pack<float, n> g) : score(score), g(g) {}
    SIGMAX_INLINE void see(Pack<float, n> its_score, Pack<float, n> its_g) {
        auto above = its_score > score;
        g = select(above, its_g, g);
        score = select(above, its_score, score);
    }
};
template <int n, int strands>
SIGMAX_SHARED Leader<n> joined(const Leader<n> (&leaders)[strands]) {
    float score[lanes], g[lanes];
    for (int s = 0; s < strands; ++s) {
        leaders[s].score.store(score + s * n);
        leaders[s].g.store(g + s * n);
    }
    const int best = first_largest(score);
    return {score[best], g[best]};
}

template <bool flat, int n>
SIGMAX_INLINE Leader<n> leader_of(const Scores<float, n>& x, const Scores<float, n>& w) {
    using P = Pack<float, n>;
    constexpr int strands = flat ? lanes / n : 1;
    Leader<n> leaders[strands];
    walk<flat>(x, w, w, 0, x.count, strands, [&](const float* score, const float* g, const float*, std::ptrdiff_t) SIGMAX_LAMBDA {
        for (int s = 0; s < strands; ++s) leaders[s].see(P::load(score + s * n), P::load(g + s * n));
    });
    if constexpr (flat) return joined(leaders);
    return leaders[0];
}

// Of a row: softmax's terms e_k (g_k - g of the largest class), or log_softmax's g_k; their sizes; all e_k, or those below 1 and how many
// there are of the others.
template <int n>
struct PulledSums {
    Sum<double, n> terms, size, rest, ones;
    SIGMAX_INLINE PulledSums() {}
};
template <int n, int strands>
SIGMAX_SHARED PulledSums<n> joined(const PulledSums<n> (&parts)[strands]) {
    PulledSums<n> whole;
    for (auto member : {&PulledSums<n>::terms, &PulledSums<n>::size, &PulledSums<n>::rest, &PulledSums<n>::ones}) {
        Sum<double, n> sums[strands];
        for (int s = 0; s < strands; ++s) sums[s] = parts[s].*member;
        whole.*member = joined(sums);
    }
    return whole;
}

template <bool flat, bool of_log, int n>
SIGMAX_INLINE Pack<float, n> quick_pullback(Rows<float, n>& r) {
    using P = Pack<float, n>;
    using D = Pack<double, n>;
    constexpr int strands = flat ? lanes / n : 1;
    constexpr std::ptrdiff_t block = 32;
    constexpr float infinity = std::numeric_limits<float>::infinity(), unlike = 0x1p127f;  // a g that is lost nowhere
    const Scores<float, n> x = r.x, w = r.w, y = r.y;
    double* const kept = r.kept;

    const Leader<n> leader = of_log ? Leader<n>(maximum<flat>(x), P(0)) : leader_of<flat>(x, w);
    const D m = convert<double>(leader.score), leading = convert<double>(leader.g);

    PulledSums<n> sums[strands];
    in_blocks<flat>(x, block, [&](int s, std::ptrdiff_t first, std::ptrdiff_t end) SIGMAX_LAMBDA {
        D terms(0), size(0), rest(0), ones(0);
        walk<flat>(x, w, y, first, end, strands, [&](const float* score, const float* g, const float*, std::ptrdiff_t i) SIGMAX_LAMBDA {
            const P z = P::load(score);
            const D e = exp52(max(D(-200), convert<double>(z) - m));
            e.store(kept + i * n);
            D term = convert<double>(select(z != -infinity, P::load(g), leader.g));
            if constexpr (of_log) {
                auto one = e == 1.0;
                rest = rest + select(one, 0.0, e);
                ones = ones + select(one, 1.0, D(0));
            } else {
                term = (term - leading) * e;
                rest = rest + e;
            }
            terms = terms + term;
            size = size + abs(term);
        });
        sums[s].terms.add(terms, D(0));
        sums[s].size.add_plainly(size);
        sums[s].rest.add(rest, D(0));
        sums[s].ones.add_plainly(ones);
    });
    if constexpr (flat) sums[0] = joined(sums);
    const D whole = sums[0].terms.value().hi, size = sums[0].size.total.hi, rest = sums[0].rest.value().hi;

    constexpr double spare = 0x1p-22;
    Pack<std::int64_t, n> lost = 0;
    if constexpr (of_log) {
        const D ones = sums[0].ones.total.hi, all = ones + rest, of_one = (ones - 1.0) + rest, share = 1.0 / all;
        walk<flat>(x, w, y, 0, x.count, 1, [&](const float* score, const float* g, float* result, std::ptrdiff_t i) SIGMAX_LAMBDA {
            auto possible = P::load(score) != -infinity;
            const D e = D::load(kept + i * n), own = convert<double>(select(possible, P::load(g), P(unlike)));
            const D held = own * select(e == 1.0, of_one, all - e), d = held - e * (whole - own);
            lost = lost | (abs(d) < (abs(held) + e * size) * spare);
            select(possible, convert<float>(d * share), P(0)).store(result);
        });
    } else {
        const D share = 1.0 / rest, mean = whole * share;
        D nearest = std::numeric_limits<double>::infinity();
        walk<flat>(x, w, y, 0, x.count, 1, [&](const float* score, const float* g, float* result, std::ptrdiff_t i) SIGMAX_LAMBDA {
            auto possible = P::load(score) != -infinity;
            const D above = (convert<double>(select(possible, P::load(g), P(unlike))) - leading) - mean;
            nearest = min(nearest, abs(above));
            select(possible, convert<float>((D::load(kept + i * n) * share) * above), P(0)).store(result);
        });
        lost = nearest < size * share * spare;
    }
    r.again = lost;
    return leader.score;
}
