// NEON of arm64: thirty-two registers of 16 bytes.
// Included once per level, hence no include guard.

inline constexpr int register_bytes = 16;
inline constexpr bool fast_fma = true;
#define SIGMAX_BLOCK SIGMAX_INLINE
#include "isa/vectors.hpp"

namespace isa {

inline constexpr int registers_in_step = 1;  // of the rows of a tile, of a flat row
// classes whose rows are done without a tile
template <class T>
inline constexpr int most_in_registers = 8;
template <class T, int classes>
inline constexpr int rows_in_registers_of = register_bytes / sizeof(T);  // at a time

SIGMAX_INLINE Floats fma(Floats a, Floats b, Floats c) { return (Floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
SIGMAX_INLINE Doubles fma(Doubles a, Doubles b, Doubles c) { return (Doubles)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
// The rule of x86: the second operand where either is NaN, or both are 0.
template <class V>
SIGMAX_INLINE V max(V a, V b) {
    return a > b ? a : b;
}
template <class V>
SIGMAX_INLINE V min(V a, V b) {
    return a < b ? a : b;
}
SIGMAX_INLINE void widen(Floats a, Doubles& low, Doubles& high) {
    low = (Doubles)vcvt_f64_f32(vget_low_f32((float32x4_t)a));
    high = (Doubles)vcvt_high_f64_f32((float32x4_t)a);
}
SIGMAX_INLINE Floats narrow(Doubles low, Doubles high) {
    return (Floats)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)low), (float64x2_t)high);
}

}  // namespace isa
#include "isa/plain.hpp"
