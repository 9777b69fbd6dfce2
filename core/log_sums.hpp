// log_softmax and logsumexp where the digits of T are not enough: with plain doubles for floats, and with 100 bits for a logsumexp
// near 0, where the maximum and log1p(S) of log_rows.hpp cancel. And logsumexp with weights.
// Included once per level, hence no include guard.

struct LogSum {
    f64 m;              // the largest score
    Pair<double> rest;  // log of the sum of e^((x - m) / T)
};

template <bool across, bool scaled, Tier tier, class X>
SIGMAX_INLINE LogSum log_sum(Scores<X> x, const Temperature<double>& temperature) {
    using Index = Pack<std::int64_t>;
    constexpr bool exact = tier == Tier::precise;
    f64 m = -std::numeric_limits<double>::infinity();
    Index largest = std::int64_t{-1};  // the vector that holds the lane's first maximum
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        f64 score = load_as<double>(x.at(j));
        auto above = score > m;
        m = select(above, score, m);
        largest = select(above, Index(j), largest);
    }
    if constexpr (across) {
        double v[lanes], top = tree_max(m);
        std::int64_t index[lanes];
        m.store(v);
        largest.store(index);
        bool found = false;
        for (int i = 0; i < lanes; ++i) {
            if (found || v[i] != top) index[i] = -1;
            found = found || v[i] == top;
        }
        largest = Index::load(index);
        m = top;
    }

    constexpr int offset = 512;
    const f64 magic = magic_below<offset>(f64(ExpConstants<double>::magic));
    f64 lowest = (scaled ? temperature.value : f64(1)) * -reach;
    Sum<double> sum = Sum<double>::zero();
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        if constexpr (!across && sizeof(X) == 8) x.fetch(j);
        Pair<double> z = difference<exact>(load_as<double>(x.at(j)), m);
        auto lost = z.hi < lowest;
        z = divided<scaled>({select(lost, lowest, z.hi), select(lost, 0.0, z.lo)}, temperature);
        auto left_out = lost | (largest == Index(j));
        if constexpr (exact) {
            ScaledExp e = scaled_exp<tier>(z);
            f64 power = select(left_out, 0.0, power_of_two(e.t, offset));
            sum.add(e.m.hi * power, e.m.lo * power);
        } else {
            Exp<double> e = exp_at(z.hi, magic, z.lo);
            f64 scale = select(left_out, 0.0, scale_of(e.t));
            sum.total.hi = sum.total.hi + fma(scale, e.g, scale);
        }
    }
    if constexpr (across) sum.gather();
    return {m, log1p_of<tier>(sum.value() * f64(0x1p-512))};
}

// Where |a + b| is a small part of |a|: the digits of a and b are not enough.
SIGMAX_INLINE Pack<std::int64_t> cancels(f64 a, f64 b, double part) { return abs(a + b) < abs(a) * part; }
SIGMAX_INLINE f64 joined(const LogSum& sum) {
    Pair<double> l = two_sum(sum.m, sum.rest.hi);
    return l.hi + (l.lo + sum.rest.lo);
}
template <bool across, class X>
[[gnu::noinline]] f64 precise_logsumexp(const Scores<X>& x, const Pack<std::int64_t>& again) {
    LogSum sum = log_sum<across, false, Tier::precise>(x, Temperature<double>{});
    f64 value = joined(sum);
    auto hopeless = again & cancels(sum.m, sum.rest.hi, hopeless_part);
    return any(hopeless) ? by_hand<across>(x, {}, hopeless, f64(0), f64(1), Pack<std::int64_t>(-1), value) : value;
}

template <bool across>
[[gnu::noinline, gnu::cold]] f64 double_logsumexp(const Scores<float>& x) {
    LogSum sum = log_sum<across, false, Tier::quick>(x, Temperature<double>{});
    f64 value = joined(sum);
    auto again = cancels(sum.m, sum.rest.hi, cancelling<Tier::quick>);
    return any(again) ? select(again, precise_logsumexp<across>(x, again), value) : value;
}

// ---- log |sum of w_j e^(x_j)|, and its sign ----

// A weight as mantissa 2^exponent, 1 <= |mantissa| < 2; the exponent of 0 is -inf.
struct Weight {
    f64 mantissa, exponent;
};
SIGMAX_INLINE Weight weight_of(f64 w) {
    constexpr std::int64_t one = std::int64_t{1} << 52;
    auto zero = w == 0.0, subnormal = abs(w) < 0x1p-1022;
    f64 normal = w * select(subnormal, 0x1p100, f64(1));
    auto field = bits(normal) & (2047 * one);
    f64 exponent = from_bits<double>(shift_right_logical<52>(field) | std::int64_t{0x4330000000000000}) - (0x1p52 + 1023);
    f64 mantissa = from_bits<double>((bits(normal) & ~(2047 * one)) | (1023 * one));
    exponent = exponent - select(subnormal, 100.0, f64(0));
    return {select(zero, 0.0, select(w != w, w, mantissa)), select(zero, -std::numeric_limits<double>::infinity(), exponent)};
}

// The term that is largest up to a factor of two leads: m + E ln 2 + log |M| + log |1 + R|, where R is the sum of the others in
// units of the leading one. Always 100 bits, because the signs may make R anything.
template <bool across>
SIGMAX_INLINE f64 weighted_logsumexp_kernel(Rows<double>& r) {
    using Index = Pack<std::int64_t>;
    constexpr double infinity = std::numeric_limits<double>::infinity(), ln2 = 0x1.62e42fefa39efp-1;
    f64 key = -infinity, m = 0, top = -infinity;
    Weight lead = {f64(0), f64(0)};
    Index leading = std::int64_t{-1};
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        f64 score = f64::load(r.x.at(j));
        Weight w = weight_of(f64::load(r.w.at(j)));
        score = select(w.exponent == -infinity, -infinity, score);
        top = max(score, top);
        f64 size = w.exponent * ln2 + score;
        auto above = size > key;
        key = select(above, size, key);
        m = select(above, score, m);
        lead = {select(above, w.mantissa, lead.mantissa), select(above, w.exponent, lead.exponent)};
        leading = select(above, Index(j), leading);
    }
    if constexpr (across) {
        double keys[lanes], scores[lanes], mantissas[lanes], exponents[lanes];
        std::int64_t index[lanes];
        key.store(keys);
        m.store(scores);
        lead.mantissa.store(mantissas);
        lead.exponent.store(exponents);
        leading.store(index);
        int best = 0;
        for (int i = 1; i < lanes; ++i)
            if (keys[i] > keys[best]) best = i;
        for (int i = 0; i < lanes; ++i)
            if (i != best) index[i] = -1;
        m = scores[best];
        lead = {f64(mantissas[best]), f64(exponents[best])};
        leading = Index::load(index);
        top = tree_max(top);
    }

    Sum<double> sum = Sum<double>::zero();
    for (std::ptrdiff_t j = 0; j < r.x.steps; ++j) {
        f64 score = f64::load(r.x.at(j));
        Weight w = weight_of(f64::load(r.w.at(j)));
        Pair<double> z = two_sum(score, -m);
        f64 more = w.exponent - lead.exponent;
        auto lost = (more * ln2 + z.hi < -reach) | (w.exponent == -infinity);
        ScaledExp e = exp_precise({select(lost, 0.0, z.hi), select(lost, 0.0, z.lo)});
        auto left_out = lost | (leading == Index(j));
        f64 power = power_of_two(e.t + select(left_out, 0.0, more), 512);
        Pair<double> term = e.m * Pair<double>{w.mantissa, f64(0)} * select(left_out, 0.0, power);
        sum.add(term.hi, term.lo);
    }
    if constexpr (across) sum.gather();
    Pair<double> rest = divide(sum.value() * f64(0x1p-512), {lead.mantissa, f64(0)});
    // one more step of the division: its quotient has 100 bits then
    Pair<double> left = sum.value() * f64(0x1p-512) - rest * Pair<double>{lead.mantissa, f64(0)};
    rest = fast_two_sum(rest.hi, rest.lo + left.hi / lead.mantissa);

    auto negative = rest.hi < -1.0;
    Pair<double> whole = Pair<double>{1, 0} + rest;
    f64 sign = select(lead.mantissa < 0.0, -1.0, f64(1)) * select(whole.hi < 0.0, -1.0, f64(1));
    Pair<double> logs = select(negative | (rest.hi < -0.5),
                               log_of_ratio<Tier::precise>({abs(whole.hi), select(whole.hi < 0.0, -whole.lo, whole.lo)}, {1, 0}),
                               log1p_of<Tier::precise>(rest));
    Pair<double> size = log_of_ratio<Tier::precise>(one_term(abs(lead.mantissa)), {1, 0});
    Pair<double> scale = two_product(lead.exponent, f64(ln2));
    scale.lo = fma(lead.exponent, ExactExpConstants::ln2_lo, scale.lo);
    Pair<double> l = (one_term(m) + scale) + (size + logs);
    auto gone = whole.hi == 0.0;
    f64 value = select(gone, -infinity, l.hi + l.lo);
    auto hopeless = (abs(value) < (abs(m) + abs(scale.hi) + abs(size.hi) + abs(logs.hi)) * hopeless_part);
    if (any(hopeless)) value = by_hand<across>(r.x, r.w, hopeless, f64(0), f64(1), Index(-1), value);
    r.results[0] = select(sum.value().hi != sum.value().hi, sum.value().hi, value);
    r.results[1] = select(gone, 0.0, select(value != value, value, sign));
    return top;
}
