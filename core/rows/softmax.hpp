// softmax: p_k = scale_k (1 + g_k) / sum, with the parts of exp.hpp.
//
// The shift is an integer multiple of ln 2, which is exact. Each entry is rounded once, at the end. The sum carries what each
// addition rounds away (nine classes at 1e-8 beside one at 1 are not lost). 1 + g is right to a few hundredths of an ulp (for doubles
// to a tenth); the sum, whose low part takes a block of terms in one precision, to 0.72 in units of 2^-24, or 2^-53: at most 1.5 ulp.
// Found by the verifier: 1.00 ulp, in a subnormal result.
//
// Scores far below the maximum are raised to `reach` below it, where they count for less than a rounding; impossible classes
// arrive there too.
//
// Tried and lost: a rounded e^x in place of its parts (wide rows a fifth faster, but 1.5 ulp and more, and equal scores no longer
// get equal shares); a float sum (6 ulp off for one dominant class in ten); sums in double (conversions cost more than they save);
// for rows beyond the L2 cache finding g again in place of writing and reading it (a tenth to a third slower up to a million
// classes, a seventh faster at eight million); asking for the next wide row's scores during the last sweep (a tenth slower).
// Included once per level, hence no include guard.

template <class T>
struct RowConstants;
template <>
struct RowConstants<float> {
    static constexpr float reach = 140, far = 256;       // e^-140 < 2^-201: 2^50 of them are nothing; x - max is exact where |max| > far
    static constexpr int offset = 80;                    // keeps 2^(n - N) normal down to `reach`
    static constexpr float large = 0x1.8p23f * 0x1p63f;  // beside terms up to 2^(offset + 1)
    static constexpr std::ptrdiff_t block = 32;          // terms between two additions in full
};
template <>
struct RowConstants<double> {
    static constexpr double reach = 800, far = 2048;
    static constexpr int offset = 160;
    static constexpr double large = 0x1.8p52 * 0x1p115;
    static constexpr std::ptrdiff_t block = 64;
};

// The numerator of one class: scale (1 + g).
template <class T, int n = natural<T>>
struct Part {
    Pack<T, n> scale, g;
};

// What a row is shifted by: c, which is 0 unless the scores are far from it, and whole powers of two, which are in `magic`.
template <class T, int n>
struct Shift {
    using C = RowConstants<T>;
    using P = Pack<T, n>;
    P c, lowest, magic;

    template <bool scaled>
    SIGMAX_INLINE static Shift to(P m, const Temperature<T, n>& temperature) {
        P span = scaled ? temperature.value : P(1), c = select(abs(m) > span * C::far, m, T(0));
        Shift shift = {c, (m - c) - span * C::reach, P(ExpConstants<T>::magic)};
        shift.magic = magic_below<C::offset>(shift.exp<scaled>(m, temperature).t);
        return shift;
    }
    // `near`: c is 0 in every lane
    template <bool scaled, bool near = false>
    SIGMAX_INLINE Exp<T, n> exp(P x, const Temperature<T, n>& temperature) const {
        P z = max(lowest, near ? x : x - c);
        if constexpr (!scaled) return exp_at(z, magic);
        Pair<T, n> product = two_product(z, temperature.inverse);
        return exp_at(product.hi, magic, fma(z, temperature.inverse_lo, product.lo));
    }
    template <bool scaled, bool near = false>
    SIGMAX_INLINE Part<T, n> part(P x, const Temperature<T, n>& temperature) const {
        Exp<T, n> e = exp<scaled, near>(x, temperature);
        return {scale_of(e), e.g};
    }
};

// The terms of a softmax. Adding to `high`, which starts at a constant larger than all terms, loses nothing: what the
// addition rounds away is exact in `coarse`, and goes to `low`.
template <class T, int n>
struct Terms {
    Pack<T, n> high, low;
    SIGMAX_INLINE Terms() : high(RowConstants<T>::large), low(T(0)) {}
    SIGMAX_INLINE void add(Part<T, n> p) {
        Pack<T, n> next = high + p.scale, coarse = next - high;
        high = next;
        low = low + fma(p.scale, p.g, p.scale - coarse);
    }
    SIGMAX_INLINE void into(Sum<T, n>& sum) const { sum.add(high - RowConstants<T>::large, low); }
};

// scale (1 + g) / sum, rounded once.
// 1/sum = short_inverse (1 + rest) with 12 or 32 bits in short_inverse, so that its product with a scale is exact.
template <class T, int n>
struct Share {
    static constexpr Int<T> dropped = sizeof(T) == 4 ? 0xfff : 0x1fffff;
    Pack<T, n> short_inverse, rest, one_and_rest;
    SIGMAX_INLINE explicit Share(Pair<T, n> sum) {
        short_inverse = from_bits<T>(bits(T(1) / sum.hi) & ~dropped);
        Pack<T, n> u = fma(-sum.lo, short_inverse, fma(-sum.hi, short_inverse, T(1)));
        rest = fma(u, u, u);  // 1 / (1 - u) - 1
        one_and_rest = rest + T(1);
    }
    SIGMAX_INLINE Pack<T, n> of(Part<T, n> p) const {
        Pack<T, n> product = short_inverse * p.scale;
        return fma(product, fma(p.g, one_and_rest, rest), product);
    }
};

// The largest score of each row.
template <bool flat, class T, int n>
SIGMAX_INLINE Pack<T, n> maximum(const Scores<T, n>& x) {
    constexpr int strands = flat ? lanes / n : 1;
    Pack<T, n> m[strands];
    for (auto& one : m) one = -std::numeric_limits<T>::infinity();
    walk<flat>(x, x, 0, x.count, strands, [&](const T* p, const T*, std::ptrdiff_t) SIGMAX_LAMBDA {
        for (int s = 0; s < strands; ++s) m[s] = max(Pack<T, n>::load(p + s * n), m[s]);
    });
    if constexpr (flat) return joined(m);
    return m[0];
}

// The last walk of a row whose scale, or of a flat one whose scores, lie in x, and g in y: windows of results keep no g.
template <bool flat, bool scaled, class T, int n>
SIGMAX_INLINE void share_out(const Scores<T, n>& x, const Scores<T, n>& y, const Shift<T, n>& shift, const Share<T, n>& share,
                             const Temperature<T, n>& temperature) {
    if (flat && y.windows)
        return finish<flat>(x, y, [&](const T* score, T* result, std::ptrdiff_t) SIGMAX_LAMBDA {
            share.of(shift.template part<scaled>(Pack<T, n>::load(score), temperature)).store(result);
        });
    finish<flat>(x, y, [&](const T* score, T* result, std::ptrdiff_t) SIGMAX_LAMBDA {
        Part<T, n> p = {Pack<T, n>::load(score), Pack<T, n>::load(result)};
        if constexpr (flat) p.scale = shift.template part<scaled>(p.scale, temperature).scale;
        share.of(p).store(result);
    });
}

template <bool flat, bool scaled, class T, int n>
SIGMAX_INLINE Pack<T, n> softmax_kernel(Rows<T, n>& r) {
    constexpr int strands = flat ? lanes / n : 1;
    const Scores<T, n> x = r.x, y = r.y;  // copies, which no store can change
    const Temperature<T, n> temperature = r.temperature;
    const Pack<T, n> m = maximum<flat>(x);
    const auto shift = Shift<T, n>::template to<scaled>(m, temperature);

    Sum<T, n> sum[strands];
    in_blocks<flat>(x, RowConstants<T>::block, [&](int s, std::ptrdiff_t first, std::ptrdiff_t end) SIGMAX_LAMBDA {
        Terms<T, n> terms;
        walk<flat>(x, y, first, end, strands, [&](T* score, T* result, std::ptrdiff_t i) SIGMAX_LAMBDA {
            if constexpr (!flat) x.fetch(i), y.fetch(i);
            const Part<T, n> p = shift.template part<scaled>(Pack<T, n>::load(score), temperature);
            p.g.store(result);
            if constexpr (!flat) p.scale.store(score);
            terms.add(p);
        });
        terms.into(sum[s]);
    });
    if constexpr (flat) sum[0] = joined(sum);

    share_out<flat, scaled>(x, y, shift, Share<T, n>(sum[0].value()), temperature);
    return m;
}

// The same of `classes` upright vectors that stay in registers; false, and nothing done, if a row has its maximum far from 0.
template <class T, int n, int classes>
SIGMAX_INLINE bool softmax_in_registers(Pack<T, n> (&x)[classes]) {
    static_assert(classes <= RowConstants<T>::block);
    const Temperature<T, n> unit{};
    Pack<T, n> m = -std::numeric_limits<T>::infinity();
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) m = max(x[k], m);
    const auto shift = Shift<T, n>::template to<false>(m, unit);
    if (any(shift.c != T(0))) return false;
    Terms<T, n> terms;
    Part<T, n> parts[classes];
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) {
        parts[k] = shift.template part<false, true>(x[k], unit);
        terms.add(parts[k]);
    }
    Sum<T, n> sum;
    terms.into(sum);
    const Share<T, n> share(sum.value());
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) x[k] = share.of(parts[k]);
    return true;
}
