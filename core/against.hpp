// Each class against all the others: complements, the logit of a softmax, cross-entropy, gradients. Always in double.
//
// 1 - p_k is the others' share, which must not come from p_k. With m >= m2 the two largest scores, E = e^((m2 - m) / T) and
// S2 = the sum of e^((x_j - m2) / T) over all but these two classes, all parts relative to the largest class:
//
//     the largest class    own = 1                        others = S = E (1 + S2)
//     any other class k    own = E e_k                    others = 1 + E (1 - e_k + S2)      e_k = e^((x_k - m2) / T) <= 1
//
// Nothing cancels: 1 - e_k is never taken alone from a sum smaller than the other terms. p_k = own / (1 + S), 1 - p_k = others /
// (1 + S), and the logit is the logarithm of own / others, for the largest class -((m2 - m) / T + log1p(S2)). There the two may
// cancel, where its probability is about one half; such rows are done again with 100 bits.
// Small parts are kept times 2^512, so that subnormal results round once.
// Included once per level, hence no include guard.

struct Contest {
    f64 m, m2;
    Pack<std::int64_t> first, second;  // the vectors that hold the two largest scores in each lane, -1 where another lane has them
    Pair<double> gap;                  // (m2 - m) / T
    Pair<double> s2, e, s;             // e and s times 2^512
    Pair<double> all;                  // 1 + S
    Pack<std::int64_t> alone;          // there is one possible class only
};

// Two largest of all lanes: for rows that lie flat.
SIGMAX_SHARED void join_top_two(Contest& c) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double m[lanes], m2[lanes];
    std::int64_t first[lanes], second[lanes];
    c.m.store(m);
    c.m2.store(m2);
    c.first.store(first);
    c.second.store(second);
    int best = 0, next = -1;
    for (int i = 1; i < lanes; ++i)
        if (m[i] > m[best]) best = i;
    double runner_up = m2[best];
    for (int i = 0; i < lanes; ++i)
        if (i != best && m[i] > runner_up) {
            runner_up = m[i];
            next = i;
        }
    for (int i = 0; i < lanes; ++i) {
        second[i] = runner_up == -infinity ? -1 : next == -1 ? (i == best ? second[i] : -1) : i == next ? first[i] : -1;
        if (i != best) first[i] = -1;
    }
    c.m = m[best];
    c.m2 = runner_up;
    c.first = Pack<std::int64_t>::load(first);
    c.second = Pack<std::int64_t>::load(second);
}

template <bool across, Tier tier>
SIGMAX_SHARED Contest contest(const Scores<double>& x, const Temperature<double>& temperature) {
    using Index = Pack<std::int64_t>;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Contest c;
    c.m = c.m2 = -infinity;
    c.first = c.second = std::int64_t{-1};
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        f64 score = f64::load(x.at(j));
        auto above = score > c.m, between = score > c.m2;
        c.second = select(above, c.first, select(between, Index(j), c.second));
        c.m2 = select(above, c.m, select(between, score, c.m2));
        c.first = select(above, Index(j), c.first);
        c.m = select(above, score, c.m);
    }
    if constexpr (across) join_top_two(c);
    c.alone = c.m2 == -infinity;
    c.m2 = select(c.alone, c.m, c.m2);

    f64 lowest = temperature.value * -reach;
    Sum<double> sum = Sum<double>::zero();
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        Pair<double> z = two_sum(f64::load(x.at(j)), -c.m2);
        auto lost = z.hi < lowest;
        auto left_out = lost | (c.first == Index(j)) | (c.second == Index(j));
        z = divided<true>({select(left_out, 0.0, z.hi), select(left_out, 0.0, z.lo)}, temperature);
        ScaledExp e = (tier == Tier::precise ? exp_precise : shared_exp)(z);
        f64 power = select(left_out, 0.0, power_of_two(e.t, 512));
        sum.add(e.m.hi * power, e.m.lo * power);
    }
    if constexpr (across) sum.gather();
    c.s2 = sum.value() * f64(0x1p-512);

    c.gap = divided<true>(two_sum(c.m2, -c.m), temperature);
    auto far = c.gap.hi < -reach;
    ScaledExp e = (tier == Tier::precise ? exp_precise : shared_exp)({select(far, -reach, c.gap.hi), select(far, 0.0, c.gap.lo)});
    c.e = e.m * select(far | c.alone, 0.0, power_of_two(e.t, 512));
    c.s = c.e * (Pair<double>{1, 0} + c.s2);
    c.all = Pair<double>{1, 0} + c.s * f64(0x1p-512);
    return c;
}

// One class: its own part and that of the others, times 2^512; what the others have beyond the largest class; (x - m) / T.
struct Parts {
    Pair<double> own, others, beyond, z;
    Pack<std::int64_t> is_first;
};
template <Tier tier>
SIGMAX_SHARED Parts parts_of(const Contest& c, const f64& x, std::ptrdiff_t j, const Temperature<double>& temperature) {
    Parts p;
    p.is_first = c.first == Pack<std::int64_t>(j);
    Pair<double> z = two_sum(x, -c.m2), one = {f64(0x1p512), f64(0)};
    auto lost = z.hi < temperature.value * -reach, at_rest = lost | p.is_first;
    z = divided<true>({select(at_rest, 0.0, z.hi), select(at_rest, 0.0, z.lo)}, temperature);
    ScaledExp e = (tier == Tier::precise ? exp_precise : shared_exp)(z);
    Pair<double> e_k = e.m * select(lost, 0.0, power_of_two(e.t, 256));  // times 2^256: e^-800 is then a normal number
    Pair<double> beyond = c.e * ((Pair<double>{1, 0} - e_k * f64(0x1p-256)) + c.s2);
    p.own = select(p.is_first, one, c.e * e_k * f64(0x1p-256));
    p.others = select(p.is_first, c.s, one + beyond);
    p.beyond = beyond * f64(0x1p-512);
    p.z = without_nan(divided<true>(without_nan(two_sum(x, -c.m)), temperature));
    return p;
}

template <bool across>
SIGMAX_INLINE f64 softmax_complement_kernel(Rows<double>& r) {
    Contest c = contest<across, Tier::exact>(r.x, r.temperature);
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        Parts p = parts_of<Tier::exact>(c, f64::load(r.x.at(j)), j, r.temperature);
        Pair<double> share = divide(p.others, c.all);
        (share.hi * 0x1p-512).store(r.y.at(j));
    }
    return c.m;
}

// log(1 - p) = -log1p(own / others), unless the class is more likely than all others: then log(others) - log(1 + S).
template <bool across>
SIGMAX_INLINE f64 log_softmax_complement_kernel(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Contest c = contest<across, Tier::exact>(r.x, r.temperature);
    Pair<double> likely = c.gap + shared_log1p(c.s2) - shared_log1p(c.s * f64(0x1p-512));
    f64 of_first = select(c.alone, -infinity, likely.hi);
    auto ahead = c.s.hi < 0x1p512;
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        Parts p = parts_of<Tier::exact>(c, f64::load(r.x.at(j)), j, r.temperature);
        Pair<double> l = shared_log1p(divide(p.own, p.others));
        select(p.is_first & ahead, of_first, -(l.hi + l.lo)).store(r.y.at(j));
    }
    return c.m;
}

// The logit of the largest class.
template <Tier tier>
SIGMAX_INLINE Pair<double> leading_logit(const Contest& c) {
    return -(c.gap + (tier == Tier::precise ? log1p_of<Tier::precise> : shared_log1p)(c.s2));
}
template <bool across>
[[gnu::noinline]] f64 precise_leading_logit(const Rows<double>& r, const Pack<std::int64_t>& again) {
    Contest c = contest<across, Tier::precise>(r.x, r.temperature);
    f64 value = leading_logit<Tier::precise>(c).hi;
    auto hopeless = again & (abs(value) < abs(c.gap.hi) * hopeless_part);
    return any(hopeless) ? -by_hand<across>(r.x, {}, hopeless, c.m, r.temperature.value, c.first, -value) : value;
}

template <bool across>
SIGMAX_INLINE f64 logit_softmax_kernel(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Contest c = contest<across, Tier::exact>(r.x, r.temperature);
    f64 leading = leading_logit<Tier::exact>(c).hi;
    auto again = abs(leading) < abs(c.gap.hi) * cancelling<Tier::exact>;
    if (any(again)) leading = select(again, precise_leading_logit<across>(r, again), leading);
    leading = select(c.alone & (c.s2.hi == c.s2.hi), infinity, leading);  // a NaN, which is no largest score, spoils the sum
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        Parts p = parts_of<Tier::exact>(c, f64::load(r.x.at(j)), j, r.temperature);
        Pair<double> rest = shared_log1p(p.beyond), l = without_nan(two_sum(p.z.hi, -rest.hi));
        select(p.is_first, leading, l.hi + (l.lo + (p.z.lo - rest.lo))).store(r.y.at(j));
    }
    return c.m;
}

// The probability that the label gives each class: 1 for the class it names, or its own probabilities; `smoothing` is taken
// from them and spread evenly over the possible classes.
template <bool across, bool labelled>
struct Target {
    Pair<double> kept, spread;
    SIGMAX_INLINE explicit Target(const Rows<double>& r) : kept(fast_two_sum(f64(1), -r.smoothing)) {
        Sum<double> possible = Sum<double>::zero();
        for (std::ptrdiff_t j = 0; j < r.x.steps; ++j)
            possible.total.hi = possible.total.hi + select(is_possible(f64::load(r.x.at(j))), 1.0, f64(0));
        if constexpr (across) possible.gather();
        spread = divide(Pair<double>{r.smoothing, f64(0)}, Pair<double>{possible.total.hi, f64(0)});
    }
    SIGMAX_INLINE static Pack<std::int64_t> is_possible(f64 x) { return x != -std::numeric_limits<double>::infinity(); }
    SIGMAX_INLINE Pair<double> of(const Rows<double>& r, f64 x, std::ptrdiff_t j) const {
        const Pair<double> nothing = {f64(0), f64(0)};
        Pair<double> own;
        if constexpr (labelled)
            own = select(class_at<across>(j) == r.label, kept, nothing);
        else
            own = kept * Pair<double>{f64::load(r.w.at(j)), f64(0)};
        return own + select(is_possible(x), spread, nothing);
    }
};

// What a gradient is made of: own (Q - q) - others q, over 1 + S, times 2^512.
SIGMAX_INLINE Pair<double> slope(const Contest& c, const Parts& p, Pair<double> q, Pair<double> all) {
    return divide(p.own * (all - q) - p.others * q, c.all);
}
template <bool across>
[[gnu::noinline]] void precise_slope(const Rows<double>& r, std::ptrdiff_t j, const Pair<double>& q, const Pair<double>& all, Contest* c,
                                     bool* ready, Pair<double>* value) {
    if (!*ready) *c = contest<across, Tier::precise>(r.x, r.temperature);
    *ready = true;
    *value = slope(*c, parts_of<Tier::precise>(*c, f64::load(r.x.at(j)), j, r.temperature), q, all);
}

// ---- results narrower than double: plain double arithmetic has more digits than they do, where nothing cancels ----

// Every e^((x - m) / T), written to y, but the largest class's left out of the sum. e^-200 is 0 in every narrow type.
template <bool across>
struct Quick {
    f64 m, rest;
    Pack<std::int64_t> first;
    SIGMAX_INLINE auto is_first(std::ptrdiff_t j) const { return first == Pack<std::int64_t>(j); }
    SIGMAX_INLINE f64 others(f64 p, std::ptrdiff_t j) const { return select(is_first(j), rest, 1.0 + (rest - p)); }
};
template <bool across, class See>
SIGMAX_INLINE Quick<across> quick_terms(const Rows<double>& r, See see) {
    using Index = Pack<std::int64_t>;
    Quick<across> q;
    q.m = -std::numeric_limits<double>::infinity();
    q.first = std::int64_t{-1};
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        f64 score = f64::load(r.x.at(j));
        auto above = score > q.m;
        q.first = select(above, Index(j), q.first);
        q.m = select(above, score, q.m);
    }
    if constexpr (across) {  // the first of the lanes that have the largest
        double top[lanes];
        std::int64_t first[lanes];
        q.m.store(top);
        q.first.store(first);
        int best = 0;
        for (int i = 1; i < lanes; ++i)
            if (top[i] > top[best]) best = i;
        q.m = top[best];
        for (int i = 0; i < lanes; ++i)
            if (i != best) first[i] = -1;
        q.first = Index::load(first);
    }
    Sum<double> rest = Sum<double>::zero();
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        f64 z = (f64::load(r.x.at(j)) - q.m) * r.temperature.inverse;
        Exp<double> e = exp_at(select(z < -200.0, f64(-200), z), f64(ExpConstants<double>::magic));
        f64 scale = scale_of(e.t), p = fma(scale, e.g, scale);
        see(j, z, p);
        rest.total.hi = rest.total.hi + select(q.is_first(j), 0.0, p);
    }
    if constexpr (across) rest.gather();
    q.rest = rest.value().hi;
    return q;
}

template <bool across, bool with_gradient>
SIGMAX_INLINE f64 quick_cross_entropy(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Sum<double> own = Sum<double>::zero();
    const Quick<across> q = quick_terms<across>(r, [&](std::ptrdiff_t j, f64 z, f64 p) SIGMAX_LAMBDA {
        own.total.hi = own.total.hi + select(class_at<across>(j) == r.label, z, 0.0);
        if constexpr (with_gradient) p.store(r.y.at(j));
    });
    f64 z = own.total.hi;
    if constexpr (across) {
        auto endless = z == -infinity;
        own.total.hi = select(endless, 0.0, z);
        own.gather();
        z = any(endless) ? f64(-infinity) : own.value().hi;
    }
    f64 all = 1.0 + q.rest;
    Pair<double> log = log_by_table(all, q.rest - (all - 1.0));
    r.results[0] = select((z == -infinity) & (q.rest == q.rest), infinity, (log.hi + log.lo) - z);
    if constexpr (with_gradient) {
        f64 share = r.temperature.inverse / all;
        for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
            auto possible = f64::load(r.x.at(j)) != -infinity;
            f64 p = f64::load(r.y.at(j));
            f64 d = select(class_at<across>(j) == r.label, -q.others(p, j), p) * share;
            select(possible, d, 0.0).store(r.y.at(j));
        }
    }
    return q.m;
}

// loss = sum of q_k (log(1 + S) - z_k), no term negative; d loss / d x_k = (p_k - q_k) / T for labels that sum to 1, in general
// (p_k (Q - q_k) - q_k (1 - p_k)) / T with Q the sum of q, which cancels only where p_k and q_k come close.
template <bool across, bool labelled, bool with_gradient>
SIGMAX_INLINE f64 cross_entropy_kernel(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if constexpr (labelled)
        if (r.narrow && !any(r.smoothing != 0.0)) return quick_cross_entropy<across, with_gradient>(r);
    Contest c = contest<across, Tier::exact>(r.x, r.temperature);
    const Target<across, labelled> target(r);
    Pair<double> rest = shared_log1p(c.s * f64(0x1p-512));
    Sum<double> loss = Sum<double>::zero(), whole = Sum<double>::zero();
    Sum<double> infinite = Sum<double>::zero();
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        f64 x = f64::load(r.x.at(j));
        Pair<double> q = target.of(r, x, j);
        Pair<double> z = without_nan(divided<true>(without_nan(two_sum(x, -c.m)), r.temperature));
        auto unasked = q.hi == 0.0, endless = (z.hi == -infinity) & (q.hi > 0.0);
        Pair<double> term = q * (rest - select(unasked | endless, one_term(f64(0)), z));
        loss.add(select(unasked | endless, 0.0, term.hi), select(unasked | endless, 0.0, term.lo));
        whole.add(q.hi, q.lo);
        infinite.total.hi = infinite.total.hi + select(endless, 1.0, f64(0));
    }
    if constexpr (across) {
        loss.gather();
        whole.gather();
        infinite.gather();
    }
    r.results[0] = select((infinite.total.hi > 0.0) & (c.s.hi == c.s.hi), infinity, loss.value().hi);
    if constexpr (with_gradient) {
        Pair<double> inverse = {r.temperature.inverse, r.temperature.inverse_lo}, all = whole.value();
        Contest again;
        bool ready = false;
        for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
            f64 x = f64::load(r.x.at(j));
            Pair<double> q = target.of(r, x, j);
            Parts p = parts_of<Tier::exact>(c, x, j, r.temperature);
            Pair<double> d = slope(c, p, q, all);
            auto close = abs(d.hi) < q.hi * (r.narrow ? 0x1p512 * cancelling<Tier::quick> : 0x1p512 * cancelling<Tier::exact>);
            if (any(close)) {
                Pair<double> better;
                precise_slope<across>(r, j, q, all, &again, &ready, &better);
                d = select(close, better, d);
            }
            d = d * inverse;
            select(target.is_possible(x), d.hi * 0x1p-512, 0.0).store(r.y.at(j));
        }
    }
    return c.m;
}

// A gradient by the scores, from the gradient g by the results (what automatic differentiation asks for):
//
//     softmax        p_k (g_k - sum p_j g_j) / T, which is the same for g - c whatever c is: with c the g of the largest class, its
//                    term is 0, and what is left does not drown in it
//     log_softmax    (g_k - p_k G) / T = (g_k (1 - p_k) - p_k (G - g_k)) / T, with G the sum of g
//
// Both cancel only where the terms themselves do; where that costs more than `spare` digits, the row is done again with 100 bits.
// The g of an impossible class is not read.
template <bool of_log>
struct Pullback {
    Contest c;
    f64 leading;         // softmax: g of the largest class
    Pair<double> whole;  // what all entries share: G, or the sum of p_j g_j times 2^512
    f64 size;            // the sum of the terms' sizes
};
template <bool of_log>
SIGMAX_INLINE Pair<double> cotangent(const Pullback<of_log>& b, const Rows<double>& r, std::ptrdiff_t j) {
    auto possible = f64::load(r.x.at(j)) != -std::numeric_limits<double>::infinity();
    f64 g = select(possible, f64::load(r.w.at(j)), of_log ? f64(0) : b.leading);
    if constexpr (of_log) return {g, f64(0)};
    return two_sum(g, -b.leading);
}
template <bool across, bool of_log, Tier tier>
SIGMAX_SHARED Pullback<of_log> pullback(const Rows<double>& r) {
    Pullback<of_log> b;
    b.c = contest<across, tier>(r.x, r.temperature);
    Sum<double> leading = Sum<double>::zero(), sum = Sum<double>::zero(), sizes = Sum<double>::zero();
    if constexpr (!of_log) {
        for (std::ptrdiff_t j = 0; j < r.x.steps; ++j)
            leading.total.hi = leading.total.hi + select(b.c.first == Pack<std::int64_t>(j), f64::load(r.w.at(j)), f64(0));
        if constexpr (across) leading.gather();
    }
    b.leading = leading.total.hi;
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        Pair<double> term = cotangent(b, r, j);
        if constexpr (!of_log) term = term * parts_of<tier>(b.c, f64::load(r.x.at(j)), j, r.temperature).own;
        sum.add(term.hi, term.lo);
        sizes.total.hi = sizes.total.hi + abs(term.hi);
    }
    if constexpr (across) {
        sum.gather();
        sizes.gather();
    }
    b.whole = sum.value();
    if constexpr (!of_log) b.whole = divide(b.whole, b.c.all);
    b.size = sizes.total.hi;
    return b;
}
// The gradient by x_k times 2^512, and whether it has lost its digits.
template <bool of_log, Tier tier>
SIGMAX_SHARED Pair<double> pulled(const Pullback<of_log>& b, const Rows<double>& r, std::ptrdiff_t j, Pack<std::int64_t>& lost) {
    const f64 spare = r.narrow ? cancelling<Tier::quick> : 0x1p-6;
    Parts p = parts_of<tier>(b.c, f64::load(r.x.at(j)), j, r.temperature);
    Pair<double> g = cotangent(b, r, j), d;
    if constexpr (of_log) {
        Pair<double> kept = g * p.others, given = p.own * (b.whole - g);
        d = kept - given;
        lost = abs(d.hi) < (abs(kept.hi) + p.own.hi * b.size) * spare;
        d = divide(d, b.c.all);
    } else {
        Pair<double> above = g * f64(0x1p512) - b.whole;
        lost = abs(above.hi) < (abs(g.hi) * 0x1p512 + b.size) * spare;
        d = divide(p.own, b.c.all) * (above * f64(0x1p-512));
    }
    return d * Pair<double>{r.temperature.inverse, r.temperature.inverse_lo};
}
template <bool across, bool of_log>
[[gnu::noinline]] void precise_pulled(const Rows<double>& r, std::ptrdiff_t j, Pullback<of_log>* b, bool* ready, Pair<double>* value) {
    if (!*ready) *b = pullback<across, of_log, Tier::precise>(r);
    *ready = true;
    Pack<std::int64_t> lost;
    *value = pulled<of_log, Tier::precise>(*b, r, j, lost);
}

// The same in plain double, and the rows that lose digits by it.
template <bool across, bool of_log>
SIGMAX_INLINE Pack<std::int64_t> quick_pullback(Rows<double>& r, f64& m) {
    const Quick<across> q = quick_terms<across>(r, [&](std::ptrdiff_t j, f64, f64 p) SIGMAX_LAMBDA { p.store(r.y.at(j)); });
    m = q.m;
    Pullback<of_log> b;  // for cotangent
    Sum<double> leading = Sum<double>::zero(), sum = Sum<double>::zero(), sizes = Sum<double>::zero();
    if constexpr (!of_log) {
        for (std::ptrdiff_t j = 0; j < r.x.steps; ++j)
            leading.total.hi = leading.total.hi + select(q.is_first(j), f64::load(r.w.at(j)), 0.0);
        if constexpr (across) leading.gather();
    }
    b.leading = leading.total.hi;
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        Pair<double> g = cotangent(b, r, j);
        f64 term = of_log ? g.hi : g.hi * f64::load(r.y.at(j));
        sum.total.hi = sum.total.hi + term;
        sizes.total.hi = sizes.total.hi + abs(term);
    }
    if constexpr (across) {
        sum.gather();
        sizes.gather();
    }
    f64 part = 1.0 / (1.0 + q.rest), whole = sum.value().hi, size = sizes.value().hi;
    if constexpr (!of_log) {
        whole = whole * part;
        size = size * part;
    }
    Pack<std::int64_t> lost = std::int64_t{0};
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        f64 g = cotangent(b, r, j).hi, e = f64::load(r.y.at(j)), d;
        auto possible = f64::load(r.x.at(j)) != -std::numeric_limits<double>::infinity();
        if constexpr (of_log) {
            f64 kept = g * q.others(e, j), given = e * (whole - g);
            d = kept - given;
            lost = lost | (possible & (abs(d) < (abs(kept) + e * size) * cancelling<Tier::quick>));
        } else {
            f64 above = g - whole;
            d = e * above;
            lost = lost | (possible & (abs(above) < (abs(g) + size) * cancelling<Tier::quick>));
        }
        select(possible, d * (part * r.temperature.inverse), 0.0).store(r.y.at(j));
    }
    if constexpr (across) return any(lost) ? Pack<std::int64_t>(-1) : lost;
    return lost;
}

template <bool across, bool of_log>
SIGMAX_INLINE f64 pullback_kernel(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Pack<std::int64_t> slowly = std::int64_t{-1};  // rows, which do not depend on one another in this either
    f64 m;
    if (r.narrow) slowly = quick_pullback<across, of_log>(r, m);
    if (!any(slowly)) return m;
    const Pullback<of_log> b = pullback<across, of_log, Tier::exact>(r);
    Pullback<of_log> again;
    bool ready = false;
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        Pack<std::int64_t> lost;
        Pair<double> d = pulled<of_log, Tier::exact>(b, r, j, lost);
        if (any(lost & slowly)) {
            Pair<double> better;
            precise_pulled<across, of_log>(r, j, &again, &ready, &better);
            d = select(lost, better, d);
        }
        auto possible = f64::load(r.x.at(j)) != -infinity;
        f64 value = select(possible, d.hi * 0x1p-512, 0.0);
        if (r.narrow) value = select(slowly, value, f64::load(r.y.at(j)));
        value.store(r.y.at(j));
    }
    return b.c.m;
}
