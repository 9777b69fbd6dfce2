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
