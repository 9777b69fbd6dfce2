// softmax: p_k = scale_k (1 + g_k) / sum, with the parts of exp.hpp.
//
// The shift is an integer multiple of ln 2, which is exact. Each entry is rounded once, at the end. The sum carries what each
// addition rounds away (nine classes at 1e-8 beside one at 1 are not lost). 1 + g is right to a few hundredths of an ulp (for doubles
// to a tenth); the sum, whose low part takes a block of terms in one precision, to 0.72 in units of 2^-24, or 2^-53: at most 1.5 ulp.
// Found by the verifier: 0.99 ulp, in a subnormal result.
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

// The numerator of one class: scale (1 + g).
template <class T, int copies = 1>
struct Part {
    Pack<T, copies> scale, g;
};

// What a row is shifted by: c, which is 0 unless the scores are far from it, and whole powers of two, which are in `magic`.
template <class T, int copies>
struct Shift {
    using C = RowConstants<T>;
    using P = Pack<T, copies>;
    P c, lowest, magic;

    template <bool scaled>
    SIGMAX_INLINE static Shift to(P m, const Temperature<T, copies>& temperature) {
        P span = scaled ? temperature.value : P(1), c = select(abs(m) > span * C::far, m, T(0));
        Shift shift = {c, (m - c) - span * C::reach, P(ExpConstants<T>::magic)};
        shift.magic = magic_below<C::offset>(shift.exp<scaled>(m, temperature).t);
        return shift;
    }
    // `near`: c is 0 in every lane
    template <bool scaled, bool near = false>
    SIGMAX_INLINE Exp<T, copies> exp(P x, const Temperature<T, copies>& temperature) const {
        P z = max(lowest, near ? x : x - c);
        if constexpr (!scaled) return exp_at(z, magic);
        Pair<T, copies> product = two_product(z, temperature.inverse);
        return exp_at(product.hi, magic, fma(z, temperature.inverse_lo, product.lo));
    }
    template <bool scaled, bool near = false>
    SIGMAX_INLINE Part<T, copies> part(P x, const Temperature<T, copies>& temperature) const {
        Exp<T, copies> e = exp<scaled, near>(x, temperature);
        return {scale_of(e.t), e.g};
    }
};

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
    SIGMAX_INLINE void add(Part<T, many> p) {
        if constexpr (many == copies) {
            Pack<T, copies> next = high + p.scale, coarse = next - high;
            high = next;
            low = low + fma(p.scale, p.g, p.scale - coarse);
        } else {
            for (int i = 0; i < many; ++i) add(Part<T>{copy_of(p.scale, i), copy_of(p.g, i)});
        }
    }
    SIGMAX_INLINE void into(Sum<T, copies>& sum) const { sum.add(high - RowConstants<T>::large, low); }
};

// scale (1 + g) / sum, rounded once.
// 1/sum = short_inverse (1 + rest) with 12 or 32 bits in short_inverse, so that its product with a scale is exact.
template <class T, int copies>
struct Share {
    static constexpr Int<T> dropped = sizeof(T) == 4 ? 0xfff : 0x1fffff;
    Pack<T, copies> short_inverse, rest, one_and_rest;
    SIGMAX_INLINE explicit Share(Pair<T, copies> sum) {
        short_inverse = from_bits<T>(bits(T(1) / sum.hi) & ~dropped);
        Pack<T, copies> u = fma(-sum.lo, short_inverse, fma(-sum.hi, short_inverse, T(1)));
        rest = fma(u, u, u);  // 1 / (1 - u) - 1
        one_and_rest = rest + T(1);
    }
    SIGMAX_INLINE Pack<T, copies> of(Part<T, copies> p) const {
        Pack<T, copies> product = short_inverse * p.scale;
        return fma(product, fma(p.g, one_and_rest, rest), product);
    }
};

template <bool across, bool scaled, class T, int copies>
SIGMAX_INLINE Pack<T, copies> softmax_kernel(Scores<T, copies> x, Scores<T, copies> y, const Temperature<T, copies>& temperature) {
    using C = RowConstants<T>;
    using P = Pack<T, copies>;
    P m = -std::numeric_limits<T>::infinity();
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) m = max(P::load(x.at(j)), m);
    if constexpr (across) m = tree_max(m);
    const auto shift = Shift<T, copies>::template to<scaled>(m, temperature);

    constexpr int kept = across ? 1 : copies;
    constexpr std::ptrdiff_t block = across ? C::block / copies : C::block;
    auto sum = Sum<T, kept>::zero();
    for (std::ptrdiff_t begin = 0; begin < x.steps; begin += block) {
        std::ptrdiff_t end = begin + block < x.steps ? begin + block : x.steps;
        Terms<T, kept> terms;
        terms.clear();
        for (std::ptrdiff_t j = begin; j < end; ++j) {
            if constexpr (!across) x.fetch(j), y.fetch(j);
            Part<T, copies> p = shift.template part<scaled>(P::load(x.at(j)), temperature);
            p.g.store(y.at(j));
            if constexpr (!across) p.scale.store(x.at(j));
            terms.add(p);
        }
        terms.into(sum);
    }
    if constexpr (across) sum.gather();

    auto total = sum.value();
    const Share<T, copies> share({repeat<copies / kept>(total.hi), repeat<copies / kept>(total.lo)});
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) {
        Part<T, copies> p = {P::load(x.at(j)), P::load(y.at(j))};
        if constexpr (across) p.scale = shift.template part<scaled>(p.scale, temperature).scale;
        share.of(p).store(y.at(j));
    }
    return m;
}

// The same of `classes` upright vectors that stay in registers; false, and nothing done, if a row has its maximum far from 0.
template <bool scaled, class T, int copies, int classes>
SIGMAX_INLINE bool softmax_in_registers(Pack<T, copies> (&x)[classes], const Temperature<T, copies>& temperature) {
    static_assert(classes <= RowConstants<T>::block);
    Pack<T, copies> m = -std::numeric_limits<T>::infinity();
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) m = max(x[k], m);
    const auto shift = Shift<T, copies>::template to<scaled>(m, temperature);
    if (any(shift.c != T(0))) return false;
    Terms<T, copies> terms;
    terms.clear();
    Part<T, copies> parts[classes];
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) {
        parts[k] = shift.template part<scaled, true>(x[k], temperature);
        terms.add(parts[k]);
    }
    auto sum = Sum<T, copies>::zero();
    terms.into(sum);
    const Share<T, copies> share(sum.value());
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) x[k] = share.of(parts[k]);
    return true;
}
