// The functions over a row of class scores: softmax, log_softmax, logsumexp.
//
// One kernel serves narrow and wide rows. It walks over vectors of sixteen scores and keeps sixteen of everything:
//   - narrow rows (up to `narrow` classes) stand upright: lane l is row l, step k is class k. The tile is transposed in
//     registers on the way in and out, so there is no horizontal step at all.
//   - wide rows lie flat: sixteen neighbouring scores a vector, one row at a time; the sixteen sums are then added up in a
//     fixed tree. `across` is this case.
// Which of the two a row takes depends on its number of classes alone, so its bits do not depend on its neighbours.
//
// softmax. p_k = scale_k (1 + g_k) / sum, with the parts of exp.hpp; each entry is rounded once, at the end. The sum carries
// what each addition rounds away (nine classes at 1e-8 beside one at 1 are not lost). For floats 1 + g is right to a few
// hundredths of an ulp; the sum, whose low part takes 32 terms in single precision, to 0.72 in units of 2^-24: at most 1.4 ulp.
// Found among 7e7 entries: 0.73 ulp up to ten classes, 0.95 at 128, 1.05 for subnormal results. For doubles 1 + g and the sum
// are each off by at most 0.46 in units of 2^-53: at most 1.42 ulp.
//
// log_softmax and logsumexp. S = sum of e^(x_j - max) WITHOUT the largest term, then max + log1p(S) (Blanchard, Higham &
// Higham, IMA J. Numer. Anal. 41(4), 2021, algorithm 4.1): the log-probability of a confident class is -log1p(S), which
// keeps every digit where every peer returns 0. Computed in double for floats, in two terms for doubles.
//
// Scores far below the maximum are raised to `reach` below it, where they count for less than a rounding; -inf and masked
// scores arrive there too. Each kernel returns the maximum, so that its caller can see to the rows that have no finite one.
//
// Tried and lost: a rounded e^x in place of its parts (2 ulp and more); a float sum (6 ulp off for one dominant class in ten).
// Included once per level, hence no include guard.

template <class T>
struct RowConstants;
template <>
struct RowConstants<float> {
    static constexpr float reach = 106, far = 256;       // e^-106 < 2^-152; x - max is exact where |max| > far
    static constexpr int offset = 30;                    // keeps 2^(n - N) normal down to `reach`
    static constexpr float large = 0x1.8p23f * 0x1p13f;  // beside terms up to 2^(offset + 1)
    static constexpr std::ptrdiff_t block = 32;          // terms between two additions in full
};
template <>
struct RowConstants<double> {
    static constexpr double reach = 800, far = 2048;
    static constexpr int offset = 160;
    static constexpr double large = 0x1.8p52 * 0x1p115;
    static constexpr std::ptrdiff_t block = 64;
};

// Steps of sixteen scores (times `copies`), of one row or of as many rows; the last, incomplete ones stand in `tail`.
template <class T, int copies = 1>
struct Scores {
    static constexpr std::ptrdiff_t step = copies * lanes;
    T* data;
    T* tail;
    std::ptrdiff_t whole, steps;
    SIGMAX_INLINE T* at(std::ptrdiff_t j) const { return j < whole ? data + j * step : tail + (j - whole) * step; }
};

// 1/T in two terms and T, one per lane.
template <class T, int copies = 1>
struct Temperature {
    Pack<T, copies> inverse, inverse_lo, value;
    bool unit;
};

// ---- across the lanes: fixed trees ----

// join(i, i + n) for n = size/2, size/4 ... 1 and i < n: what is in 0 has met all others.
template <int size, class Join>
SIGMAX_INLINE void tree(Join join) {
    if constexpr (size > 1) {
#pragma GCC unroll 16
        for (int i = 0; i < size / 2; ++i) join(i, i + size / 2);
        tree<size / 2>(join);
    }
}

template <class T, int copies>
SIGMAX_INLINE T tree_max(Pack<T, copies> p) {
    T v[lanes * copies];
    p.store(v);
    tree<lanes * copies>([&](int i, int j) SIGMAX_LAMBDA { v[i] = v[i] > v[j] ? v[i] : v[j]; });
    return v[0];
}

// A sum in two terms, twice the digits of T.
template <class T, int copies = 1>
struct Sum {
    Pair<T, copies> total;
    SIGMAX_INLINE static Sum zero() { return {{Pack<T, copies>(0), Pack<T, copies>(0)}}; }
    SIGMAX_INLINE void add(Pack<T, copies> hi, Pack<T, copies> lo) {
        Pair<T, copies> s = two_sum(total.hi, hi);
        total = {s.hi, total.lo + (s.lo + lo)};
    }
    SIGMAX_INLINE void gather() {
        T hi[lanes], lo[lanes];
        total.hi.store(hi);
        total.lo.store(lo);
        tree<lanes>([&](int i, int j) SIGMAX_LAMBDA {
            T s = hi[i] + hi[j], t = s - hi[i];
            lo[i] += lo[j] + ((hi[i] - (s - t)) + (hi[j] - t));
            hi[i] = s;
        });
        total = {Pack<T, copies>(hi[0]), Pack<T, copies>(lo[0])};
    }
    SIGMAX_INLINE Pair<T, copies> value() const { return fast_two_sum(total.hi, total.lo); }
};

// ---- softmax ----

template <bool scaled, class T, int copies>
SIGMAX_INLINE Exp<T, copies> shifted_exp(Pack<T, copies> x, Pack<T, copies> lowest, Pack<T, copies> c,
                                         const Temperature<T, copies>& temperature) {
    Pack<T, copies> z = max(lowest, x - c);
    if constexpr (scaled) {
        Pair<T, copies> product = two_product(z, temperature.inverse);
        return exp_parts(product.hi, fma(z, temperature.inverse_lo, product.lo));
    } else {
        return exp_parts(z);
    }
}

// The terms of a softmax. Adding to `high`, which starts at a constant larger than all terms, loses nothing: what the
// addition rounds away is exact in `coarse`, and goes to `low`.
template <class T, int copies>
struct Terms {
    Pack<T, copies> high, low;
    SIGMAX_INLINE void clear() {
        high = RowConstants<T>::large;
        low = T(0);
    }
    // scale (1 + g); of several copies, one after the other if only one sum is kept
    template <int many>
    SIGMAX_INLINE void add(Pack<T, many> scale, Pack<T, many> g) {
        if constexpr (many == copies) {
            Pack<T, copies> next = high + (sizeof(T) == 4 ? scale : fma(scale, g, scale)), coarse = next - high;
            high = next;
            low = low + fma(scale, g, scale - coarse);
        } else {
            for (int i = 0; i < many; ++i) add(copy_of(scale, i), copy_of(g, i));
        }
    }
};

// scale (1 + g) / sum, rounded once.
template <class T, int copies>
struct Share;
// 1/sum = short_inverse (1 + rest) with 12 bits in short_inverse, so that its product with a scale is exact.
template <int copies>
struct Share<float, copies> {
    Pack<float, copies> short_inverse, rest, one_and_rest;
    SIGMAX_INLINE explicit Share(Pair<float, copies> sum) {
        short_inverse = from_bits<float>(bits(1.0f / sum.hi) & ~0xfff);
        Pack<float, copies> u = fma(-sum.lo, short_inverse, fma(-sum.hi, short_inverse, 1.0f));
        rest = fma(u, u, u);  // 1 / (1 - u) - 1
        one_and_rest = rest + 1.0f;
    }
    SIGMAX_INLINE Pack<float, copies> of(Pack<float, copies> scale, Pack<float, copies> g) const {
        Pack<float, copies> product = short_inverse * scale;
        return fma(product, fma(g, one_and_rest, rest), product);
    }
};
template <int copies>
struct Share<double, copies> {
    Pair<double, copies> inverse;
    SIGMAX_INLINE explicit Share(Pair<double, copies> sum) : inverse(divide({Pack<double, copies>(1), Pack<double, copies>(0)}, sum)) {}
    SIGMAX_INLINE Pack<double, copies> of(Pack<double, copies> scale, Pack<double, copies> g) const {
        Pair<double, copies> e = fast_two_sum(Pack<double, copies>(1), g);
        return fma(inverse.hi, e.hi, fma(inverse.hi, e.lo, inverse.lo * e.hi)) * scale;
    }
};

template <bool across, bool scaled, class T, int copies>
SIGMAX_INLINE Pack<T, copies> softmax_kernel(Scores<T, copies> x, Scores<T, copies> y, const Temperature<T, copies>& temperature) {
    using C = RowConstants<T>;
    using P = Pack<T, copies>;
    P m = -std::numeric_limits<T>::infinity();
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) m = max(P::load(x.at(j)), m);
    if constexpr (across) m = tree_max(m);
    P span = scaled ? temperature.value : P(1);
    P c = select(abs(m) > span * C::far, m, T(0)), lowest = (m - c) - span * C::reach;
    auto base = scale_base(shifted_exp<scaled>(m, lowest, c, temperature).t, C::offset);

    constexpr int kept = across ? 1 : copies;
    constexpr std::ptrdiff_t block = across ? C::block / copies : C::block;
    auto sum = Sum<T, kept>::zero();
    for (std::ptrdiff_t begin = 0; begin < x.steps; begin += block) {
        std::ptrdiff_t end = begin + block < x.steps ? begin + block : x.steps;
        Terms<T, kept> terms;
        terms.clear();
        for (std::ptrdiff_t j = begin; j < end; ++j) {
            Exp<T, copies> e = shifted_exp<scaled>(P::load(x.at(j)), lowest, c, temperature);
            P scale = scale_of(e.t, base);
            e.g.store(y.at(j));
            if constexpr (!across) scale.store(x.at(j));
            terms.add(scale, e.g);
        }
        sum.add(terms.high - C::large, terms.low);
    }
    if constexpr (across) sum.gather();

    auto total = sum.value();
    const Share<T, copies> share({repeat<copies / kept>(total.hi), repeat<copies / kept>(total.lo)});
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        P g = P::load(y.at(j)), scale = P::load(x.at(j));
        if constexpr (across) scale = scale_of(shifted_exp<scaled>(scale, lowest, c, temperature).t, base);
        share.of(scale, g).store(y.at(j));
    }
    return m;
}

// ---- the logarithms, always in double; `exact` carries two terms throughout ----

struct LogSum {
    f64 m;              // the largest score
    Pair<double> rest;  // log of the sum of e^((x - m) / T)
};

// x - m in two terms, and a difference divided by T
template <bool exact>
SIGMAX_INLINE Pair<double> difference(f64 x, f64 m) {
    if constexpr (exact) return two_sum(x, -m);
    return {x - m, 0.0};
}
template <bool scaled, bool exact>
SIGMAX_INLINE Pair<double> divided(Pair<double> z, const Temperature<double>& temperature) {
    if constexpr (!scaled) return z;
    Pair<double> product = two_product(z.hi, temperature.inverse);
    return {product.hi, fma(z.hi, temperature.inverse_lo, fma(z.lo, temperature.inverse, product.lo))};
}

template <bool across, bool scaled, bool exact>
SIGMAX_INLINE LogSum log_sum(Scores<double> x, const Temperature<double>& temperature) {
    using Index = Pack<std::int64_t>;
    f64 m = -std::numeric_limits<double>::infinity();
    Index largest = std::int64_t{-1};  // the vector that holds the lane's first maximum
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        f64 score = f64::load(x.at(j));
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
    f64 lowest = (scaled ? temperature.value : f64(1)) * -RowConstants<double>::reach;
    Sum<double> sum = Sum<double>::zero();
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        Pair<double> z = difference<exact>(f64::load(x.at(j)), m);
        auto lost = z.hi < lowest;
        z = divided<scaled, exact>({select(lost, lowest, z.hi), select(lost, 0.0, z.lo)}, temperature);
        Exp<double> e = exp_parts<exact>(z.hi, z.lo);
        f64 power = select(lost | (largest == Index(j)), 0.0, power_of_two(e.t, offset));
        if constexpr (exact) {
            Pair<double> factor = fast_two_sum(f64(1), e.g);
            sum.add(factor.hi * power, (factor.lo + e.g_lo) * power);
        } else {
            sum.total.hi = sum.total.hi + fma(power, e.g, power);
        }
    }
    if constexpr (across) sum.gather();
    Pair<double> s = sum.value();
    return {m, log1p({s.hi * 0x1p-512, s.lo * 0x1p-512})};
}

template <bool across, bool scaled, bool exact>
SIGMAX_INLINE f64 log_softmax_kernel(Scores<double> x, Scores<double> y, const Temperature<double>& temperature) {
    LogSum sum = log_sum<across, scaled, exact>(x, temperature);
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        Pair<double> z = divided<scaled, exact>(difference<exact>(f64::load(x.at(j)), sum.m), temperature);
        Pair<double> l = two_sum(z.hi, -sum.rest.hi);
        f64 value = l.hi + (l.lo + (z.lo - sum.rest.lo));
        select(abs(z.hi) == std::numeric_limits<double>::infinity(), l.hi, value).store(y.at(j));  // else inf - inf
    }
    return sum.m;
}

// The result goes to the first vector of y.
template <bool across, bool exact>
SIGMAX_INLINE f64 logsumexp_kernel(Scores<double> x, Scores<double> y, const Temperature<double>& temperature) {
    LogSum sum = log_sum<across, false, exact>(x, temperature);
    Pair<double> l = two_sum(sum.m, sum.rest.hi);
    (l.hi + (l.lo + sum.rest.lo)).store(y.at(0));
    return sum.m;
}
