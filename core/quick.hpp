// The quick way to a correctly rounded result of 24 bits or fewer.
//
// A function is worked out in plain double arithmetic to a relative error below 2^-40. If the numbers 2^-39 below and above it
// round to the same result, that is the correctly rounded one; else (one result in eight thousand, and whatever is zero, infinite
// or outside the domain) the sixteen are done again to 60 bits. So the bits of a result do not depend on how it was found.
//
// e^z = entry[n mod 8] 2^floor(n/8) e^r,  n = rint(8 z / ln 2),  |r| <= ln(2)/16: a polynomial of degree 5, relative error 2^-41.7
// log(c + d) - log(c - d) = 2 s + s^3 P(s^2),  s = d / c,  |s| <= 1/5: degree 4 in s^2, 2^-42.2
// Coefficients: core/coefficients.py. Included once per level, hence no include guard.

struct QuickConstants {
    static constexpr double inverse = 0x1.71547652b82fep+3, magic = 0x1.8p52, eighth = 0x1.62e42fefa39efp-4, ln2 = 0x1.62e42fefa39efp-1;
    static constexpr double exp[] = {0x1.000000000050bp+0, 0x1.fffffffffd630p-1, 0x1.ffffffd0bd444p-2,
                                     0x1.555555a1de51fp-3, 0x1.555d88442c8e2p-5, 0x1.110c6197b7060p-7};
    static constexpr double log[] = {0x1.555555592dcdcp-1, 0x1.99998f12d04bcp-2, 0x1.2496f4d16ea3bp-2, 0x1.c54f42e3147dap-3,
                                     0x1.9c4ead2f18309p-3};
    // the bits of 2^(j/8), less j 2^49
    static constexpr std::int64_t entry[] = {0x3ff0000000000000, 0x3fef72b83c7d517b, 0x3fef06fe0a31b715, 0x3feebfdad5362a27,
                                             0x3feea09e667f3bcd, 0x3feeace5422aa0db, 0x3feee89f995ad3ad, 0x3fef5818dcfba487};
};

// For |z| <= 700.
SIGMAX_INLINE f64 quick_exp(f64 z) {
    using C = QuickConstants;
    f64 t = fma(z, C::inverse, C::magic), r = fma(t - C::magic, -C::eighth, z);
    f64 scale = from_bits<double>(shift_left<49>(bits(t)) + lookup(C::entry, bits(t)));
    return scale * polynomial(C::exp, r, r * r);
}

// n / d for a normal d: the estimate has 14 bits, and 1 / (1 - h) = 1 + h + h^2 leaves an error of h^3.
SIGMAX_INLINE f64 quick_quotient(f64 n, f64 d) {
#if SIGMAX_BYTES == 64
    f64 estimate;
    for (int i = 0; i < f64::parts; ++i) estimate.v[i] = _mm512_rcp14_pd(d.v[i]);
    f64 h = fma(-d, estimate, 1.0);
    return n * fma(fma(h, h, h), estimate, estimate);
#else
    return n / d;
#endif
}

// 2 artanh(d / c)
SIGMAX_INLINE f64 quick_log(f64 d, f64 c) {
    f64 s = quick_quotient(d, c), w = s * s;
    return fma(s * w, polynomial(QuickConstants::log, w, w * w), s + s);
}
// log(1 + e) for 0 <= e <= 1
SIGMAX_INLINE f64 quick_log1p(f64 e) {
    auto large = e > 0.41;
    f64 l = quick_log(select(large, e - 1.0, e), e + select(large, 3.0, f64(2)));
    return l + select(large, QuickConstants::ln2, f64(0));
}

// A result of type T to be: as a float that rounds to it, and the lanes in which that is in doubt. For the half precisions the
// float is rounded to odd, so that the second rounding is the correct one, unless it is too small to be.
template <class T>
SIGMAX_INLINE f32 settle(f64 q, Pack<std::int32_t>& doubtful) {
    constexpr std::int64_t margin = 1 << 14, odd = 1 << 29;
    auto rounded = [](Pack<std::int64_t> word) SIGMAX_LAMBDA {
        if constexpr (is_half<T>) word = (word | odd) & ~(odd - 1);
        return convert<float>(from_bits<double>(word));
    };
    f32 low = rounded(bits(q) - margin), high = rounded(bits(q) + margin);
    doubtful = low != high;
    if constexpr (is_half<T>) doubtful = doubtful | (abs(low) < 0x1p-126f);
    return low;
}
