// What SSE2 and NEON share: registers of one block of 16 bytes, table look-ups one by one, float16 in integers.
// Included by the file of an instruction set, hence no include guard.

namespace isa {

SIGMAX_INLINE bool any(Longs v) { return (v[0] | v[1]) != 0; }  // whether any bit is set
SIGMAX_INLINE unsigned lanes(Ints mask) {                       // a bit each
    return static_cast<unsigned>((mask[0] & 1) | (mask[1] & 2) | (mask[2] & 4) | (mask[3] & 8));
}

// table[index mod 8]
template <const auto& table>
SIGMAX_INLINE Ints lookup(Ints index) {
    const auto& of = table.of;
    return Ints{of[index[0] & 7], of[index[1] & 7], of[index[2] & 7], of[index[3] & 7]};
}
template <const auto& table>
SIGMAX_INLINE Longs lookup(Longs index) {
    return Longs{table.of[index[0] & 7], table.of[index[1] & 7]};
}
// Both numbers of table[index mod 16].
SIGMAX_INLINE void lookup_both(const TwiceSixteen& table, Longs index, Doubles& first, Longs& second) {
    first = (Doubles)Longs{table.first[index[0] & 15], table.first[index[1] & 15]};
    second = Longs{table.second[index[0] & 15], table.second[index[1] & 15]};
}

// 16-bit words <-> the lower halves of 32-bit lanes
typedef std::uint16_t FourWords __attribute__((vector_size(8)));
SIGMAX_INLINE Ints load_words(const char* p) {
    FourWords four;
    std::memcpy(&four, p, sizeof four);
    return __builtin_convertvector(four, Ints);
}
SIGMAX_INLINE void store_words(char* p, Ints words) {
    const FourWords four = __builtin_convertvector(words, FourWords);
    std::memcpy(p, &four, sizeof four);
}

// float16 <-> float, rounded to nearest. A product with 2^112 moves the exponent and makes subnormals normal.
typedef std::uint32_t UnsignedInts __attribute__((vector_size(16)));
SIGMAX_INLINE Ints choose(Ints mask, Ints yes, Ints no) { return (mask & yes) | (~mask & no); }
SIGMAX_INLINE Ints shifted_right(Ints v, int by) { return (Ints)((UnsignedInts)v >> by); }
SIGMAX_INLINE Floats float_of(Ints word) {
    Ints magnitude = word & 0x7fff, shifted = magnitude << 13;
    Ints finite = (Ints)((Floats)shifted * 0x1p112f);
    Ints other = shifted | 0x7f800000 | ((Ints)(magnitude > 0x7c00) & 0x400000);
    return (Floats)(choose((Ints)(magnitude > 0x7bff), other, finite) | (Ints)((UnsignedInts)(word & 0x8000) << 16));
}
SIGMAX_INLINE Ints float16_of(Floats x) {
    Ints word = (Ints)x, magnitude = word & 0x7fffffff, sign = shifted_right(word, 16) & 0x8000;
    Ints odd = shifted_right(magnitude, 13) & 1;
    Ints normal = shifted_right((Ints)((UnsignedInts)magnitude - (112u << 23) + 0xfffu + (UnsignedInts)odd), 13);
    Ints subnormal = (Ints)((Floats)magnitude + 0.5f) - 0x3f000000;  // 1/2 has the grid of 2^-24 as its last digit
    Ints finite = choose((Ints)(magnitude < (113 << 23)), subnormal, normal);
    Ints nan = (shifted_right(magnitude, 13) & 0x3ff) | 0x7e00;
    Ints large = choose((Ints)(magnitude > 0x7f800000), nan, Ints{} + 0x7c00);
    return choose((Ints)(magnitude >= (143 << 23)), large, finite) | sign;
}
SIGMAX_INLINE Floats load_float16(const char* p) { return float_of(load_words(p)); }
SIGMAX_INLINE void store_float16(char* p, Floats x) { store_words(p, float16_of(x)); }
SIGMAX_INLINE Floats round_to_float16(Floats x) { return float_of(float16_of(x)); }

// ---- blocks of 16 bytes ----

using Block = Ints;
SIGMAX_INLINE Ints join(const Block* b) { return b[0]; }
SIGMAX_INLINE Ints gather_blocks(const char* p, std::ptrdiff_t) { return *reinterpret_cast<const Register<std::int32_t>::anywhere*>(p); }
template <class Put>
SIGMAX_INLINE void for_blocks(Ints r, Put put) {  // put(i, block i)
    put(0, r);
}
// The lower and upper elements, of 4 and 8 bytes, of both blocks in turn.
SIGMAX_INLINE Ints low4(Ints a, Ints b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
SIGMAX_INLINE Ints high4(Ints a, Ints b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
SIGMAX_INLINE Ints low8(Ints a, Ints b) { return (Ints)__builtin_shufflevector((Longs)a, (Longs)b, 0, 2); }
SIGMAX_INLINE Ints high8(Ints a, Ints b) { return (Ints)__builtin_shufflevector((Longs)a, (Longs)b, 1, 3); }
inline constexpr bool has_squares = false;
void transpose_blocks_of(Ints&, Ints&, Ints&, Ints&);  // never called

// ---- four rows of two or three floats, end to end <-> one register a class ----

SIGMAX_INLINE void deinterleave(Floats (&r)[2]) {
    const Floats a = r[0], b = r[1];
    r[0] = __builtin_shufflevector(a, b, 0, 2, 4, 6);
    r[1] = __builtin_shufflevector(a, b, 1, 3, 5, 7);
}
SIGMAX_INLINE void interleave(Floats (&r)[2]) {
    const Floats a = r[0], b = r[1];
    r[0] = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    r[1] = __builtin_shufflevector(a, b, 2, 6, 3, 7);
}
SIGMAX_INLINE void deinterleave(Floats (&r)[3]) {  // x0 y0 z0 x1, y1 z1 x2 y2, z2 x3 y3 z3
    const Floats a = r[0], b = r[1], c = r[2];
    const Floats yz = __builtin_shufflevector(a, b, 1, 2, 4, 5), xy = __builtin_shufflevector(b, c, 2, 3, 5, 6);
    r[0] = __builtin_shufflevector(a, xy, 0, 3, 4, 6);
    r[1] = __builtin_shufflevector(yz, xy, 0, 2, 5, 7);
    r[2] = __builtin_shufflevector(yz, c, 1, 3, 4, 7);
}
SIGMAX_INLINE void interleave(Floats (&r)[3]) {
    const Floats xy = __builtin_shufflevector(r[0], r[1], 0, 2, 4, 6), yz = __builtin_shufflevector(r[1], r[2], 1, 3, 5, 7);
    const Floats zx = __builtin_shufflevector(r[2], r[0], 0, 2, 5, 7);
    r[0] = __builtin_shufflevector(xy, zx, 0, 2, 4, 6);
    r[1] = __builtin_shufflevector(yz, xy, 0, 2, 5, 7);
    r[2] = __builtin_shufflevector(zx, yz, 1, 3, 5, 7);
}

}  // namespace isa
#include "isa/flags.hpp"
