// The cross-entropy of a softmax with a label or with probabilities, and its gradient by the scores.
//
//     loss = sum of q_k (log(1 + S) - z_k), no term negative      d loss / d x_k = (p_k - q_k) / T for labels that sum to 1,
//
// in general (p_k (Q - q_k) - q_k (1 - p_k)) / T with Q the sum of q, which cancels only where p_k and q_k come close: there it is done
// again with 100 bits. Included once per level, hence no include guard.

// The probability that the label gives each class: 1 for the class it names, or its own probabilities; `smoothing` is taken
// from them and spread evenly over the possible classes.
SIGMAX_INLINE Pack<std::int64_t> is_possible(f64 x) { return x != -std::numeric_limits<double>::infinity(); }
template <bool labelled>
struct Target {
    Pair<double> kept, spread;
    SIGMAX_INLINE explicit Target(const Rows<double>& r) : kept(fast_two_sum(f64(1), -r.smoothing)) {
        Sums possible;
        for (std::ptrdiff_t i = 0; i < r.x.count; ++i) possible[r.strand(i)].add_plainly(select(is_possible(r.x[i]), 1.0, f64(0)));
        spread = divide(one_term(r.smoothing), one_term(possible.total(r.flat).total.hi));
    }
    SIGMAX_INLINE Pair<double> of(const Rows<double>& r, std::ptrdiff_t i) const {
        const Pair<double> nothing = one_term(f64(0));
        Pair<double> own;
        if constexpr (labelled)
            own = select(r.classes(i) == r.label, kept, nothing);
        else
            own = kept * one_term(r.w[i]);
        return own + select(is_possible(r.x[i]), spread, nothing);
    }
};

// What a gradient is made of: own (Q - q) - others q, over 1 + S, times 2^512.
SIGMAX_INLINE Pair<double> slope_of(const Contest& c, const Parts& p, Pair<double> q, Pair<double> all) {
    return divide(p.own * (all - q) - p.others * q, c.all);
}
SIGMAX_RARE Pair<double> slope_again(const Rows<double>& r, std::ptrdiff_t i, const Pair<double>& q, const Pair<double>& all,
                                     Contest& again, bool& ready) {
    if (!ready) again = contest<100>(r);
    ready = true;
    return slope_of(again, parts_of<100>(again, r, i), q, all);
}

// ---- class numbers as labels, at temperature 1, not smoothed: in the type of the scores, by the sum of log_softmax.hpp ----
//
//     loss = (m - x_y) + log1p(S)      d loss / d x_k = scale_k (1 + g_k) / sum, rounded once, as in softmax.hpp;
//                                      of the label -(the others' sum) / sum
//
// The loop over the classes does not ask which of them is the label: its score is fetched, and its slope put in, a row at a time.

template <bool flat, bool with_gradient, class T, int n>
SIGMAX_INLINE Pack<T, n> quick_cross_entropy(Rows<T, n>& r) {
    using P = Pack<T, n>;
    constexpr int strands = flat ? lanes / n : 1;
    constexpr T infinity = std::numeric_limits<T>::infinity();
    const Scores<T, n> x = r.x, y = r.y;
    const Temperature<T, n> unit{};
    const P m = maximum<flat>(x);
    const Named<flat, T, n> named(r.label, x.count);
    const P own = named.of(x);
    const auto shift = Shift<T, n>::template to<false>(m, unit);
    Rest<T, n> rest[strands];
    in_blocks<flat>(x, RowConstants<T>::block, [&](int s, std::ptrdiff_t first, std::ptrdiff_t end) SIGMAX_LAMBDA {
        Rest<T, n> part = rest[s];
        walk<flat>(x, y, first, end, strands, [&](T* score, T* result, std::ptrdiff_t i) SIGMAX_LAMBDA {
            if constexpr (!flat) x.fetch(i);
            const P z = P::load(score);
            const Part<T, n> p = shift.template part<false>(z, unit);
            if constexpr (with_gradient) {
                p.g.store(result);
                if constexpr (!flat) p.scale.store(score);
            }
            part.add(z, m, shift, p);
        });
        part.end_of_block();
        rest[s] = part;
    });
    if constexpr (flat) rest[0] = joined(rest);

    const Pack<double, n> apart = convert<double>(m) - convert<double>(own);
    r.results[0] = convert<T>(apart + rest[0].template log<false>(m, shift, unit));
    if constexpr (!with_gradient) {
        return m;
    } else {
        auto sum_of = [](Part<T, n> p) SIGMAX_LAMBDA { return fast_two_sum(p.scale, p.scale * p.g); };
        const Pair<T, n> largest = sum_of(shift.template part<false>(m, unit)), others = rest[0].sum.value();
        const Pair<T, n> all = others + largest * one_term(rest[0].ties), label = sum_of(shift.template part<false>(own, unit));
        share_out<flat, false>(x, y, shift, Share<T, n>(all), unit);
        const Pair<T, n> against = select(own == m, others + largest * one_term(rest[0].ties - T(1)), all - label);
        named.put(select(own == -infinity, T(0), -divide(against, all).hi), y);
        return select(all.hi == all.hi, m, infinity);  // a row with a NaN is a matter of limits.hpp
    }
}

// The loss of rows with a term q (m - x) / T whose exponent is beyond the doubles: a small q may make a number of it. In units of 2^850, in
// which the exponents of scores so far apart (by 2^124 at least, because T is 2^-900 at least) are normal numbers.
template <bool labelled>
SIGMAX_RARE f64 distant_loss(const Rows<double>& r, const Target<labelled>& target, const f64& m, const Pair<double>& rest) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), unit = 0x1p-850;
    Sums loss, endless;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        const f64 x = r.x[i];
        Pair<double> q = target.of(r, i), z = exponent_of(x, m, r.temperature);
        auto unasked = q.hi == 0.0, far = z.hi == -infinity;
        Pair<double> near = q * (rest - select(unasked | far, one_term(f64(0)), z)) * f64(unit);
        Pair<double> apart = select(far & is_possible(x), two_sum(m * f64(0x1p-1000), x * f64(-0x1p-1000)), one_term(f64(0)));
        const Pair<double> part = q * f64(0x1p150), distance = divided(apart, r.temperature);
        Pair<double> term = select(far, part * distance, near);
        auto lost = far & ((is_possible(x) == std::int64_t(0)) | (abs(part.hi * distance.hi) == infinity));
        const int strand = r.strand(i);
        loss[strand].add(select(unasked | lost, one_term(f64(0)), term));
        endless[strand].add_plainly(select(lost & (q.hi != 0.0), q.hi * infinity, f64(0)));
    }
    const f64 whole = endless.total(r.flat).total.hi;  // of factors, which need not be probabilities, of both signs: not a number
    return select(whole == 0.0, loss.total(r.flat).value().hi * f64(1 / unit), whole);
}

template <bool labelled, bool with_gradient>
SIGMAX_SHARED f64 cross_entropy_kernel(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const Contest c = contest<60>(r);
    const Target<labelled> target(r);
    const Pair<double> rest = shared_log1p<60>(c.s * f64(0x1p-512));
    Sums loss, whole, endless;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        Pair<double> q = target.of(r, i), z = exponent_of(r.x[i], c.m, r.temperature);
        auto unasked = q.hi == 0.0, far = (z.hi == -infinity) & (q.hi != 0.0);
        Pair<double> term = q * (rest - select(unasked | far, one_term(f64(0)), z));
        const int strand = r.strand(i);
        loss[strand].add(select(unasked | far, one_term(f64(0)), term));
        whole[strand].add(q);
        endless[strand].add_plainly(select(far, 1.0, f64(0)));
    }
    const Sum<double> found = loss.total(r.flat);
    r.results[0] = select(c.s.hi == c.s.hi, found.value().hi, c.s.hi);  // a row with a NaN, whose label may ask for no number of it
    // not a number, where parts of both signs were infinite
    auto beyond = (abs(found.total.hi) < infinity) == std::int64_t(0);
    auto distant = ((endless.total(r.flat).total.hi > 0.0) | beyond) & (c.s.hi == c.s.hi);
    if (any(distant)) r.results[0] = select(distant, distant_loss(r, target, c.m, rest), r.results[0]);
    if constexpr (with_gradient) {
        const Pair<double> all = whole.total(r.flat).value();
        const double part = 0x1p512 * (r.to_narrow ? lost_of_60_to_narrow : lost_of_60);
        Contest again;
        bool ready = false;
        for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
            Pair<double> q = target.of(r, i), d = slope_of(c, parts_of<60>(c, r, i), q, all);
            auto close = abs(d.hi) < q.hi * part;
            if (any(close)) d = select(close, slope_again(r, i, q, all, again, ready), d);
            f64 value = select(is_possible(r.x[i]), over_temperature(d, r.temperature), 0.0);
            value.store(r.y.at(i));
        }
    }
    return c.m;
}
