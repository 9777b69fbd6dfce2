// The quick way to a correctly rounded result of 24 bits or fewer.
//
// A function is worked out in plain arithmetic with about twice the digits of its result: for float in double, to a relative error
// below 2^-38, for float16 and bfloat16 in float, to 2^-21.2. Where no number so near lies on a boundary between two results, its
// rounding is the correct one; else (one result in eight thousand, one in 500 of float16) and where the result is infinite or
// outside the domain, it is found again, for halves by way of double, and at last with 60 bits. So the bits of a result do not
// depend on how it was found.
//
// double:  e^z = entry[n mod 16] 2^floor(n/16) e^r,  n = rint(16 z / ln 2),  |r| <= ln(2)/32: a polynomial of degree 4, relative
//          error 2^-38.6;  float: exp.hpp
// log(c + d) - log(c - d) = 2 s + s^3 P(s^2),  s = d / c,  |s| <= 1/5: degree 4 in s^2, 2^-42.2, or degree 2, 2^-28.4
//
// Tried and lost: eighths and one more degree (2 multiplications more in a pack of 16, where a sigmoid has 16); the estimate of a
// reciprocal and two steps of Newton's in place of a division (no faster); both bounds of a double rounded and compared, which is
// done only where a result is subnormal (0.85 ns an element for the sigmoid, 0.6 so).
// Coefficients: core/coefficients.py. Included once per level, hence no include guard.

template <class W>
struct QuickConstants;
template <>
struct QuickConstants<float> {
    static constexpr float ln2 = 0x1.62e430p-1f, reach = 87;  // e^-reach is normal
    static constexpr float log[] = {0x1.5555b4p-1f, 0x1.9929e6p-2f, 0x1.36fcf8p-2f};
};
template <>
struct QuickConstants<double> {
    static constexpr double inverse = 0x1.71547652b82fep+4, magic = 0x1.8p52, sixteenth = 0x1.62e42fefa39efp-5, ln2 = 0x1.62e42fefa39efp-1,
                            reach = 300;  // beyond it no result of 24 bits is
    static constexpr double exp[] = {0x1.ffffffffffe6cp-1, 0x1.fffffffb13752p-1, 0x1.00000005bebe0p-1, 0x1.5557e54b60677p-3,
                                     0x1.5553a0057cabbp-5};
    static constexpr double log[] = {0x1.555555592dcdcp-1, 0x1.99998f12d04bcp-2, 0x1.2496f4d16ea3bp-2, 0x1.c54f42e3147dap-3,
                                     0x1.9c4ead2f18309p-3};
    // the bits of 2^(j/16), less j 2^48
    static constexpr std::int64_t entry[] = {0x3ff0000000000000, 0x3fefb5586cf9890f, 0x3fef72b83c7d517b, 0x3fef387a6e756238,
                                             0x3fef06fe0a31b715, 0x3feedea64c123422, 0x3feebfdad5362a27, 0x3feeab07dd485429,
                                             0x3feea09e667f3bcd, 0x3feea11473eb0187, 0x3feeace5422aa0db, 0x3feec49182a3f090,
                                             0x3feee89f995ad3ad, 0x3fef199bdd85529c, 0x3fef5818dcfba487, 0x3fefa4afa2a490da};
};

// k[0] + k[1] x + ... with as few multiplications as there are: for long loops without a chain from step to step.
template <class W, int n>
SIGMAX_INLINE Pack<W> horner(const W (&k)[n], Pack<W> x) {
    Pack<W> p = k[n - 1];
#pragma GCC unroll 16
    for (int i = n - 2; i >= 0; --i) p = fma(p, x, k[i]);
    return p;
}

// e^z + more, for |z| <= reach.
SIGMAX_INLINE f64 quick_exp(f64 z, double more) {
    using C = QuickConstants<double>;
    f64 t = fma(z, C::inverse, C::magic), r = fma(t - C::magic, -C::sixteenth, z);
    return fma(from_bits<double>(shift_left<48>(bits(t)) + lookup(C::entry, bits(t))), horner(C::exp, r), f64(more));
}
SIGMAX_INLINE f32 quick_exp(f32 z, float more) {
    Exp<float> e = exp_at(z, f32(ExpConstants<float>::magic));
    f32 scale = scale_of(e.t);
    return fma(scale, e.g, scale + more);
}

// 2 artanh(d / c)
template <class W>
SIGMAX_INLINE Pack<W> quick_log(Pack<W> d, Pack<W> c) {
    Pack<W> s = d / c, w = s * s;
    return fma(s * w, horner(QuickConstants<W>::log, w), s + s);
}
// log(1 + e) for 0 <= e <= 1
template <class W>
SIGMAX_INLINE Pack<W> quick_log1p(Pack<W> e) {
    auto large = e > W(0.41);
    Pack<W> l = quick_log(select(large, e - W(1), e), e + select(large, W(3), Pack<W>(2)));
    return l + select(large, QuickConstants<W>::ln2, Pack<W>(0));
}
// What is not a number is always in doubt.
template <class W>
SIGMAX_INLINE Pack<W> unless(Pack<Int<W>> other, Pack<W> y) {
    return select(other, std::numeric_limits<W>::quiet_NaN(), y);
}

// Near a boundary of doubles: between two floats, at the half of a unit; between two numbers that round to odd in a float, from
// where another rounding to 16 bits is the correct one (Boldo & Melquiond 2008), at a whole unit.
template <class T>
struct Boundary {
    static constexpr std::int64_t margin = 1 << 15, unit = 1 << 29, middle = is_half<T> ? 0 : unit / 2, between = unit - 2 * margin;
    SIGMAX_INLINE static f32 rounded(Pack<std::int64_t> word) {
        if constexpr (is_half<T>) word = (word | unit) & ~(unit - 1);
        return convert<float>(from_bits<double>(word));
    }
};

template <class I>
SIGMAX_INLINE bool any_lane(Pack<I> mask) {
    return any(mask);
}

// The type that a result of type T is worked out in at first.
template <class T>
using QuickWork = std::conditional_t<is_half<T>, float, double>;

// The lanes of any packs whose results are in doubt, or too small for the test that tells. `settle` gives the results for
// store_settled. `fully`: with a slower test that tells for subnormal float16 too.
template <class T, bool fully>
class Doubts {
public:
    SIGMAX_INLINE f32 settle(f64 q) {
        using B = Boundary<T>;
        f32 r = B::rounded(bits(q));
        near(bits(q) + (B::middle + B::margin), B::between);
        small(r, 0x1p-126f);
        return r;
    }
    SIGMAX_INLINE f32 settle(f32 q) {
        constexpr bool is_float16 = std::is_same_v<T, float16>;
        constexpr std::int32_t margin = 8, unit = is_float16 ? 0x2000 : 0x10000;
        if constexpr (is_float16 && fully) {
            f32 less = fma(q, f32(-margin * 0x1p-24f), q), more = fma(q, f32(margin * 0x1p-24f), q);
            unlike(round_to_float16(less), round_to_float16(more));
            return less;
        }
        auto place = bits(q) + (unit / 2 + margin);
        near(place, unit - 2 * margin);
        small(q, is_float16 ? 0x1p-14f : 0x1p-126f);
        return is_float16 ? q : from_bits<float>(place);
    }

#if SIGMAX_BYTES == 64
    SIGMAX_INLINE Doubts() : seen_(0) {}
    SIGMAX_INLINE bool any() const { return seen_ != 0; }

private:
    SIGMAX_INLINE void near(Pack<std::int64_t> place, std::int64_t between) {
        for (auto part : place.v) seen_ |= _mm512_testn_epi64_mask((__m512i)part, _mm512_set1_epi64(between));
    }
    SIGMAX_INLINE void near(Pack<std::int32_t> place, std::int32_t between) {
        seen_ |= _mm512_testn_epi32_mask((__m512i)place.v[0], _mm512_set1_epi32(between));
    }
    SIGMAX_INLINE void small(f32 r, float least) { seen_ |= _mm512_cmp_ps_mask(_mm512_abs_ps(r.v[0]), _mm512_set1_ps(least), _CMP_NGE_UQ); }
    SIGMAX_INLINE void unlike(f32 a, f32 b) { seen_ |= _mm512_cmp_ps_mask(a.v[0], b.v[0], _CMP_NEQ_UQ); }

    unsigned seen_;
#else
    SIGMAX_INLINE Doubts() : wide_(0), seen_(0) {}
    SIGMAX_INLINE bool any() const { return any_lane(wide_) || any_lane(seen_); }

private:
    SIGMAX_INLINE void near(Pack<std::int64_t> place, std::int64_t between) { wide_ = wide_ | ((place & between) == std::int64_t(0)); }
    SIGMAX_INLINE void near(Pack<std::int32_t> place, std::int32_t between) { seen_ = seen_ | ((place & between) == 0); }
    SIGMAX_INLINE void small(f32 r, float least) { seen_ = seen_ | ((abs(r) < least) | (r != r)); }
    SIGMAX_INLINE void unlike(f32 a, f32 b) { seen_ = seen_ | (a != b); }

    Pack<std::int64_t> wide_;
    Pack<std::int32_t> seen_;
#endif
};

template <class T>
SIGMAX_INLINE void store_settled(T* p, f32 r) {
    if constexpr (std::is_same_v<T, bfloat16>)
        store_words(p, shift_right_logical<16>(bits(r)));
    else
        store_as(p, r);
}

// The same for one pack by rounding both bounds, which tells subnormal results too. An infinite one is in doubt.
template <class T>
SIGMAX_INLINE bool settled(f64 q, f32& r) {
    using B = Boundary<T>;
    r = B::rounded(bits(q) - B::margin);
    auto doubtful = r != B::rounded(bits(q) + B::margin);
    if constexpr (is_half<T>) doubtful = doubtful | (abs(r) < 0x1p-126f);
    return !any(doubtful);
}
