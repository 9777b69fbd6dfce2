// float16 and bfloat16: sixteen of them in memory <-> sixteen lanes of float or double, one rounding.
//
// From double, a number is first rounded to the grid of the narrow type, by adding and taking off a constant whose own last
// digit is that grid; all that follows is exact. By way of a rounded float a tie would be rounded twice.
// Included once per level, hence no include guard.

template <class T>
inline constexpr bool is_half = sizeof(T) == 2;

using Words32 = Pack<std::int32_t>;

// 16-bit words <-> the lower halves of 32-bit lanes.
SIGMAX_INLINE Words32 load_words(const void* p) {
    Words32 r;
    const char* bytes = static_cast<const char*>(p);
    for (int i = 0; i < Words32::parts; ++i, bytes += SIGMAX_BYTES / 2) {
#if SIGMAX_BYTES == 64
        r.v[i] = (Words32::vector)_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
#elif SIGMAX_BYTES == 32
        r.v[i] = (Words32::vector)_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
#else
        typedef std::uint16_t Four __attribute__((vector_size(8)));
        Four four;
        std::memcpy(&four, bytes, sizeof four);
        r.v[i] = __builtin_convertvector(four, Words32::vector);
#endif
    }
    return r;
}
SIGMAX_INLINE void store_words(void* p, Words32 words) {
    char* bytes = static_cast<char*>(p);
    for (int i = 0; i < Words32::parts; ++i, bytes += SIGMAX_BYTES / 2) {
#if SIGMAX_BYTES == 64
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes), _mm512_cvtepi32_epi16((__m512i)words.v[i]));
#elif SIGMAX_BYTES == 32
        __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32((__m256i)words.v[i], (__m256i)words.v[i]), 0xd8);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), _mm256_castsi256_si128(packed));
#else
        typedef std::uint16_t Four __attribute__((vector_size(8)));
        Four four = __builtin_convertvector(words.v[i], Four);
        std::memcpy(bytes, &four, sizeof four);
#endif
    }
}

SIGMAX_INLINE f32 load_half(const bfloat16* p) { return from_bits<float>(shift_left<16>(load_words(p))); }
SIGMAX_INLINE void store_half(bfloat16* p, f32 x) {
    Words32 word = bits(x), odd = shift_right_logical<16>(word) & 1;
    Words32 rounded = shift_right_logical<16>(word + 0x7fff + odd), nan = shift_right_logical<16>(word) | 0x40;
    store_words(p, select(x != x, nan, rounded));
}

#if SIGMAX_BYTES == 64
SIGMAX_INLINE f32 load_half(const float16* p) {
    f32 r;
    r.v[0] = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return r;
}
SIGMAX_INLINE void store_half(float16* p, f32 x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x.v[0], _MM_FROUND_TO_NEAREST_INT));
}
SIGMAX_INLINE f32 round_to_float16(f32 x) {
    x.v[0] = _mm512_cvtph_ps(_mm512_cvtps_ph(x.v[0], _MM_FROUND_TO_NEAREST_INT));
    return x;
}
#elif SIGMAX_BYTES == 32
SIGMAX_INLINE f32 load_half(const float16* p) {
    f32 r;
    for (int i = 0; i < 2; ++i) r.v[i] = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + i));
    return r;
}
SIGMAX_INLINE void store_half(float16* p, f32 x) {
    for (int i = 0; i < 2; ++i) _mm_storeu_si128(reinterpret_cast<__m128i*>(p) + i, _mm256_cvtps_ph(x.v[i], _MM_FROUND_TO_NEAREST_INT));
}
SIGMAX_INLINE f32 round_to_float16(f32 x) {
    for (auto& part : x.v) part = _mm256_cvtph_ps(_mm256_cvtps_ph(part, _MM_FROUND_TO_NEAREST_INT));
    return x;
}
#else
// The same in integers. A product with 2^112 moves the exponent and makes subnormals normal.
SIGMAX_INLINE f32 load_half(const float16* p) {
    Words32 word = load_words(p), magnitude = word & 0x7fff, shifted = shift_left<13>(magnitude);
    Words32 finite = bits(from_bits<float>(shifted) * 0x1p112f);
    Words32 other = shifted | 0x7f800000 | (Words32(magnitude > 0x7c00) & 0x400000);
    return from_bits<float>(select(magnitude > 0x7bff, other, finite) | shift_left<16>(word & 0x8000));
}
SIGMAX_INLINE void store_half(float16* p, f32 x) {
    Words32 word = bits(x), magnitude = word & 0x7fffffff, sign = shift_right_logical<16>(word) & 0x8000;
    Words32 odd = shift_right_logical<13>(magnitude) & 1;
    Words32 normal = shift_right_logical<13>(magnitude - (112 << 23) + 0xfff + odd);
    Words32 subnormal = bits(from_bits<float>(magnitude) + 0.5f) - 0x3f000000;  // 1/2 has the grid of 2^-24 as its last digit
    Words32 finite = select(magnitude < (113 << 23), subnormal, normal);
    Words32 nan = (shift_right_logical<13>(magnitude) & 0x3ff) | 0x7e00;
    Words32 large = select(magnitude > 0x7f800000, nan, Words32(0x7c00));
    store_words(p, select(magnitude >= (143 << 23), large, finite) | sign);
}
SIGMAX_INLINE f32 round_to_float16(f32 x) {
    float16 half[lanes];
    store_half(half, x);
    return load_half(half);
}
#endif

// x rounded to a number that T holds, subnormals included; what is too large for T stays so.
template <class T>
SIGMAX_INLINE f64 round_to_grid(f64 x) {
    constexpr std::int64_t digits = std::is_same_v<T, float16> ? 10 : 7, smallest = std::is_same_v<T, float16> ? -14 : -126;
    constexpr std::int64_t one = std::int64_t{1} << 52;
    Pack<std::int64_t> exponent = bits(x) & (2047 * one), sign = bits(x) & std::numeric_limits<std::int64_t>::min();
    exponent = select(exponent < (1023 + smallest) * one, Pack<std::int64_t>((1023 + smallest) * one), exponent);
    exponent = select(exponent > 1323 * one, Pack<std::int64_t>(1323 * one), exponent);
    f64 grid = from_bits<double>(exponent + ((52 - digits) * one + one / 2));  // 1.5 x 2^52 x the last digit
    return from_bits<double>(bits((x + grid) - grid) | sign);
}

// Sixteen elements of any type as lanes of W, and back.
template <class W, class T>
SIGMAX_INLINE Pack<W> load_as(const T* p) {
    if constexpr (is_half<T>)
        return convert<W>(load_half(p));
    else
        return convert<W>(Pack<T>::load(p));
}
template <class T, class W>
SIGMAX_INLINE void store_as(T* p, Pack<W> x) {
    if constexpr (is_half<T> && sizeof(W) == 8)
        store_half(p, convert<float>(round_to_grid<T>(x)));
    else if constexpr (is_half<T>)
        store_half(p, x);
    else
        convert<T>(x).store(p);
}
