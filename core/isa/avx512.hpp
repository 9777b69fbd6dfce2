// AVX-512: thirty-two registers of 64 bytes, masks, and a shuffle of any two registers.
// Included once per level, hence no include guard.

inline constexpr int register_bytes = 64;
inline constexpr bool fast_fma = true;
#define SIGMAX_BLOCK SIGMAX_INLINE
#include "isa/vectors.hpp"

namespace isa {

inline constexpr int registers_in_step = 1;  // of the rows of a tile, of a flat row
// classes whose rows are done without a tile
template <class T>
inline constexpr int most_in_registers = 16;
template <class T, int classes>
inline constexpr int rows_in_registers_of = (classes <= 10 ? 2 : 1) * register_bytes / sizeof(T);  // at a time

SIGMAX_INLINE bool any(Longs v) { return _mm512_test_epi64_mask((__m512i)v, (__m512i)v) != 0; }  // whether any bit is set
SIGMAX_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
SIGMAX_INLINE Doubles fma(Doubles a, Doubles b, Doubles c) { return _mm512_fmadd_pd(a, b, c); }
SIGMAX_INLINE Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
SIGMAX_INLINE Doubles max(Doubles a, Doubles b) { return _mm512_max_pd(a, b); }
SIGMAX_INLINE Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
SIGMAX_INLINE Doubles min(Doubles a, Doubles b) { return _mm512_min_pd(a, b); }

SIGMAX_INLINE void widen(Floats a, Doubles& low, Doubles& high) {
    low = _mm512_cvtps_pd(_mm512_castps512_ps256(a));
    high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
}
SIGMAX_INLINE Floats narrow(Doubles low, Doubles high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}

// table[index mod 8]
template <const auto& table>
SIGMAX_INLINE Ints lookup(Ints index) {
    return (Ints)_mm512_permutexvar_epi32((__m512i)index, _mm512_load_si512(table.of));
}
template <const auto& table>
SIGMAX_INLINE Longs lookup(Longs index) {
    return (Longs)_mm512_permutexvar_epi64((__m512i)index, _mm512_load_si512(table.of));
}
// Both numbers of table[index mod 16].
SIGMAX_INLINE void lookup_both(const TwiceSixteen& table, Longs index, Doubles& first, Longs& second) {
    auto of = [&](const std::int64_t* numbers) SIGMAX_LAMBDA {
        return _mm512_permutex2var_epi64(_mm512_load_si512(numbers), (__m512i)index, _mm512_load_si512(numbers + 8));
    };
    first = (Doubles)of(table.first);
    second = (Longs)of(table.second);
}

// 16-bit words <-> the lower halves of 32-bit lanes; float16 <-> float, rounded to nearest
SIGMAX_INLINE Ints load_words(const char* p) {
    return (Ints)_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
SIGMAX_INLINE void store_words(char* p, Ints words) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16((__m512i)words));
}
SIGMAX_INLINE Floats load_float16(const char* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
SIGMAX_INLINE void store_float16(char* p, Floats x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
SIGMAX_INLINE Floats round_to_float16(Floats x) { return _mm512_cvtph_ps(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }

// Whether any lane seen so far was of some kind.
class Flags {
public:
    SIGMAX_INLINE void no_bit_of(Longs v, std::int64_t mask) { seen_ |= _mm512_testn_epi64_mask((__m512i)v, _mm512_set1_epi64(mask)); }
    SIGMAX_INLINE void no_bit_of(Ints v, std::int32_t mask) { seen_ |= _mm512_testn_epi32_mask((__m512i)v, _mm512_set1_epi32(mask)); }
    SIGMAX_INLINE void not_above(Floats x, float least) {  // |x|; NaN too
        seen_ |= _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(least), _CMP_NGE_UQ);
    }
    SIGMAX_INLINE void below(Floats x, float least) { seen_ |= _mm512_cmp_ps_mask(x, _mm512_set1_ps(least), _CMP_NGE_UQ); }  // NaN too
    SIGMAX_INLINE void unlike(Floats a, Floats b) { seen_ |= _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
    SIGMAX_INLINE bool any() const { return seen_ != 0; }
    SIGMAX_INLINE unsigned lanes() const { return seen_; }  // of one register of floats, a bit each

private:
    unsigned seen_ = 0;
};

// ---- blocks of 16 bytes ----

using Block = __m128i;
SIGMAX_INLINE Ints join(const Block* b) {
    return (Ints)_mm512_inserti32x4(_mm512_inserti32x4(_mm512_inserti32x4(_mm512_castsi128_si512(b[0]), b[1], 1), b[2], 2), b[3], 3);
}
// A register of blocks `stride` bytes apart, by masked broadcasts, which are loads, not shuffles; and back.
SIGMAX_INLINE Ints gather_blocks(const char* p, std::ptrdiff_t stride) {
    auto at = [&](std::ptrdiff_t i) SIGMAX_LAMBDA { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * stride)); };
    __m512i r = _mm512_castsi128_si512(at(0));
    r = _mm512_mask_broadcast_i32x4(r, 0x00f0, at(1));
    r = _mm512_mask_broadcast_i32x4(r, 0x0f00, at(2));
    return (Ints)_mm512_mask_broadcast_i32x4(r, 0xf000, at(3));
}
template <class Put>
SIGMAX_INLINE void for_blocks(Ints r, Put put) {  // put(i, block i)
    put(0, _mm512_castsi512_si128((__m512i)r));
    put(1, _mm512_extracti32x4_epi32((__m512i)r, 1));
    put(2, _mm512_extracti32x4_epi32((__m512i)r, 2));
    put(3, _mm512_extracti32x4_epi32((__m512i)r, 3));
}
// The lower and upper elements, of 4 and 8 bytes, of both blocks in turn.
SIGMAX_INLINE Ints low4(Ints a, Ints b) { return (Ints)_mm512_unpacklo_epi32((__m512i)a, (__m512i)b); }
SIGMAX_INLINE Ints high4(Ints a, Ints b) { return (Ints)_mm512_unpackhi_epi32((__m512i)a, (__m512i)b); }
SIGMAX_INLINE Ints low8(Ints a, Ints b) { return (Ints)_mm512_unpacklo_epi64((__m512i)a, (__m512i)b); }
SIGMAX_INLINE Ints high8(Ints a, Ints b) { return (Ints)_mm512_unpackhi_epi64((__m512i)a, (__m512i)b); }

// The blocks of four registers as a square of 4 x 4, transposed.
inline constexpr bool has_squares = true;
SIGMAX_INLINE void transpose_blocks_of(Ints& a, Ints& b, Ints& c, Ints& d) {
    const __m512i ab_even = _mm512_shuffle_i32x4((__m512i)a, (__m512i)b, 0x88), ab_odd = _mm512_shuffle_i32x4((__m512i)a, (__m512i)b, 0xdd);
    const __m512i cd_even = _mm512_shuffle_i32x4((__m512i)c, (__m512i)d, 0x88), cd_odd = _mm512_shuffle_i32x4((__m512i)c, (__m512i)d, 0xdd);
    a = (Ints)_mm512_shuffle_i32x4(ab_even, cd_even, 0x88);
    b = (Ints)_mm512_shuffle_i32x4(ab_odd, cd_odd, 0x88);
    c = (Ints)_mm512_shuffle_i32x4(ab_even, cd_even, 0xdd);
    d = (Ints)_mm512_shuffle_i32x4(ab_odd, cd_odd, 0xdd);
}

// ---- sixteen rows of two or three floats, end to end <-> one register a class ----

template <int classes>
struct Interleaved {  // where each lane's number is: of the first two registers, or of the third
    alignas(64) std::int32_t upright[classes][16], flat[classes][16];
    __mmask16 from_third[classes], third_class[classes];
    constexpr Interleaved() : upright(), flat(), from_third(), third_class() {
        for (int k = 0; k < classes; ++k)
            for (int i = 0; i < 16; ++i) {
                const int source = classes * i + k, place = 16 * k + i;
                upright[k][i] = source % 32;
                from_third[k] |= (source >= 32) << i;
                flat[k][i] = place / classes + place % classes % 2 * 16;
                third_class[k] |= (place % classes == 2) << i;
            }
    }
};
template <int classes>
inline constexpr Interleaved<classes> interleaved;

template <int classes>
SIGMAX_INLINE void permute(Floats (&r)[classes], const std::int32_t (&index)[classes][16], const __mmask16 (&other)[classes]) {
    Floats from[classes];
    for (int k = 0; k < classes; ++k) from[k] = r[k];
#pragma GCC unroll 3
    for (int k = 0; k < classes; ++k) {
        const __m512i where = _mm512_load_si512(index[k]);
        r[k] = _mm512_permutex2var_ps(from[0], where, from[1]);
        if constexpr (classes == 3) r[k] = _mm512_mask_permutexvar_ps(r[k], other[k], where, from[2]);
    }
}
template <int classes>
SIGMAX_INLINE void deinterleave(Floats (&r)[classes]) {
    permute(r, interleaved<classes>.upright, interleaved<classes>.from_third);
}
template <int classes>
SIGMAX_INLINE void interleave(Floats (&r)[classes]) {
    permute(r, interleaved<classes>.flat, interleaved<classes>.third_class);
}

}  // namespace isa
