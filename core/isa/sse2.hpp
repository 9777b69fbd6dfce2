// SSE2, which every x86-64 has: sixteen registers of 16 bytes, and no fused multiply-add. The one here gives its exact result, so that
// the oldest CPU returns the same bits as the newest; it is slow, and only CPUs from before 2013 run it. So small text comes before
// speed at this level: building blocks are functions of their own, and there are no quick ways.
// Included once per level, hence no include guard.

inline constexpr int register_bytes = 16;
inline constexpr bool fast_fma = false;
#define SIGMAX_BLOCK [[gnu::noinline]] inline
#include "isa/vectors.hpp"

namespace isa {

inline constexpr int registers_in_step = 1;  // of the rows of a tile, of a flat row
// classes whose rows are done without a tile
template <class T>
inline constexpr int most_in_registers = 0;
template <class T, int classes>
inline constexpr int rows_in_registers_of = register_bytes / sizeof(T);  // at a time

// The rule of x86: the second operand where either is NaN, or both are 0.
SIGMAX_INLINE Floats max(Floats a, Floats b) { return _mm_max_ps(a, b); }
SIGMAX_INLINE Doubles max(Doubles a, Doubles b) { return _mm_max_pd(a, b); }
SIGMAX_INLINE Floats min(Floats a, Floats b) { return _mm_min_ps(a, b); }
SIGMAX_INLINE Doubles min(Doubles a, Doubles b) { return _mm_min_pd(a, b); }
SIGMAX_INLINE void widen(Floats a, Doubles& low, Doubles& high) {
    low = _mm_cvtps_pd(a);
    high = _mm_cvtps_pd(_mm_movehl_ps(a, a));
}
SIGMAX_INLINE Floats narrow(Doubles low, Doubles high) { return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high)); }

// a + b rounded to odd: a second rounding to fewer digits is then the correct one (Boldo & Melquiond, IEEE TC 57(4), 2008).
SIGMAX_INLINE Doubles add_to_odd(Doubles a, Doubles b) {
    Doubles s = a + b, t = s - a, e = (a - (s - t)) + (b - t);
    Longs inexact = (Longs)(e < 0) | (Longs)(e > 0);
    Longs step = inexact & 1 & ~(Longs)s;
    Longs away = (Longs)_mm_srli_epi64((__m128i)((Longs)e ^ (Longs)s), 63);
    return (Doubles)((Longs)s + step - ((step & away) << 1));
}
[[gnu::noinline]] inline Floats fma(Floats a, Floats b, Floats c) {
    Doubles x[2], y[2], z[2];
    widen(a, x[0], x[1]);
    widen(b, y[0], y[1]);
    widen(c, z[0], z[1]);
    return narrow(add_to_odd(x[0] * y[0], z[0]), add_to_odd(x[1] * y[1], z[1]));  // the product of two floats is exact in a double
}
[[gnu::noinline]] inline Doubles fma(Doubles a, Doubles b, Doubles c) {
    const Doubles splitter = Doubles{} + (0x1p27 + 1);
    Doubles ta = a * splitter, ah = ta - (ta - a), al = a - ah;
    Doubles tb = b * splitter, bh = tb - (tb - b), bl = b - bh;
    Doubles p = a * b, pl = al * bl - (((p - ah * bh) - al * bh) - ah * bl);  // a b = p + pl (Dekker)
    Doubles s = c + pl, t = s - c, sl = (c - (s - t)) + (pl - t);
    Doubles u = p + s, w = u - p, ul = (p - (u - w)) + (s - w);
    Doubles r = u + add_to_odd(ul, sl);
    for (int i = 0; i < 2; ++i) {  // where a part of that may overflow or underflow
        const double size = std::fabs(p[i]), largest = 0x1p990;
        const bool usual = (size > 0x1p-900 || a[i] == 0 || b[i] == 0) && size < largest && std::fabs(a[i]) < largest &&
                           std::fabs(b[i]) < largest && std::fabs(c[i]) < largest;
        if (!usual) r[i] = std::fma(a[i], b[i], c[i]);
    }
    return r;
}

}  // namespace isa
#include "isa/plain.hpp"
