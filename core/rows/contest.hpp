// Each class against all the others: complements, the logit of a softmax; cross_entropy.hpp and pullbacks.hpp stand on it. Always
// in double.
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
    f64 first, second;         // the classes of the two largest scores
    Pair<double> gap;          // (m2 - m) / T
    Pair<double> s2, e, s;     // e and s times 2^512
    Pair<double> all;          // 1 + S
    Pack<std::int64_t> alone;  // there is one possible class only
};

struct TopTwo {
    f64 m, m2, first, second;
    SIGMAX_INLINE TopTwo() : m(-std::numeric_limits<double>::infinity()), m2(m), first(-1), second(-1) {}
    SIGMAX_INLINE TopTwo(f64 m, f64 m2, f64 first, f64 second) : m(m), m2(m2), first(first), second(second) {}
    SIGMAX_INLINE void see(f64 score, f64 number) {
        auto above = score > m, between = score > m2;
        second = select(above, first, select(between, number, second));
        m2 = select(above, m, select(between, score, m2));
        first = select(above, number, first);
        m = select(above, score, m);
    }
};
SIGMAX_SHARED TopTwo joined(const TopTwo* strands) {
    double m[lanes], m2[lanes], first[lanes], second[lanes];
    store_strands(strands, &TopTwo::m, m);
    store_strands(strands, &TopTwo::m2, m2);
    store_strands(strands, &TopTwo::first, first);
    store_strands(strands, &TopTwo::second, second);
    const int best = first_largest(m);
    int next = -1;
    double runner_up = m2[best];
    for (int i = 0; i < lanes; ++i)
        if (i != best && m[i] > runner_up) {
            runner_up = m[i];
            next = i;
        }
    return {m[best], runner_up, first[best], next == -1 ? second[best] : first[next]};
}

template <int digits>
SIGMAX_SHARED Contest contest(const Rows<double>& r) {
    const auto& temperature = r.temperature;
    const auto top = seen<TopTwo>(r.x, r.x.count, {r.flat});
    Contest c;
    c.m = top.m;
    c.first = top.first;
    c.second = top.second;
    c.alone = top.m2 == -std::numeric_limits<double>::infinity();
    c.m2 = select(c.alone, top.m, top.m2);

    f64 lowest = temperature.value * -reach;
    Sums sums;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        const f64 number = r.classes(i);
        Pair<double> z = two_sum(r.x[i], -c.m2);
        auto lost = z.hi < lowest;
        auto left_out = lost | (c.first == number) | (c.second == number);
        z = divided(Pair<double>{select(left_out, 0.0, z.hi), select(left_out, 0.0, z.lo)}, temperature);
        ScaledExp<double_lanes> e = shared_exp<digits>(z);
        sums[r.strand(i)].add(e.m * select(left_out, 0.0, power_of_two(e.t, 512)));
    }
    c.s2 = sums.total(r.flat).value() * f64(0x1p-512);

    c.gap = exponent_of(c.m2, c.m, temperature);
    auto far = c.gap.hi < -reach;
    ScaledExp<double_lanes> e = shared_exp<digits>(Pair<double>{select(far, -reach, c.gap.hi), select(far, 0.0, c.gap.lo)});
    c.e = e.m * select(far | c.alone, 0.0, power_of_two(e.t, 512));
    c.s = c.e * (one_term(f64(1)) + c.s2);
    c.all = one_term(f64(1)) + c.s * f64(0x1p-512);
    return c;
}

// One class: its own part and that of the others, times 2^512; what the others have beyond the largest class; (x - m) / T.
struct Parts {
    Pair<double> own, others, beyond, z;
    Pack<std::int64_t> is_first;
};
template <int digits>
SIGMAX_SHARED Parts parts_of(const Contest& c, const Rows<double>& r, std::ptrdiff_t i) {
    const auto& temperature = r.temperature;
    const f64 x = r.x[i];
    Parts p;
    p.is_first = c.first == r.classes(i);
    Pair<double> z = two_sum(x, -c.m2), one = one_term(f64(0x1p512));
    auto lost = z.hi < temperature.value * -reach, at_rest = lost | p.is_first;
    z = divided(Pair<double>{select(at_rest, 0.0, z.hi), select(at_rest, 0.0, z.lo)}, temperature);
    ScaledExp<double_lanes> e = shared_exp<digits>(z);
    Pair<double> e_k = e.m * select(lost, 0.0, power_of_two(e.t, 256));  // times 2^256: e^-800 is then a normal number
    Pair<double> beyond = c.e * ((one_term(f64(1)) - e_k * f64(0x1p-256)) + c.s2);
    p.own = select(p.is_first, one, c.e * e_k * f64(0x1p-256));
    p.others = select(p.is_first, c.s, one + beyond);
    p.beyond = beyond * f64(0x1p-512);
    p.z = exponent_of(x, c.m, temperature);
    return p;
}

// What is kept times 2^512, divided by the temperature: neither may make the other too large or too small.
SIGMAX_INLINE f64 over_temperature(Pair<double> d, const Temperature<double>& temperature) {
    auto cold = temperature.value < 1.0;
    const f64 before = select(cold, 0x1p-512, f64(1)), after = select(cold, 1.0, f64(0x1p-512));
    return (d * Pair<double>{temperature.inverse * before, temperature.inverse_lo * before}).hi * after;
}

SIGMAX_SHARED f64 softmax_complement_kernel(Rows<double>& r) {
    const Contest c = contest<60>(r);
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) (divide(parts_of<60>(c, r, i).others, c.all).hi * 0x1p-512).store(r.y.at(i));
    return c.m;
}

// log(1 - p) = -log1p(own / others), unless the class is more likely than all others: then log(others) - log(1 + S).
SIGMAX_SHARED f64 log_softmax_complement_kernel(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const Contest c = contest<60>(r);
    Pair<double> likely = c.gap + shared_log1p<60>(c.s2) - shared_log1p<60>(c.s * f64(0x1p-512));
    f64 of_first = select(c.alone | (c.gap.hi == -infinity), -infinity, likely.hi);
    auto ahead = c.s.hi < 0x1p512;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        Parts p = parts_of<60>(c, r, i);
        Pair<double> l = shared_log1p<60>(divide(p.own, p.others));
        select(p.is_first & ahead, of_first, -(l.hi + l.lo)).store(r.y.at(i));
    }
    return c.m;
}

// The logit of the largest class.
template <int digits>
SIGMAX_INLINE f64 leading_logit(const Contest& c) {
    return -(c.gap + shared_log1p<digits>(c.s2)).hi;
}
SIGMAX_RARE f64 leading_logit_again(const Rows<double>& r, const Pack<std::int64_t>& again, const f64& value) {
    const Contest c = contest<100>(r);
    f64 better = select(again, leading_logit<100>(c), value);
    auto lost = again & lost_by_100(better, abs(c.gap.hi));
    if (!any(lost)) return better;
    return -by_longhand<double>(doubled(r.x, r.flat), nullptr, lost, c.m, r.temperature.value, c.first, -better);
}

SIGMAX_SHARED f64 logit_softmax_kernel(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const Contest c = contest<60>(r);
    f64 leading = select(c.gap.hi == -infinity, infinity, leading_logit<60>(c));
    auto again = abs(leading) < abs(c.gap.hi) * lost_of_60;
    if (any(again)) leading = leading_logit_again(r, again, leading);
    leading = select(c.alone & (c.s2.hi == c.s2.hi), infinity, leading);  // a NaN, which is no largest score, spoils the sum
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        Parts p = parts_of<60>(c, r, i);
        Pair<double> rest = shared_log1p<60>(p.beyond), l = without_nan(two_sum(p.z.hi, -rest.hi));
        select(p.is_first, leading, l.hi + (l.lo + (p.z.lo - rest.lo))).store(r.y.at(i));
    }
    return c.m;
}
