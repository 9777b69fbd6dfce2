// float16 and bfloat16 in memory <-> lanes of float or double, one rounding.
//
// From double, a number is first rounded to the grid of the 16-bit type, by adding and taking off a constant whose own last
// digit is that grid; all that follows is exact. By way of a rounded float a tie would be rounded twice.
// Included once per level, hence no include guard.

// A type of numbers in memory: its bits, the digits behind the leading one, the exponent of its smallest normal number, and
// whether it has 16 bits, so that it is worked on as a wider type.
template <class T>
struct Format;
template <>
struct Format<float16> {
    static constexpr int digits = 10, smallest = -14;
    static constexpr bool is_half = true;
};
template <>
struct Format<bfloat16> {
    static constexpr int digits = 7, smallest = -126;
    static constexpr bool is_half = true;
};
template <>
struct Format<float> {
    static constexpr int digits = 23, smallest = -126;
    static constexpr bool is_half = false;
};
template <>
struct Format<double> {
    static constexpr int digits = 52, smallest = -1022;
    static constexpr bool is_half = false;
};

template <int n>
SIGMAX_INLINE Pack<std::int32_t, n> load_words(const void* p) {
    Pack<std::int32_t, n> r;
    for (int i = 0; i < r.parts; ++i) r.v[i] = isa::load_words(static_cast<const char*>(p) + i * register_bytes / 2);
    return r;
}
template <int n>
SIGMAX_INLINE void store_words(void* p, Pack<std::int32_t, n> words) {
    for (int i = 0; i < words.parts; ++i) isa::store_words(static_cast<char*>(p) + i * register_bytes / 2, words.v[i]);
}

template <int n>
SIGMAX_INLINE Pack<float, n> load_half(const bfloat16* p) {
    return from_bits<float>(shift_left<16>(load_words<n>(p)));
}
template <int n>
SIGMAX_INLINE void store_half(bfloat16* p, Pack<float, n> x) {
    auto word = bits(x), odd = shift_right_logical<16>(word) & 1;
    auto rounded = shift_right_logical<16>(word + 0x7fff + odd), nan = shift_right_logical<16>(word) | 0x40;
    store_words(p, select(x != x, nan, rounded));
}
template <int n>
SIGMAX_INLINE Pack<float, n> load_half(const float16* p) {
    Pack<float, n> r;
    for (int i = 0; i < r.parts; ++i) r.v[i] = isa::load_float16(reinterpret_cast<const char*>(p + i * r.width));
    return r;
}
template <int n>
SIGMAX_INLINE void store_half(float16* p, Pack<float, n> x) {
    for (int i = 0; i < x.parts; ++i) isa::store_float16(reinterpret_cast<char*>(p + i * x.width), x.v[i]);
}
template <int n>
SIGMAX_INLINE Pack<float, n> round_to_float16(Pack<float, n> x) {
    for (auto& part : x.v) part = isa::round_to_float16(part);
    return x;
}

// x rounded to a number that T holds, subnormals included; what is too large for T stays so.
template <class T, int n>
SIGMAX_INLINE Pack<double, n> round_to_grid(Pack<double, n> x) {
    constexpr std::int64_t digits = Format<T>::digits, smallest = Format<T>::smallest, one = std::int64_t{1} << 52;
    Pack<std::int64_t, n> exponent = bits(x) & (2047 * one), sign = bits(x) & std::numeric_limits<std::int64_t>::min();
    exponent = select(exponent < (1023 + smallest) * one, Pack<std::int64_t, n>((1023 + smallest) * one), exponent);
    exponent = select(exponent > 1323 * one, Pack<std::int64_t, n>(1323 * one), exponent);
    auto grid = from_bits<double>(exponent + ((52 - digits) * one + one / 2));  // 1.5 x 2^52 x the last digit
    return from_bits<double>(bits((x + grid) - grid) | sign);
}

// n elements of any type as lanes of W, and back. Of narrow types, a register of doubles is less than a register.
template <class W, int n, class T>
SIGMAX_INLINE Pack<W, n> load_as(const T* p) {
    if constexpr (sizeof(T) < sizeof(W) && n < float_lanes) {
        T some[float_lanes] = {};
        std::memcpy(some, p, n * sizeof(T));
        const Pack<W, float_lanes> wide = load_as<W, float_lanes>(some);
        Pack<W, n> r;
        for (int i = 0; i < r.parts; ++i) r.v[i] = wide.v[i];
        return r;
    } else if constexpr (Format<T>::is_half) {
        return convert<W>(load_half<n>(p));
    } else {
        return convert<W>(Pack<T, n>::load(p));
    }
}
template <class T, class W, int n>
SIGMAX_INLINE void store_as(T* p, Pack<W, n> x) {
    if constexpr (sizeof(T) < sizeof(W) && n < float_lanes) {
        T some[float_lanes];
        Pack<W, float_lanes> wide;
        for (int i = 0; i < wide.parts; ++i) wide.v[i] = x.v[i % x.parts];
        store_as(some, wide);
        std::memcpy(p, some, n * sizeof(T));
    } else if constexpr (Format<T>::is_half && sizeof(W) == 8)
        store_half(p, convert<float>(round_to_grid<T>(x)));
    else if constexpr (Format<T>::is_half)
        store_half(p, x);
    else
        convert<T>(x).store(p);
}
