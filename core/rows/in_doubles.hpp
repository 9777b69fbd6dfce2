// Gradients and losses with soft labels, smoothing or a temperature, of floats and narrower: scores are read as they lie, and worked on in
// doubles.
//
// e^((x - m) / T) is right to 52 bits, and 0 in every narrow type from e^-600 on, also over a T of 2^-60 and times a g of 2^128. Sums are plain
// ones of 32 terms at a time, and these in two terms: right to 2^-48 of the terms' sizes. A result that is less than 2^-22 of its terms sends
// its row to the kernels with 60 and 100 bits (`again`). Included once per level, hence no include guard.

inline constexpr double lowest = -600, spare = 0x1p-22;
inline constexpr std::ptrdiff_t plain_terms = 32;

// Sums of a row, from those of its strands; S::members are those that it has.
template <class S, int strands>
SIGMAX_SHARED S joined_members(const S (&parts)[strands]) {
    S whole;
    for (auto member : S::members) {
        std::remove_cvref_t<decltype(whole.*member)> sums[strands];
        for (int s = 0; s < strands; ++s) sums[s] = parts[s].*member;
        whole.*member = joined(sums);
    }
    return whole;
}

// z = (x - m) / T, and e^z.
template <bool scaled, int n>
class Exponents {
public:
    using D = Pack<double, n>;
    SIGMAX_INLINE Exponents(Pack<float, n> m, const Temperature<float, n>& t)
        : m_(convert<double>(m)),
          inverse_(t.wide_inverse),
          inverse_lo_(t.wide_inverse_lo),
          lowest_(scaled ? lowest / inverse_ : D(lowest)) {}
    SIGMAX_INLINE D inverse() const { return inverse_; }
    SIGMAX_INLINE D apart(Pack<float, n> x) const { return convert<double>(x) - m_; }
    SIGMAX_INLINE D z(D apart) const { return scaled ? apart * inverse_ : apart; }
    SIGMAX_INLINE D exp(D apart) const {
        apart = max(lowest_, apart);
        if constexpr (!scaled) return exp52(apart);
        const D z = apart * inverse_;
        return exp52(z, fma(apart, inverse_, -z) + apart * inverse_lo_);
    }

private:
    D m_, inverse_, inverse_lo_, lowest_;
};

// ---- gradients ----

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
    static constexpr std::array members = {&PulledSums::terms, &PulledSums::size, &PulledSums::rest, &PulledSums::ones};
};

template <bool flat, bool scaled, bool of_log, int n>
SIGMAX_INLINE Pack<float, n> quick_pullback(Rows<float, n>& r) {
    using P = Pack<float, n>;
    using D = Pack<double, n>;
    constexpr int strands = flat ? lanes / n : 1;
    constexpr float infinity = std::numeric_limits<float>::infinity(), unlike = 0x1p127f;  // a g that is lost nowhere
    const Scores<float, n> x = r.x, w = r.w, y = r.y;
    double* const kept = r.kept;

    const Leader<n> leader = of_log ? Leader<n>(maximum<flat>(x), P(0)) : leader_of<flat>(x, w);
    const Exponents<scaled, n> exponents(leader.score, r.temperature);
    const D leading = convert<double>(leader.g), inverse = exponents.inverse();

    PulledSums<n> sums[strands];
    in_blocks<flat>(x, plain_terms, [&](int s, std::ptrdiff_t first, std::ptrdiff_t end) SIGMAX_LAMBDA {
        D terms(0), size(0), rest(0), ones(0);
        walk<flat>(x, w, y, first, end, strands, [&](const float* score, const float* g, const float*, std::ptrdiff_t i) SIGMAX_LAMBDA {
            const P z = P::load(score);
            const D e = exponents.exp(exponents.apart(z));
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
    if constexpr (flat) sums[0] = joined_members(sums);
    const D whole = sums[0].terms.value().hi, size = sums[0].size.total.hi, rest = sums[0].rest.value().hi;

    Pack<std::int64_t, n> lost = 0;
    if constexpr (of_log) {
        const D ones = sums[0].ones.total.hi, all = ones + rest, of_one = (ones - 1.0) + rest, share = inverse / all;
        walk<flat>(x, w, y, 0, x.count, 1, [&](const float* score, const float* g, float* result, std::ptrdiff_t i) SIGMAX_LAMBDA {
            auto possible = P::load(score) != -infinity;
            const D e = D::load(kept + i * n), own = convert<double>(select(possible, P::load(g), P(unlike)));
            const D held = own * select(e == 1.0, of_one, all - e), d = held - e * (whole - own);
            lost = lost | (abs(d) < (abs(held) + e * size) * spare);
            select(possible, convert<float>(d * share), P(0)).store(result);
        });
    } else {
        const D part = 1.0 / rest, mean = whole * part, share = part * inverse;
        D nearest = std::numeric_limits<double>::infinity();
        walk<flat>(x, w, y, 0, x.count, 1, [&](const float* score, const float* g, float* result, std::ptrdiff_t i) SIGMAX_LAMBDA {
            auto possible = P::load(score) != -infinity;
            const D above = (convert<double>(select(possible, P::load(g), P(unlike))) - leading) - mean;
            nearest = min(nearest, abs(above));
            select(possible, convert<float>((D::load(kept + i * n) * share) * above), P(0)).store(result);
        });
        lost = nearest < size * part * spare;
    }
    r.again = lost;
    return leader.score;
}

// ---- losses ----
//
//     loss = Q log(1 + S) - the sum of q_k z_k,   z_k = (x_k - m) / T,   q_k = (1 - s) own_k + s / (how many classes are possible)
//     d loss / d x_k = (p_k (Q - q_k) - q_k (1 - p_k)) / T,   Q the sum of q
//
// A label that asks for an impossible class, or is no probability, is a matter for the slow kernel.

// Of a row: z of the possible classes, times own_k too; own_k; how many are possible; e^z below 1 and how many of it are 1.
template <int n>
struct SoftSums {
    Sum<double, n> z, own_z, own, possible, rest, ones;
    SIGMAX_INLINE SoftSums() {}
    static constexpr std::array members = {&SoftSums::z,        &SoftSums::own_z, &SoftSums::own,
                                           &SoftSums::possible, &SoftSums::rest,  &SoftSums::ones};
};

template <bool flat, bool scaled, bool labelled, bool with_gradient, int n>
SIGMAX_INLINE Pack<float, n> soft_cross_entropy(Rows<float, n>& r) {
    using P = Pack<float, n>;
    using D = Pack<double, n>;
    constexpr int strands = flat ? lanes / n : 1;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const Scores<float, n> x = r.x, w = labelled ? r.x : r.w, y = with_gradient ? r.y : r.x;
    double* const kept = r.kept;
    const D unsmoothed = D(1) - r.smoothing;
    const P top = maximum<flat>(x);
    const Exponents<scaled, n> exponents(top, r.temperature);

    Pack<std::int32_t, n> amiss = 0;
    SoftSums<n> sums[strands];
    in_blocks<flat>(x, plain_terms, [&](int s, std::ptrdiff_t first, std::ptrdiff_t end) SIGMAX_LAMBDA {
        D all_z(0), own_z(0), own(0), rest(0), ones(0);
        P count(0);
        walk<flat>(x, w, y, first, end, strands, [&](const float* score, const float* label, const float*, std::ptrdiff_t i) SIGMAX_LAMBDA {
            const P raw = P::load(score);
            auto possible = raw != -infinity;
            const D apart = exponents.apart(raw), z = exponents.z(apart), e = exponents.exp(apart);
            if constexpr (with_gradient) e.store(kept + i * n);
            auto one = e == 1.0;
            const D near = select(z != -std::numeric_limits<double>::infinity(), z, 0.0);
            rest = rest + select(one, 0.0, e);
            ones = ones + select(one, 1.0, D(0));
            count = count + select(possible, 1.0f, P(0));
            all_z = all_z + near;
            if constexpr (!labelled) {
                const P given = P::load(label);
                amiss = amiss | ((given >= P(0)) ^ -1) | ((given > P(0)) & (possible ^ -1));
                const D q = convert<double>(given);
                own_z = fma(q, near, own_z);
                own = own + q;
            }
        });
        sums[s].rest.add(rest, D(0));
        sums[s].ones.add_plainly(ones);
        sums[s].possible.add_plainly(convert<double>(count));
        sums[s].z.add(all_z, D(0));
        sums[s].own_z.add(own_z, D(0));
        sums[s].own.add(own, D(0));
    });
    if constexpr (flat) sums[0] = joined_members(sums);
    const D rest = sums[0].rest.value().hi, ones = sums[0].ones.total.hi, spread = r.smoothing / sums[0].possible.total.hi;
    const Pair<double, n> all = two_sum(ones, rest), log = log57(all.hi, all.lo);

    const Named<flat, float, n> named(r.label, x.count);
    D own_z = sums[0].own_z.value().hi, own = sums[0].own.value().hi;
    Pack<std::int64_t, n> lost = 0;
    const D own_apart = exponents.apart(named.of(x));
    if constexpr (labelled) {
        own_z = exponents.z(own_apart);
        own = 1.0;
        lost = own_z == -std::numeric_limits<double>::infinity();
    } else {
        if (flat && any(amiss)) amiss = -1;  // in whatever lane
        lost = convert<double>(select(amiss, P(1), P(0))) != 0.0;
    }
    const D whole = fma(unsmoothed, own, r.smoothing);
    const D loss = whole * (log.hi + log.lo) - fma(unsmoothed, own_z, spread * sums[0].z.value().hi);
    r.results[0] = convert<float>(select(lost, std::numeric_limits<double>::quiet_NaN(), loss));

    if constexpr (with_gradient) {
        const D of_one = (ones - 1.0) + rest, share = exponents.inverse() / all.hi;
        const D some = labelled ? D(0) : whole * 0.0625;  // whole - q, if it is not known better, is right to 2^-53 of whole
        auto slope = [&](D e, D q, D others_q) SIGMAX_LAMBDA {
            const D held = q * select(e == 1.0, of_one, all.hi - e), d = e * others_q - held;
            lost = lost | (abs(d) < fma(e, abs(others_q) + some, held) * spare);
            return convert<float>(d * share);
        };
        walk<flat>(x, w, y, 0, x.count, 1, [&](const float* score, const float* label, float* result, std::ptrdiff_t i) SIGMAX_LAMBDA {
            D q = spread;
            if constexpr (!labelled) q = fma(unsmoothed, convert<double>(P::load(label)), spread);
            select(P::load(score) != -infinity, slope(D::load(kept + i * n), q, whole - q), P(0)).store(result);
        });
        if constexpr (labelled) named.put(slope(exponents.exp(own_apart), unsmoothed + spread, r.smoothing - spread), y);
    }
    r.again = lost;
    return top;
}
