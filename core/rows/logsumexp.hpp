// logsumexp where the digits of its kernel are not enough because the maximum and log1p(S) of log_softmax.hpp cancel: with plain doubles
// for floats, with 60 bits for doubles, and near 0 with 100. And logsumexp with weights.
// Included once per level, hence no include guard.

// A row, or as many as doubles fit a register: scores of any width as vectors of doubles, `pitch` scores apart.
template <class X>
struct Doubled {
    const X *data, *tail;
    std::ptrdiff_t whole, count, pitch;
    bool flat;
    SIGMAX_INLINE const X* at(std::ptrdiff_t i) const { return i < whole ? data + i * pitch : tail + (i - whole) * pitch; }
    SIGMAX_INLINE f64 operator[](std::ptrdiff_t i) const { return load_as<double, double_lanes>(at(i)); }
};

SIGMAX_INLINE Doubled<double> doubled(const Scores<double>& x, bool flat) { return {x.data, x.tail, x.whole, x.count, double_lanes, flat}; }

// Where |a + b| is a small part of |a|: the digits of a and b are not enough.
template <int n>
SIGMAX_INLINE Pack<std::int64_t, n> cancels(Pack<double, n> a, Pack<double, n> b, double part) {
    return abs(a + b) < abs(a) * part;
}

// For the lanes in `which`: log |sum of e^((x - shift) / temperature)|, times weights w unless w is null, over the row without the
// class `left_out`. For the others: `value`.
template <class X>
SIGMAX_RARE f64 by_longhand(const Doubled<X>& x, const Doubled<double>* w, const Pack<std::int64_t>& which, const f64& shift,
                            const f64& temperature, const f64& left_out, const f64& value) {
    std::int64_t wanted[double_lanes];
    double result[double_lanes], shifts[double_lanes], temperatures[double_lanes], skipped[double_lanes];
    which.store(wanted);
    value.store(result);
    shift.store(shifts);
    temperature.store(temperatures);
    left_out.store(skipped);
    // 0 where the digits are too few
    auto log = [&]<int limbs>(Longhand<limbs> sum, int lane) {
        for (std::ptrdiff_t i = 0; i < x.count; ++i)
            for (int l = x.flat ? 0 : lane; l < (x.flat ? double_lanes : lane + 1); ++l) {
                const double number = static_cast<double>(x.flat ? i * double_lanes + l : i);
                if (number != skipped[lane]) sum.add(x.at(i)[l], w ? w->at(i)[l] : 1);
            }
        const double log = sum.log();
        return std::fabs(log) < sum.least() ? 0 : log;
    };
    for (int lane = 0; lane < (x.flat ? 1 : double_lanes); ++lane) {
        if (!wanted[lane]) continue;
        double found = log(Longhand<4>(shifts[lane], temperatures[lane]), lane);
        if (found == 0) found = log(Longhand<8>(shifts[lane], temperatures[lane]), lane);
        if (found == 0) found = log(Longhand<20>(shifts[lane], temperatures[lane]), lane);
        if (found == found) result[lane] = found;
    }
    return x.flat ? f64(result[0]) : f64::load(result);
}

struct LogSum {
    f64 m;              // the largest score
    Pair<double> rest;  // log of the sum of e^(x - m)
};

// The first of the largest scores: its value and its class, of a flat row in every lane.
struct Largest {
    f64 score, number;
    SIGMAX_INLINE Largest(f64 x = -std::numeric_limits<double>::infinity(), f64 its_number = -1) : score(x), number(its_number) {}
    SIGMAX_INLINE void see(f64 x, f64 its_number) {
        auto above = x > score;
        number = select(above, its_number, number);
        score = select(above, x, score);
    }
};
SIGMAX_SHARED Largest joined(const Largest* strands) {
    double score[lanes], number[lanes];
    store_strands(strands, &Largest::score, score);
    store_strands(strands, &Largest::number, number);
    const int best = first_largest(score);
    return {score[best], number[best]};
}

template <int digits, class X>
SIGMAX_SHARED LogSum log_sum(const Doubled<X>& x) {
    const Lie<double> lie{x.flat};
    const auto largest = seen<Largest>(x, x.count, lie);

    constexpr int offset = 512;
    const f64 magic = magic_below<offset>(f64(ExpConstants<double>::magic));
    Sums sums;
    for (std::ptrdiff_t i = 0; i < x.count; ++i) {
        Pair<double> z = digits == 52 ? one_term(x[i] - largest.score) : two_sum(x[i], -largest.score);
        auto lost = z.hi < -reach, left_out = lost | (largest.number == lie.classes(i));
        z = {select(lost, -reach, z.hi), select(lost, 0.0, z.lo)};
        Sum<double>& sum = sums[lie.strand(i)];
        if constexpr (digits != 52) {
            ScaledExp<double_lanes> e = exp_to<digits>(z);
            sum.add(e.m * select(left_out, 0.0, power_of_two(e.t, offset)));
        } else {
            Exp<double> e = exp_at(z.hi, magic, z.lo);
            f64 scale = select(left_out, 0.0, scale_of(e));
            sum.add_plainly(fma(scale, e.g, scale));
        }
    }
    return {largest.score, log1p_to<digits == 52 ? 60 : digits>(sums.total(x.flat).value() * f64(0x1p-512))};
}
SIGMAX_INLINE f64 joined(const LogSum& sum) {
    Pair<double> l = two_sum(sum.m, sum.rest.hi);
    return l.hi + (l.lo + sum.rest.lo);
}

template <int digits, class X>
SIGMAX_SHARED f64 logsumexp_of_doubled(const Doubled<X>& x, const Pack<std::int64_t>& again, const f64& value) {
    LogSum sum = log_sum<digits>(x);
    f64 found = select(again, joined(sum), value);
    if constexpr (digits == 100) {
        auto lost = again & lost_by_100(sum.m + sum.rest.hi, abs(sum.m));
        return any(lost) ? by_longhand<X>(x, nullptr, lost, f64(0), f64(1), f64(-1), found) : found;
    } else {
        auto lost = again & cancels(sum.m, sum.rest.hi, digits == 60 ? 0x1p-4 : lost_of_52);
        return any(lost) ? logsumexp_of_doubled<100>(x, lost, found) : found;
    }
}
// The rows `again` with more digits, to 52 bits, 60 or 100; the others keep their value.
template <int digits, class X, int n>
SIGMAX_INLINE Pack<double, n> logsumexp_again(const Scores<X, n>& x, Pack<std::int64_t, n> again, Pack<double, n> value, bool flat) {
    constexpr int parts = n / double_lanes;
    for (int h = 0; h < (flat ? 1 : parts); ++h) {
        Doubled<X> part = {x.data, x.tail, x.whole * parts, x.count * parts, double_lanes, true};
        if (!flat) part = {x.data + h * double_lanes, x.tail, x.whole, x.count, n, false};
        Pack<std::int64_t> which;
        f64 old;
        which.v[0] = again.v[h];
        if (!any(which)) continue;
        old.v[0] = value.v[h];
        const f64 found = logsumexp_of_doubled<digits>(part, which, old);
        value.v[h] = found.v[0];
        if (flat)
            for (auto& v : value.v) v = found.v[0];
    }
    return value;
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
struct Leading {
    f64 key, m, mantissa, exponent, number;
    SIGMAX_INLINE Leading() : key(-std::numeric_limits<double>::infinity()), m(0), mantissa(0), exponent(0), number(-1) {}
    SIGMAX_INLINE Leading(f64 key, f64 m, f64 mantissa, f64 exponent, f64 number)
        : key(key), m(m), mantissa(mantissa), exponent(exponent), number(number) {}
};
SIGMAX_SHARED Leading joined(const Leading* strands) {
    double key[lanes], m[lanes], mantissa[lanes], exponent[lanes], number[lanes];
    store_strands(strands, &Leading::key, key);
    store_strands(strands, &Leading::m, m);
    store_strands(strands, &Leading::mantissa, mantissa);
    store_strands(strands, &Leading::exponent, exponent);
    store_strands(strands, &Leading::number, number);
    const int best = first_largest(key);
    return {key[best], m[best], mantissa[best], exponent[best], number[best]};
}

// The leading term of the scores below `ceiling` (all, where it is NaN), and the largest of those that count.
struct LeadingTerm {
    Leading lead;
    f64 top;
};
SIGMAX_SHARED LeadingTerm leading_term(const Rows<double>& r, const f64& ceiling) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), ln2 = 0x1.62e42fefa39efp-1;
    Leading found[Rows<double>::strands];
    f64 tops[Rows<double>::strands];
    for (auto& top : tops) top = -infinity;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        Leading& lead = found[r.strand(i)];
        f64& top = tops[r.strand(i)];
        Weight w = weight_of(r.w[i]);
        f64 score = select((w.exponent == -infinity) | (r.x[i] >= ceiling), -infinity, r.x[i]), size = w.exponent * ln2 + score;
        top = max(score, top);
        auto above = size > lead.key;
        lead = {select(above, size, lead.key), select(above, score, lead.m), select(above, w.mantissa, lead.mantissa),
                select(above, w.exponent, lead.exponent), select(above, r.classes(i), lead.number)};
    }
    return {r.flat ? joined(found) : found[0], r.flat ? joined(tops) : tops[0]};
}
// The others of those terms, in units of the leading one.
SIGMAX_SHARED Pair<double> other_terms(const Rows<double>& r, const Leading& lead, const f64& ceiling) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), ln2 = 0x1.62e42fefa39efp-1;
    Sums sums;
    for (std::ptrdiff_t i = 0; i < r.x.count; ++i) {
        Weight w = weight_of(r.w[i]);
        Pair<double> z = two_sum(r.x[i], -lead.m);
        f64 more = w.exponent - lead.exponent;
        auto lost = (more * ln2 + z.hi < -reach) | (w.exponent == -infinity) | (r.x[i] >= ceiling);
        ScaledExp<double_lanes> e = exp100(Pair<double>{select(lost, 0.0, z.hi), select(lost, 0.0, z.lo)});
        auto left_out = lost | (lead.number == r.classes(i));
        f64 power = power_of_two(e.t + select(left_out, 0.0, more), 512);
        sums[r.strand(i)].add(e.m * one_term(w.mantissa) * select(left_out, 0.0, power));
    }
    const Pair<double> sum = sums.total(r.flat).value() * f64(0x1p-512), mantissa = one_term(lead.mantissa);
    Pair<double> rest = divide(sum, mantissa);
    // one more step of the division: its quotient has 100 bits then
    Pair<double> left = sum - rest * mantissa;
    rest = fast_two_sum(rest.hi, rest.lo + left.hi / lead.mantissa);
    return select(lead.mantissa == 0.0, sum, rest);  // there is none
}

// Of the scores below `ceiling`. Returns the largest of those that count; `at` is where the terms were gone, all of them equal to the
// leading one up to their sign: what is left lies below.
SIGMAX_SHARED f64 weighted_logsumexp_below(Rows<double>& r, const f64& ceiling, f64& at) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), ln2 = 0x1.62e42fefa39efp-1;
    const auto [lead, top] = leading_term(r, ceiling);
    const Pair<double> rest = other_terms(r, lead, ceiling);
    auto negative = rest.hi < -1.0;
    Pair<double> whole = one_term(f64(1)) + rest;
    f64 sign = select(lead.mantissa < 0.0, -1.0, f64(1)) * select(whole.hi < 0.0, -1.0, f64(1));
    Pair<double> logs =
        select(negative | (rest.hi < -0.5),
               log100(Pair<double>{abs(whole.hi), select(whole.hi < 0.0, -whole.lo, whole.lo)}, one_term(f64(1))), log1p_to<100>(rest));
    Pair<double> size = log100(one_term(abs(lead.mantissa)), one_term(f64(1)));
    Pair<double> scale = two_product(lead.exponent, f64(ln2));
    scale.lo = fma(lead.exponent, Exp60Constants::ln2_lo, scale.lo);
    Pair<double> l = (one_term(lead.m) + scale) + (size + logs);
    auto gone = (whole.hi == 0.0) | (lead.key == -infinity);
    f64 value = select(gone, -infinity, l.hi + l.lo);
    const f64 parts = abs(lead.m) + abs(scale.hi) + abs(size.hi) + abs(logs.hi);
    auto lost = lost_by_100(value, parts) & (abs(value) < parts * 0x1p-4);
    if (any(lost)) {
        const Doubled<double> x = doubled(r.x, r.flat), w = doubled(r.w, r.flat);
        // scores below the last place of the longhand: the leading one is taken off, and comes back whole
        const f64 off = select(lost & (abs(lead.m) < 0x1p-64), lead.m, f64(0));
        value = by_longhand(x, &w, lost, off, f64(1), f64(-1), value - off) + off;
    }
    r.results[0] = select(rest.hi != rest.hi, rest.hi, value);
    r.results[1] = select(gone, 0.0, select(value != value, value, sign));
    at = select(gone & (lead.key > -infinity), lead.m, -infinity);
    return top;
}

SIGMAX_SHARED f64 weighted_logsumexp_kernel(Rows<double>& r) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    f64 at;
    const f64 top = weighted_logsumexp_below(r, f64(std::numeric_limits<double>::quiet_NaN()), at);
    while (any(at > -infinity)) {  // each time with a score less
        const f64 value = r.results[0], sign = r.results[1], ceiling = at;
        auto again = at > -infinity;
        weighted_logsumexp_below(r, ceiling, at);
        r.results[0] = select(again, r.results[0], value);
        r.results[1] = select(again, r.results[1], sign);
        at = select(again, at, -infinity);
    }
    return top;
}
