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
