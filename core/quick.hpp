// The quick way to a correctly rounded result of 24 bits or fewer.
//
// A function is worked out in plain double arithmetic to a relative error below 2^-38. Where no number within 2^-38 of it lies on
// a boundary between two results, its rounding is the correct one; else (one result in eight thousand, and whatever is zero,
// infinite or outside the domain) the sixteen are done again to 60 bits. So the bits of a result do not depend on how it was found.
//
// e^z = entry[n mod 16] 2^floor(n/16) e^r,  n = rint(16 z / ln 2),  |r| <= ln(2)/32: a polynomial of degree 4, relative error 2^-38.6
// log(c + d) - log(c - d) = 2 s + s^3 P(s^2),  s = d / c,  |s| <= 1/5: degree 4 in s^2, 2^-42.2
//
// Tried and lost: eighths and one more degree (2 multiplications more in a pack of 16, where a sigmoid has 16); the estimate of a
// reciprocal and two steps of Newton's in place of a division (no faster); both bounds of a result rounded and compared, which is
// done only where a result is subnormal (0.85 ns an element for the sigmoid, 0.6 so).
// Coefficients: core/coefficients.py. Included once per level, hence no include guard.

struct QuickConstants {
    static constexpr double inverse = 0x1.71547652b82fep+4, magic = 0x1.8p52, sixteenth = 0x1.62e42fefa39efp-5, ln2 = 0x1.62e42fefa39efp-1;
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
template <int n>
SIGMAX_INLINE f64 horner(const double (&k)[n], f64 x) {
    f64 p = k[n - 1];
#pragma GCC unroll 16
    for (int i = n - 2; i >= 0; --i) p = fma(p, x, k[i]);
    return p;
}

// e^z + more, for |z| <= 700.
SIGMAX_INLINE f64 quick_exp(f64 z, f64 more) {
    using C = QuickConstants;
    f64 t = fma(z, C::inverse, C::magic), r = fma(t - C::magic, -C::sixteenth, z);
    return fma(from_bits<double>(shift_left<48>(bits(t)) + lookup(C::entry, bits(t))), horner(C::exp, r), more);
}

// 2 artanh(d / c)
SIGMAX_INLINE f64 quick_log(f64 d, f64 c) {
    f64 s = d / c, w = s * s;
    return fma(s * w, horner(QuickConstants::log, w), s + s);
}
// log(1 + e) for 0 <= e <= 1
SIGMAX_INLINE f64 quick_log1p(f64 e) {
    auto large = e > 0.41;
    f64 l = quick_log(select(large, e - 1.0, e), e + select(large, 3.0, f64(2)));
    return l + select(large, QuickConstants::ln2, f64(0));
}

// Near a boundary: between two floats, at the half of a unit; between two numbers that round to odd in a float, from where another
// rounding to 16 bits is the correct one (Boldo & Melquiond 2008), at a whole unit.
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

// The lanes of any packs whose results are in doubt, or too small for the test that tells.
template <class T>
class Doubts {
public:
    SIGMAX_INLINE f32 settle(f64 q) {
        using B = Boundary<T>;
        f32 r = B::rounded(bits(q));
        auto place = bits(q) + (B::middle + B::margin);
#if SIGMAX_BYTES == 64
        for (int i = 0; i < place.parts; ++i) seen_ |= _mm512_testn_epi64_mask((__m512i)place.v[i], _mm512_set1_epi64(B::between));
        seen_ |= _mm512_cmp_ps_mask(_mm512_abs_ps(r.v[0]), _mm512_set1_ps(0x1p-126f), _CMP_NGE_UQ);
#else
        seen_ = seen_ | ((place & B::between) == std::int64_t(0));
        small_ = small_ | ((abs(r) < 0x1p-126f) | (r != r));
#endif
        return r;
    }
#if SIGMAX_BYTES == 64
    SIGMAX_INLINE Doubts() : seen_(0) {}
    SIGMAX_INLINE bool any() const { return seen_ != 0; }

private:
    unsigned seen_;
#else
    SIGMAX_INLINE Doubts() : seen_(0), small_(0) {}
    SIGMAX_INLINE bool any() const { return any_lane(seen_) || any_lane(small_); }

private:
    Pack<std::int64_t> seen_;
    Pack<std::int32_t> small_;
#endif
};

// The same for one pack by rounding both bounds, which tells subnormal results too. An infinite one is in doubt.
template <class T>
SIGMAX_INLINE bool settled(f64 q, f32& r) {
    using B = Boundary<T>;
    r = B::rounded(bits(q) - B::margin);
    auto doubtful = r != B::rounded(bits(q) + B::margin);
    if constexpr (is_half<T>) doubtful = doubtful | (abs(r) < 0x1p-126f);
    return !any(doubtful);
}
