// AVX2 with FMA and F16C: sixteen registers of 32 bytes.
// Included once per level, hence no include guard.

inline constexpr int register_bytes = 32;
inline constexpr bool fast_fma = true;
#define SIGMAX_BLOCK SIGMAX_INLINE
#include "isa/vectors.hpp"

namespace isa {

inline constexpr int registers_in_step = 2;  // of the rows of a tile, of a flat row
// classes whose rows are done without a tile
template <class T>
inline constexpr int most_in_registers = 10;
template <class T, int classes>
inline constexpr int rows_in_registers_of = 2 * register_bytes / sizeof(T);  // at a time

SIGMAX_INLINE bool any(Longs v) { return !_mm256_testz_si256((__m256i)v, (__m256i)v); }                      // whether any bit is set
SIGMAX_INLINE unsigned lanes(Ints mask) { return static_cast<unsigned>(_mm256_movemask_ps((__m256)mask)); }  // a bit each
SIGMAX_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
SIGMAX_INLINE Doubles fma(Doubles a, Doubles b, Doubles c) { return _mm256_fmadd_pd(a, b, c); }
SIGMAX_INLINE Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
SIGMAX_INLINE Doubles max(Doubles a, Doubles b) { return _mm256_max_pd(a, b); }
SIGMAX_INLINE Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
SIGMAX_INLINE Doubles min(Doubles a, Doubles b) { return _mm256_min_pd(a, b); }

SIGMAX_INLINE void widen(Floats a, Doubles& low, Doubles& high) {
    low = _mm256_cvtps_pd(_mm256_castps256_ps128(a));
    high = _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
}
SIGMAX_INLINE Floats narrow(Doubles low, Doubles high) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}

// table[index mod 8]: AVX2 permutes eight numbers of 4 bytes.
template <const auto& table>
SIGMAX_INLINE Ints lookup(Ints index) {
    return (Ints)_mm256_permutevar8x32_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(table.of)), (__m256i)index);
}
template <const auto& table>
SIGMAX_INLINE Longs lookup(Longs index) {
    auto of = [&](const std::int32_t* half) SIGMAX_LAMBDA {
        return _mm256_permutevar8x32_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(half)),
                                           _mm256_shuffle_epi32((__m256i)index, 0xa0));
    };
    const __m256i lower = table.has_lower ? of(table.lower) : _mm256_setzero_si256();
    return (Longs)_mm256_blend_epi32(lower, of(table.upper), 0xaa);
}

// Both numbers of table[index mod 16]: one load a lane; by permutations a table of sixteen such numbers takes seven operations.
SIGMAX_INLINE void lookup_both(const TwiceSixteen& table, Longs index, Doubles& first, Longs& second) {
    alignas(32) std::int64_t at[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(at), (__m256i)(index & 15));
    auto pair = [&](int i) SIGMAX_LAMBDA { return _mm_load_si128(reinterpret_cast<const __m128i*>(table.pair[at[i]])); };
    const __m256i even = _mm256_inserti128_si256(_mm256_castsi128_si256(pair(0)), pair(2), 1);
    const __m256i odd = _mm256_inserti128_si256(_mm256_castsi128_si256(pair(1)), pair(3), 1);
    first = (Doubles)_mm256_unpacklo_epi64(even, odd);
    second = (Longs)_mm256_unpackhi_epi64(even, odd);
}

// 16-bit words <-> the lower halves of 32-bit lanes; float16 <-> float, rounded to nearest
SIGMAX_INLINE Ints load_words(const char* p) { return (Ints)_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
SIGMAX_INLINE void store_words(char* p, Ints words) {
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32((__m256i)words, (__m256i)words), 0xd8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
}
SIGMAX_INLINE Floats load_float16(const char* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
SIGMAX_INLINE void store_float16(char* p, Floats x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
SIGMAX_INLINE Floats round_to_float16(Floats x) { return _mm256_cvtph_ps(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }

// ---- blocks of 16 bytes ----

using Block = __m128i;
SIGMAX_INLINE Ints join(const Block* b) { return (Ints)_mm256_inserti128_si256(_mm256_castsi128_si256(b[0]), b[1], 1); }
// A register of blocks `stride` bytes apart, and back.
SIGMAX_INLINE Ints gather_blocks(const char* p, std::ptrdiff_t stride) {
    auto at = [&](std::ptrdiff_t i) SIGMAX_LAMBDA { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * stride)); };
    return (Ints)_mm256_inserti128_si256(_mm256_castsi128_si256(at(0)), at(1), 1);
}
template <class Put>
SIGMAX_INLINE void for_blocks(Ints r, Put put) {  // put(i, block i)
    put(0, _mm256_castsi256_si128((__m256i)r));
    put(1, _mm256_extracti128_si256((__m256i)r, 1));
}
// The lower and upper elements, of 4 and 8 bytes, of both blocks in turn.
SIGMAX_INLINE Ints low4(Ints a, Ints b) { return (Ints)_mm256_unpacklo_epi32((__m256i)a, (__m256i)b); }
SIGMAX_INLINE Ints high4(Ints a, Ints b) { return (Ints)_mm256_unpackhi_epi32((__m256i)a, (__m256i)b); }
SIGMAX_INLINE Ints low8(Ints a, Ints b) { return (Ints)_mm256_unpacklo_epi64((__m256i)a, (__m256i)b); }
SIGMAX_INLINE Ints high8(Ints a, Ints b) { return (Ints)_mm256_unpackhi_epi64((__m256i)a, (__m256i)b); }
inline constexpr bool has_squares = false;
void transpose_blocks_of(Ints&, Ints&, Ints&, Ints&);  // never called

// ---- eight rows of two or three floats, end to end <-> one register a class ----

// a[i], a[j], b[k], b[l] of both blocks
template <int i, int j, int k, int l>
SIGMAX_INLINE Floats pick(Floats a, Floats b) {
    return _mm256_shuffle_ps(a, b, _MM_SHUFFLE(l, k, j, i));
}
SIGMAX_INLINE void deinterleave(Floats (&r)[2]) {
    const Floats a = _mm256_permute2f128_ps(r[0], r[1], 0x20), b = _mm256_permute2f128_ps(r[0], r[1], 0x31);
    r[0] = pick<0, 2, 0, 2>(a, b);
    r[1] = pick<1, 3, 1, 3>(a, b);
}
SIGMAX_INLINE void interleave(Floats (&r)[2]) {
    const Floats a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
    r[0] = _mm256_permute2f128_ps(a, b, 0x20);
    r[1] = _mm256_permute2f128_ps(a, b, 0x31);
}
// Three blocks hold four rows: x0 y0 z0 x1, y1 z1 x2 y2, z2 x3 y3 z3.
SIGMAX_INLINE void deinterleave(Floats (&r)[3]) {
    const Floats a = _mm256_blend_ps(r[0], r[1], 0xf0);                                                // blocks 0 and 3 of the six
    const Floats b = _mm256_permute2f128_ps(r[0], r[2], 0x21), c = _mm256_blend_ps(r[1], r[2], 0xf0);  // 1 and 4, 2 and 5
    const Floats yz = pick<1, 2, 0, 1>(a, b), xy = pick<2, 3, 1, 2>(b, c);                             // y0 z0 y1 z1, x2 y2 x3 y3
    r[0] = pick<0, 3, 0, 2>(a, xy);
    r[1] = pick<0, 2, 1, 3>(yz, xy);
    r[2] = pick<1, 3, 0, 3>(yz, c);
}
SIGMAX_INLINE void interleave(Floats (&r)[3]) {
    const Floats xy = pick<0, 2, 0, 2>(r[0], r[1]), yz = pick<1, 3, 1, 3>(r[1], r[2]), zx = pick<0, 2, 1, 3>(r[2], r[0]);
    // x0 x2 y0 y2, y1 y3 z1 z3, z0 z2 x1 x3
    const Floats a = pick<0, 2, 0, 2>(xy, zx), b = pick<0, 2, 1, 3>(yz, xy), c = pick<1, 3, 1, 3>(zx, yz);
    r[0] = _mm256_permute2f128_ps(a, b, 0x20);
    r[1] = _mm256_blend_ps(c, a, 0xf0);
    r[2] = _mm256_permute2f128_ps(b, c, 0x31);
}

}  // namespace isa
#include "isa/flags.hpp"
