// softmax: p_k = scale_k (1 + g_k) / sum, with the parts of exp.hpp.
//
// The shift is an integer multiple of ln 2, which is exact. Each entry is rounded once, at the end. The sum carries what each
// addition rounds away (nine classes at 1e-8 beside one at 1 are not lost). For floats 1 + g is right to a few hundredths of an
// ulp; the sum, whose low part takes 32 terms in single precision, to 0.72 in units of 2^-24: at most 1.4 ulp. Found among 7e7
// entries: 0.73 ulp up to ten classes, 0.95 at 128, 1.05 for subnormal results. For doubles 1 + g and the sum are each off by at
// most 0.46 in units of 2^-53: at most 1.42 ulp.
//
// Scores far below the maximum are raised to `reach` below it, where they count for less than a rounding; impossible classes
// arrive there too.
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
    // scale (1 + g), which is `rounded` to one number; of several copies, one after the other if only one sum is kept
    template <int many>
    SIGMAX_INLINE void add(Pack<T, many> scale, Pack<T, many> g, Pack<T, many> rounded) {
        if constexpr (many == copies) {
            Pack<T, copies> next = high + (sizeof(T) == 4 ? scale : rounded), coarse = next - high;
            high = next;
            low = low + fma(scale, g, scale - coarse);
        } else {
            for (int i = 0; i < many; ++i) add(copy_of(scale, i), copy_of(g, i), copy_of(rounded, i));
        }
    }
    // The numerator of one class.
    template <bool scaled, bool near = false, int many>
    SIGMAX_INLINE Pack<T, many> take(Pack<T, many> x, const Shift<T, many>& shift, const Temperature<T, many>& temperature) {
        Exp<T, many> e = shift.template exp<scaled, near>(x, temperature);
        Pack<T, many> scale = scale_of(e.t), rounded = fma(scale, e.g, scale);
        add(scale, e.g, rounded);
        return rounded;
    }
    SIGMAX_INLINE void into(Sum<T, copies>& sum) const { sum.add(high - RowConstants<T>::large, low); }
};

// 1 / sum in two terms.
template <class T, int copies>
struct Inverse {
    Pack<T, copies> hi, lo;
    SIGMAX_INLINE explicit Inverse(Pair<T, copies> sum) : hi(T(1) / sum.hi) {
        lo = fma(-sum.lo, hi, fma(-sum.hi, hi, T(1))) * hi;
    }
    SIGMAX_INLINE Pack<T, copies> times(Pack<T, copies> numerator) const { return fma(numerator, hi, numerator * lo); }
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
        for (std::ptrdiff_t j = begin; j < end; ++j) terms.template take<scaled>(P::load(x.at(j)), shift, temperature).store(y.at(j));
        terms.into(sum);
    }
    if constexpr (across) sum.gather();

    auto total = sum.value();
    const Inverse<T, copies> inverse({repeat<copies / kept>(total.hi), repeat<copies / kept>(total.lo)});
    for (std::ptrdiff_t j = 0; j < x.steps; ++j) inverse.times(P::load(y.at(j))).store(y.at(j));
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
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) x[k] = terms.template take<scaled, true>(x[k], shift, temperature);
    auto sum = Sum<T, copies>::zero();
    terms.into(sum);
    const Inverse<T, copies> inverse(sum.value());
#pragma GCC unroll 16
    for (int k = 0; k < classes; ++k) x[k] = inverse.times(x[k]);
    return true;
}
