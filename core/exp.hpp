// e^x as a scale, a power of two times a short number, and 1 + g: the parts that a softmax or a logarithm goes on with.
//
//     n = rint(16 x log2 e),   e^x = 2^floor(n/16) entry[n mod 16] (1 + g),   |r| <= ln(2)/32,   |g| < 0.023
//
// Kept apart they give more than a rounded e^x. Scaling by a power of two is exact, so that a softmax may shift its row by an
// integer multiple of ln 2 at no loss (x - max, rounded, costs every peer 20-66 ulp), and g keeps the digits that 1 + g
// rounds away. The reduction r = x - n ln 2 / 16 is exact up to its last product: n ln2_hi cancels against x on a
// grid that holds the difference. Adding magic leaves n in the low bits of the sum's own significand.
// The entries are 2^(j/16) in 12 bits (float) or 20 (double); rest[j] makes up for what they lack. With g this small none of its
// roundings is seen: 1 + g is off by 0.05 ulp (float) or 0.1.
//
// |x| must stay below 2^18 (float) or 2^50 (double); callers clamp. NaN passes through g.
// Tried and lost: whole powers of two and a polynomial of degree 6 (float: seven instructions more, 1.13 ulp in a softmax) or 11
// (double: eight more); for float eighths and one more degree (one multiplication more, where a softmax has ten in all).
// Coefficients: core/coefficients.py. Included once per level, hence no include guard.

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
    static constexpr float log2_e_16 = 0x1.715476p+4f, magic = 0x1.8p23f, ln2_hi_16 = 0x1.62e430p-5f, ln2_lo_16 = -0x1.05c610p-33f;
    static constexpr float polynomial[] = {0x1.00022ap-1f, 0x1.55559cp-3f};
    // the bits of entry[j], less j 2^19: adding n 2^19 multiplies by 2^floor(n/16)
    static constexpr std::int32_t entry[] = {0x3f800000, 0x3f7db000, 0x3f7b9000, 0x3f79c000, 0x3f783000, 0x3f76f000,
                                             0x3f760000, 0x3f756000, 0x3f750000, 0x3f751000, 0x3f756000, 0x3f762000,
                                             0x3f774000, 0x3f78d000, 0x3f7ac000, 0x3f7d2000};
    static constexpr float rest[] = {0,
                                     -0x1.40ea356256d80p-13f,
                                     0x1.51eb063a2cb58p-13f,
                                     0x1.ae102a48d814cp-14f,
                                     0x1.ab492f25db1c9p-13f,
                                     0x1.0bd6498636df6p-13f,
                                     -0x1.ca8cdf95bfdd6p-16f,
                                     -0x1.6e6bd08f32a46p-13f,
                                     0x1.c00c40725a061p-14f,
                                     -0x1.3ef782b14d8f9p-13f,
                                     0x1.295520044c5e9p-13f,
                                     0x1.696bfbdb0a901p-14f,
                                     0x1.7b9c1c91c385fp-14f,
                                     -0x1.c81dd6fc72936p-15f,
                                     0x1.b1d1ba7aa7ff9p-17f,
                                     0x1.6ed6b99011510p-14f};
};
template <>
struct ExpConstants<double> {
    static constexpr double log2_e_16 = 0x1.71547652b82fep+4, magic = 0x1.8p52, ln2_hi_16 = 0x1.62e42fefa39efp-5,
                            ln2_lo_16 = 0x1.abc9e3b39803fp-60;
    static constexpr double polynomial[] = {0x1.fffffffffffb9p-2, 0x1.555555548f806p-3, 0x1.55555558fcf92p-5, 0x1.11123ab4f8aa0p-7,
                                            0x1.6c14c6c2f727dp-10};
    // the bits of entry[j], less j 2^48: adding n 2^48 multiplies by 2^floor(n/16)
    static constexpr std::int64_t entry[] = {0x3ff0000000000000, 0x3fefb55800000000, 0x3fef72b800000000, 0x3fef387a00000000,
                                             0x3fef06fe00000000, 0x3feedea600000000, 0x3feebfda00000000, 0x3feeab0800000000,
                                             0x3feea09e00000000, 0x3feea11400000000, 0x3feeace600000000, 0x3feec49200000000,
                                             0x3feee8a000000000, 0x3fef199c00000000, 0x3fef581800000000, 0x3fefa4b000000000};
    static constexpr double rest[] = {0,
                                      0x1.a16b1b3ebe462p-22,
                                      0x1.bbc0ceba37fb1p-23,
                                      0x1.83fc73454cebfp-22,
                                      0x1.1250015761931p-25,
                                      0x1.ea0c14c2cd638p-23,
                                      0x1.48d13b22265efp-21,
                                      -0x1.9a2c5b6dd05f4p-24,
                                      0x1.21e7c52134643p-22,
                                      0x1.39f71838aa85fp-22,
                                      -0x1.ec5df56ee9fdcp-22,
                                      -0x1.375b8a3f064ccp-22,
                                      -0x1.e843fda5ced1ap-23,
                                      -0x1.3a1dc164964e4p-24,
                                      0x1.e1f7a7c12c7ddp-22,
                                      -0x1.85f6337862c14p-23};
};

// k[0] + k[1] x + ..., two terms at a time: as many fmas as Horner's rule in half the latency.
template <class T, int n, int c>
SIGMAX_INLINE Pack<T, c> polynomial(const T (&k)[n], Pack<T, c> x, Pack<T, c> x_squared) {
    auto pair = [&](int i) SIGMAX_LAMBDA { return i + 1 < n ? fma(x, k[i + 1], k[i]) : Pack<T, c>(k[i]); };
    Pack<T, c> p = pair((n - 1) / 2 * 2);
    for (int i = (n - 1) / 2 * 2 - 2; i >= 0; i -= 2) p = fma(p, x_squared, pair(i));
    return p;
}

template <class T, int c = 1>
struct Exp {
    Pack<T, c> t, g;  // t = n + magic
};

// exp_at: with a `magic` of its own in each lane, 2^k taken off the scale is 16 k taken off magic. See Shift in softmax.hpp.
template <class T, int c, class... Low>
SIGMAX_BLOCK Exp<T, c> exp_at(Pack<T, c> x, Pack<T, c> magic, Low... x_lo) {
    using C = ExpConstants<T>;
    Pack<T, c> t = fma(x, C::log2_e_16, magic), n = t - magic;
    Pack<T, c> high = fma(n, -C::ln2_hi_16, x), r = high + (fma(n, -C::ln2_lo_16, lookup(C::rest, bits(t))) + ... + x_lo);
    Pack<T, c> square = r * r;
    return {t, fma(square, polynomial(C::polynomial, r, square), r)};
}

// The magic that makes the scale of t, which was found with the usual one, 2^offset times an entry.
template <int offset, class T, int c>
SIGMAX_INLINE Pack<T, c> magic_below(Pack<T, c> t) {
    constexpr Int<T> usual = std::bit_cast<Int<T>>(ExpConstants<T>::magic);
    return from_bits<T>(usual - ((bits(t) & -16) - (usual + 16 * offset)));
}
// The scale of t, by integer arithmetic on the exponent field, so that it must be a normal number.
template <class T, int c>
SIGMAX_INLINE Pack<T, c> scale_of(Pack<T, c> t) {
    return from_bits<T>(shift_left<(sizeof(T) == 4 ? 19 : 48)>(bits(t)) + lookup(ExpConstants<T>::entry, bits(t)));
}

// For results of 60 bits and more, double:
//
//     n = rint(x log2 e - skew),   e^x = 2^n (1 + g + g_lo),   log 3/4 <= r <= log 3/2,   -1/4 <= g <= 1/2
//
// The skew, 1/2 + log2(3/4), puts g where |g| / (1 + g), by which its roundings count, is at most 1/3 (it would be 0.41). A second
// term x_lo is optional too. r is rounded in the terms of second order only: the linear one adds high and low last.
struct ExactExpConstants {
    static constexpr double log2_e = 0x1.71547652b82fep+0, magic = 0x1.8p52, skew = 0x1.5c01a39fbd688p-4, ln2_hi = 0x1.62e42fefa39efp-1,
                            ln2_lo = 0x1.abc9e3b39803fp-56;
    static constexpr double polynomial[] = {0x1.0000000000000p-1,  0x1.5555555555553p-3,  0x1.5555555555628p-5,  0x1.1111111111d36p-7,
                                            0x1.6c16c16baef3dp-10, 0x1.a01a019b25d5ep-13, 0x1.a01a04443d2ecp-16, 0x1.71de3e6922371p-19,
                                            0x1.27dd4eb2f901cp-22, 0x1.aebbb6fec18fcp-26, 0x1.2f8ad5a368d69p-29};
};
struct ExactExp {
    Pack<double> t, g, g_lo;  // t = n + magic; g + g_lo has a relative error of about 2^-60
};
template <class... Low>
SIGMAX_BLOCK ExactExp exact_exp(Pack<double> x, Low... x_lo) {
    using C = ExactExpConstants;
    Pack<double> t = fma(x, C::log2_e, -C::skew) + C::magic, n = t - C::magic;
    Pack<double> high = fma(n, -C::ln2_hi, x), low = fma(n, -C::ln2_lo, (Pack<double>(0) + ... + x_lo));
    Pack<double> r = high + low, square = r * r;
    Pack<double> q = polynomial(C::polynomial, r, square), r_lo = (high - r) + low;
    Pair<double> g = fast_two_sum(r, fma(square, q, fma(r, r_lo, r_lo)));
    return {t, g.hi, g.lo};
}
// 2^(n + offset) for t = n + magic: the result must be a normal number.
SIGMAX_INLINE Pack<double> power_of_two(Pack<double> t, int offset) {
    return from_bits<double>(shift_left<52>(bits(t) + std::int64_t(1023 + offset)));
}
