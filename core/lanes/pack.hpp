// Lanes of float, double, int32 or int64: the one vector type that every kernel is written in.
//
// A Pack<T, n> is n lanes, one register of T unless said otherwise. Kernels see only packs, and no lane meets another but in the
// tree over sixteen lanes that ends a flat row (rows/walk.hpp): so the width of a pack, which each level, type and kernel chooses,
// changes no bit, and a kernel cannot turn scalar because a compiler changed its mind.
//
// Wider is seldom better: a pack of more registers lets two chains of dependent operations alternate, but a CPU does that by itself
// across the steps of a loop, and sixteen registers do not hold the state of a softmax twice. Sixteen lanes of any type on AVX2 took 82
// CPU seconds to compile, a register takes 17; a softmax of 777 floats ran 1.4 times as fast on Zen 3 and equally on Zen 4. What two
// registers are worth stands where they are taken.
//
// Included once per level inside that level's namespace and target region, hence no include guard.
//
// Tried and lost: loads and reinterpretations through memcpy (gcc 12 then keeps accumulators in memory: 1.6 against 1.0 ns an
// element in a softmax of ten classes); __builtin_convertvector between float and double (gcc 12 splits it into halves).

template <class T>
inline constexpr int natural = register_bytes / sizeof(T);  // lanes of a register
inline constexpr int float_lanes = natural<float>, double_lanes = natural<double>;

template <class T, int n = natural<T>>
struct Pack {
    using vector = typename Register<T>::type;
    static constexpr int width = natural<T>, parts = n / width;
    static_assert(parts * width == n && parts > 0);
    vector v[parts];

    Pack() = default;
    SIGMAX_INLINE Pack(T x) {
        for (int i = 0; i < parts; ++i) v[i] = x - vector{};  // x + 0 would not be x for -0
    }
    SIGMAX_INLINE static Pack load(const T* p) {
        Pack r;
        for (int i = 0; i < parts; ++i) r.v[i] = *reinterpret_cast<const typename Register<T>::anywhere*>(p + i * width);
        return r;
    }
    SIGMAX_INLINE void store(T* p) const {
        for (int i = 0; i < parts; ++i) *reinterpret_cast<typename Register<T>::anywhere*>(p + i * width) = v[i];
    }
};

using f32 = Pack<float>;
using f64 = Pack<double>;
template <class T>
using Int = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

// Integers wrap around: their lanes hold exponent fields, which may pass through the sign bit.
template <class T>
struct Wrapping {
    using type = typename Register<T>::type;
};
template <>
struct Wrapping<std::int32_t> {
    using type = Register<std::uint32_t>::type;
};
template <>
struct Wrapping<std::int64_t> {
    using type = Register<std::uint64_t>::type;
};

#define SIGMAX_ARITHMETIC(op)                                                                                       \
    template <class T, int n>                                                                                       \
    SIGMAX_INLINE Pack<T, n> operator op(Pack<T, n> a, Pack<T, n> b) {                                              \
        using W = typename Wrapping<T>::type;                                                                       \
        for (int i = 0; i < Pack<T, n>::parts; ++i) a.v[i] = (typename Pack<T, n>::vector)((W)a.v[i] op(W) b.v[i]); \
        return a;                                                                                                   \
    }                                                                                                               \
    template <class T, int n>                                                                                       \
    SIGMAX_INLINE Pack<T, n> operator op(Pack<T, n> a, std::type_identity_t<T> b) {                                 \
        return a op Pack<T, n>(b);                                                                                  \
    }                                                                                                               \
    template <class T, int n>                                                                                       \
    SIGMAX_INLINE Pack<T, n> operator op(std::type_identity_t<T> a, Pack<T, n> b) {                                 \
        return Pack<T, n>(a) op b;                                                                                  \
    }
SIGMAX_ARITHMETIC(+)
SIGMAX_ARITHMETIC(-)
SIGMAX_ARITHMETIC(*)
SIGMAX_ARITHMETIC(/)
SIGMAX_ARITHMETIC(&)
SIGMAX_ARITHMETIC(|)
SIGMAX_ARITHMETIC(^)
#undef SIGMAX_ARITHMETIC

// A comparison gives all ones or all zeros in the integer lanes of the same size.
#define SIGMAX_COMPARISON(op)                                                                                     \
    template <class T, int n>                                                                                     \
    SIGMAX_INLINE Pack<Int<T>, n> operator op(Pack<T, n> a, Pack<T, n> b) {                                       \
        Pack<Int<T>, n> r;                                                                                        \
        for (int i = 0; i < Pack<T, n>::parts; ++i) r.v[i] = (typename Register<Int<T>>::type)(a.v[i] op b.v[i]); \
        return r;                                                                                                 \
    }                                                                                                             \
    template <class T, int n>                                                                                     \
    SIGMAX_INLINE Pack<Int<T>, n> operator op(Pack<T, n> a, std::type_identity_t<T> b) {                          \
        return a op Pack<T, n>(b);                                                                                \
    }
SIGMAX_COMPARISON(<)
SIGMAX_COMPARISON(>)
SIGMAX_COMPARISON(<=)
SIGMAX_COMPARISON(>=)
SIGMAX_COMPARISON(==)
SIGMAX_COMPARISON(!=)
#undef SIGMAX_COMPARISON

template <class T, int n>
SIGMAX_INLINE Pack<T, n> operator-(Pack<T, n> a) {
    for (auto& part : a.v) part = -part;
    return a;
}
template <int by, class T, int n>
SIGMAX_INLINE Pack<T, n> shift_left(Pack<T, n> a) {
    using U = typename Register<std::make_unsigned_t<T>>::type;
    for (auto& part : a.v) part = (typename Pack<T, n>::vector)((U)part << by);
    return a;
}
template <int by, class T, int n>
SIGMAX_INLINE Pack<T, n> shift_right_logical(Pack<T, n> a) {
    using U = typename Register<std::make_unsigned_t<T>>::type;
    for (auto& part : a.v) part = (typename Pack<T, n>::vector)((U)part >> by);
    return a;
}

template <class T, int n>
SIGMAX_INLINE Pack<Int<T>, n> bits(Pack<T, n> a) {
    Pack<Int<T>, n> r;
    for (int i = 0; i < Pack<T, n>::parts; ++i) r.v[i] = (typename Pack<Int<T>, n>::vector)a.v[i];
    return r;
}
template <class T, class I, int n>
SIGMAX_INLINE Pack<T, n> from_bits(Pack<I, n> a) {
    Pack<T, n> r;
    for (int i = 0; i < Pack<T, n>::parts; ++i) r.v[i] = (typename Pack<T, n>::vector)a.v[i];
    return r;
}
template <class T, int n>
SIGMAX_INLINE Pack<T, n> select(Pack<Int<T>, n> mask, Pack<T, n> yes, Pack<T, n> no) {
    for (int i = 0; i < Pack<T, n>::parts; ++i) no.v[i] = mask.v[i] ? yes.v[i] : no.v[i];
    return no;
}
template <class T, int n>
SIGMAX_INLINE Pack<T, n> select(Pack<Int<T>, n> mask, std::type_identity_t<T> yes, Pack<T, n> no) {
    return select(mask, Pack<T, n>(yes), no);
}
template <class T, int n>
SIGMAX_INLINE Pack<T, n> select(Pack<Int<T>, n> mask, Pack<T, n> yes, std::type_identity_t<T> no) {
    return select(mask, yes, Pack<T, n>(no));
}
#define SIGMAX_SELECT(I)                                                              \
    template <int n>                                                                  \
    SIGMAX_INLINE Pack<I, n> select(Pack<I, n> mask, Pack<I, n> yes, Pack<I, n> no) { \
        return (mask & yes) | ((Pack<I, n>(-1) ^ mask) & no);                         \
    }
SIGMAX_SELECT(std::int32_t)
SIGMAX_SELECT(std::int64_t)
#undef SIGMAX_SELECT

template <class T, int n>
SIGMAX_INLINE Pack<T, n> abs(Pack<T, n> a) {
    return from_bits<T>(bits(a) & std::numeric_limits<Int<T>>::max());
}

template <class I, int n>
SIGMAX_INLINE bool any(Pack<I, n> mask) {
    typename Pack<I, n>::vector seen = mask.v[0];
    for (int i = 1; i < Pack<I, n>::parts; ++i) seen |= mask.v[i];
    return isa::any((Longs)seen);
}

// max and min follow the rule of x86: the second operand where either is NaN (so a NaN score stays a NaN).
template <class T, int n>
SIGMAX_INLINE Pack<T, n> fma(Pack<T, n> a, std::type_identity_t<Pack<T, n>> b, std::type_identity_t<Pack<T, n>> addend) {
    for (int i = 0; i < Pack<T, n>::parts; ++i) a.v[i] = isa::fma(a.v[i], b.v[i], addend.v[i]);
    return a;
}
template <class T, int n>
SIGMAX_INLINE Pack<T, n> max(Pack<T, n> a, std::type_identity_t<Pack<T, n>> b) {
    for (int i = 0; i < Pack<T, n>::parts; ++i) a.v[i] = isa::max(a.v[i], b.v[i]);
    return a;
}
template <class T, int n>
SIGMAX_INLINE Pack<T, n> min(Pack<T, n> a, std::type_identity_t<Pack<T, n>> b) {
    for (int i = 0; i < Pack<T, n>::parts; ++i) a.v[i] = isa::min(a.v[i], b.v[i]);
    return a;
}

// float <-> double, lane by lane, one rounding.
template <class To, class From, int n>
SIGMAX_INLINE Pack<To, n> convert(Pack<From, n> a) {
    Pack<To, n> r;
    if constexpr (std::is_same_v<To, From>)
        r = a;
    else if constexpr (sizeof(To) == 8)
        for (int i = 0; i < Pack<From, n>::parts; ++i) isa::widen(a.v[i], r.v[2 * i], r.v[2 * i + 1]);
    else
        for (int i = 0; i < Pack<To, n>::parts; ++i) r.v[i] = isa::narrow(a.v[2 * i], a.v[2 * i + 1]);
    return r;
}

template <const auto& table>
using NumberOf = std::remove_cvref_t<decltype(table[0])>;
template <const auto& table>
inline constexpr Eight<Int<NumberOf<table>>> eight{table};
// table[index mod 8], lane by lane.
template <const auto& table, class I, int n>
SIGMAX_INLINE Pack<NumberOf<table>, n> lookup(Pack<I, n> index) {
    Pack<NumberOf<table>, n> r;
    for (int i = 0; i < r.parts; ++i) r.v[i] = (typename decltype(r)::vector)isa::lookup<eight<table>>(index.v[i]);
    return r;
}
template <const auto& first, const auto& second>
inline constexpr TwiceSixteen twice_sixteen{first, second};
// first_table[index mod 16] and second_table[index mod 16], lane by lane.
template <const auto& first_table, const auto& second_table, int n>
SIGMAX_INLINE void lookup_both(Pack<std::int64_t, n> index, Pack<double, n>& first, Pack<std::int64_t, n>& second) {
    for (int i = 0; i < first.parts; ++i) isa::lookup_both(twice_sixteen<first_table, second_table>, index.v[i], first.v[i], second.v[i]);
}

template <class T, int n>
SIGMAX_INLINE T first_lane(Pack<T, n> p) {
    return p.v[0][0];
}
