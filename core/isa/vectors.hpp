// A register of numbers, for any instruction set: the compiler's own vectors, whose arithmetic is that of their elements.
// Included once per level by the file of its instruction set, which defines register_bytes. Hence no include guard.

template <class T>
struct Register {
    typedef T type __attribute__((vector_size(register_bytes)));
    typedef T anywhere __attribute__((vector_size(register_bytes), aligned(1), may_alias));  // in memory, whatever the alignment
};
using Floats = Register<float>::type;
using Doubles = Register<double>::type;
using Ints = Register<std::int32_t>::type;
using Longs = Register<std::int64_t>::type;

// A table of eight numbers of 4 or 8 bytes, over and over up to the width of any register, and the halves of longer numbers apart, for
// instruction sets that look up 4 bytes at a time.
template <class I>
struct Eight {
    alignas(64) I of[64 / sizeof(I)] = {};
    alignas(32) std::int32_t lower[8] = {}, upper[8] = {};
    bool has_lower = false;
    template <class T>
    constexpr explicit Eight(const T (&table)[8]) {
        for (std::size_t j = 0; j < 64 / sizeof(I); ++j) of[j] = std::bit_cast<I>(table[j % 8]);
        for (int j = 0; j < 8; ++j) {
            lower[j] = static_cast<std::int32_t>(of[j]);
            upper[j] = static_cast<std::int32_t>(std::int64_t{of[j]} >> 32);
            has_lower = has_lower || lower[j] != 0;
        }
    }
};
// Two tables of sixteen numbers of 8 bytes, and number by number side by side.
struct TwiceSixteen {
    alignas(64) std::int64_t first[16] = {}, second[16] = {}, pair[16][2] = {};
    constexpr TwiceSixteen(const double (&a)[16], const std::int64_t (&b)[16]) {
        for (int j = 0; j < 16; ++j) {
            first[j] = pair[j][0] = std::bit_cast<std::int64_t>(a[j]);
            second[j] = pair[j][1] = b[j];
        }
    }
};
