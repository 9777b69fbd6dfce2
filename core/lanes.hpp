// Sixteen lanes of float, double, int32 or int64: the one vector type that every kernel is written in.
//
// A Pack<T> is a fixed 16 lanes whatever the CPU: one AVX-512 register of floats, two of AVX, four of SSE2 or NEON. The
// kernels see only packs, so the arithmetic, the reduction tree and therefore every bit of a result are the same at every
// CPU level, and a kernel cannot turn scalar because a compiler changed its mind.
//
// A pack of more than one copy holds that many packs side by side, so that their instructions alternate: one pack's chain of
// dependent operations leaves a core's pipes half empty (softmax of 64 classes: 0.35 ns an element with one copy, 0.32 with
// two; below thirteen classes one is faster). Copies never change a result.
//
// Included once per level inside that level's namespace and target region (see levels.cpp), hence no include guard.
// SIGMAX_BYTES is the register width of the level.
//
// Tried and lost: loads and reinterpretations through memcpy (gcc 12 then keeps accumulators in memory: 1.6 against 1.0 ns an
// element in a softmax of ten classes); __builtin_convertvector between float and double (gcc 12 splits it into halves).

// Building blocks of some dozen instructions a register: functions of their own where a pack is eight registers and an fma is a
// call already (SSE2), which halves the time of compilation.
#if SIGMAX_BYTES == 16 && defined(__x86_64__)
#define SIGMAX_BLOCK [[gnu::noinline]] inline
#else
#define SIGMAX_BLOCK SIGMAX_INLINE
#endif

template <class T>
struct Native {
    typedef T type __attribute__((vector_size(SIGMAX_BYTES)));
    typedef T anywhere __attribute__((vector_size(SIGMAX_BYTES), aligned(1), may_alias));  // in memory, whatever the alignment
};

template <class T, int copies = 1>
struct Pack {
    using vector = typename Native<T>::type;
    static constexpr int width = SIGMAX_BYTES / sizeof(T);
    static constexpr int parts = copies * lanes / width;
    vector v[parts];

    Pack() = default;
    SIGMAX_INLINE Pack(T x) {
        for (int i = 0; i < parts; ++i) v[i] = x - vector{};  // x + 0 would not be x for -0
    }
    SIGMAX_INLINE static Pack load(const T* p) {
        Pack r;
        for (int i = 0; i < parts; ++i) r.v[i] = *reinterpret_cast<const typename Native<T>::anywhere*>(p + i * width);
        return r;
    }
    SIGMAX_INLINE void store(T* p) const {
        for (int i = 0; i < parts; ++i) *reinterpret_cast<typename Native<T>::anywhere*>(p + i * width) = v[i];
    }
};

// Whether any bit is set.
template <class V>
SIGMAX_INLINE bool any_native(V v) {
#if SIGMAX_BYTES == 64
    return _mm512_test_epi64_mask((__m512i)v, (__m512i)v) != 0;
#elif SIGMAX_BYTES == 32
    return !_mm256_testz_si256((__m256i)v, (__m256i)v);
#else
    auto words = (typename Native<std::int64_t>::type)v;
    return (words[0] | words[1]) != 0;
#endif
}

using f32 = Pack<float>;
using f64 = Pack<double>;
template <class T>
using Int = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

// Integers wrap around: their lanes hold exponent fields, which may pass through the sign bit.
template <class T>
struct Wrapping {
    using type = typename Native<T>::type;
};
template <>
struct Wrapping<std::int32_t> {
    using type = typename Native<std::uint32_t>::type;
};
template <>
struct Wrapping<std::int64_t> {
    using type = typename Native<std::uint64_t>::type;
};

#define SIGMAX_ARITHMETIC(op)                                                                                       \
    template <class T, int c>                                                                                       \
    SIGMAX_INLINE Pack<T, c> operator op(Pack<T, c> a, Pack<T, c> b) {                                              \
        using W = typename Wrapping<T>::type;                                                                       \
        for (int i = 0; i < Pack<T, c>::parts; ++i) a.v[i] = (typename Pack<T, c>::vector)((W)a.v[i] op(W) b.v[i]); \
        return a;                                                                                                   \
    }                                                                                                               \
    template <class T, int c>                                                                                       \
    SIGMAX_INLINE Pack<T, c> operator op(Pack<T, c> a, std::type_identity_t<T> b) {                                 \
        return a op Pack<T, c>(b);                                                                                  \
    }                                                                                                               \
    template <class T, int c>                                                                                       \
    SIGMAX_INLINE Pack<T, c> operator op(std::type_identity_t<T> a, Pack<T, c> b) {                                 \
        return Pack<T, c>(a) op b;                                                                                  \
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
#define SIGMAX_COMPARISON(op)                                                                                   \
    template <class T, int c>                                                                                   \
    SIGMAX_INLINE Pack<Int<T>, c> operator op(Pack<T, c> a, Pack<T, c> b) {                                     \
        Pack<Int<T>, c> r;                                                                                      \
        for (int i = 0; i < Pack<T, c>::parts; ++i) r.v[i] = (typename Native<Int<T>>::type)(a.v[i] op b.v[i]); \
        return r;                                                                                               \
    }                                                                                                           \
    template <class T, int c>                                                                                   \
    SIGMAX_INLINE Pack<Int<T>, c> operator op(Pack<T, c> a, std::type_identity_t<T> b) {                        \
        return a op Pack<T, c>(b);                                                                              \
    }
SIGMAX_COMPARISON(<)
SIGMAX_COMPARISON(>)
SIGMAX_COMPARISON(<=)
SIGMAX_COMPARISON(>=)
SIGMAX_COMPARISON(==)
SIGMAX_COMPARISON(!=)
#undef SIGMAX_COMPARISON

template <class T, int c>
SIGMAX_INLINE Pack<T, c> operator-(Pack<T, c> a) {
    for (auto& part : a.v) part = -part;
    return a;
}
template <int by, class T, int c>
SIGMAX_INLINE Pack<T, c> shift_left(Pack<T, c> a) {
    using U = typename Native<std::make_unsigned_t<T>>::type;
    for (auto& part : a.v) part = (typename Pack<T, c>::vector)((U)part << by);
    return a;
}

template <int by, class T, int c>
SIGMAX_INLINE Pack<T, c> shift_right_logical(Pack<T, c> a) {
    using U = typename Native<std::make_unsigned_t<T>>::type;
    for (auto& part : a.v) part = (typename Pack<T, c>::vector)((U)part >> by);
    return a;
}

template <class T, int c>
SIGMAX_INLINE Pack<Int<T>, c> bits(Pack<T, c> a) {
    Pack<Int<T>, c> r;
    for (int i = 0; i < Pack<T, c>::parts; ++i) r.v[i] = (typename Pack<Int<T>, c>::vector)a.v[i];
    return r;
}
template <class T, class I, int c>
SIGMAX_INLINE Pack<T, c> from_bits(Pack<I, c> a) {
    Pack<T, c> r;
    for (int i = 0; i < Pack<T, c>::parts; ++i) r.v[i] = (typename Pack<T, c>::vector)a.v[i];
    return r;
}
template <class T, int c>
SIGMAX_INLINE Pack<T, c> select(Pack<Int<T>, c> mask, Pack<T, c> yes, Pack<T, c> no) {
    for (int i = 0; i < Pack<T, c>::parts; ++i) no.v[i] = mask.v[i] ? yes.v[i] : no.v[i];
    return no;
}
template <class T, int c>
SIGMAX_INLINE Pack<T, c> select(Pack<Int<T>, c> mask, std::type_identity_t<T> yes, Pack<T, c> no) {
    return select(mask, Pack<T, c>(yes), no);
}
template <class T, int c>
SIGMAX_INLINE Pack<T, c> select(Pack<Int<T>, c> mask, Pack<T, c> yes, std::type_identity_t<T> no) {
    return select(mask, yes, Pack<T, c>(no));
}
#define SIGMAX_SELECT(I) \
    SIGMAX_INLINE Pack<I> select(Pack<I> mask, Pack<I> yes, Pack<I> no) { return (mask & yes) | ((Pack<I>(-1) ^ mask) & no); }
SIGMAX_SELECT(std::int32_t)
SIGMAX_SELECT(std::int64_t)
#undef SIGMAX_SELECT

// One copy of a pack, and one pack as every copy.
template <class T, int c>
SIGMAX_INLINE Pack<T> copy_of(Pack<T, c> a, int which) {
    Pack<T> r;
    for (int i = 0; i < Pack<T>::parts; ++i) r.v[i] = a.v[which * Pack<T>::parts + i];
    return r;
}
template <int times, class T, int c>
SIGMAX_INLINE Pack<T, c * times> repeat(Pack<T, c> a) {
    Pack<T, c * times> r;
    for (int i = 0; i < r.parts; ++i) r.v[i] = a.v[i % a.parts];
    return r;
}

template <class T, int c>
SIGMAX_INLINE Pack<T, c> abs(Pack<T, c> a) {
    return from_bits<T>(bits(a) & std::numeric_limits<Int<T>>::max());
}

template <class I, int c>
SIGMAX_INLINE bool any(Pack<I, c> mask) {
    typename Pack<I, c>::vector seen = mask.v[0];
    for (int i = 1; i < Pack<I, c>::parts; ++i) seen |= mask.v[i];
    return any_native(seen);
}

// fma, and max/min with the x86 rule: the second operand where either is NaN (so a NaN score stays a NaN).
#if SIGMAX_BYTES == 64
SIGMAX_INLINE Native<float>::type fma_native(Native<float>::type a, Native<float>::type b, Native<float>::type c) {
    return _mm512_fmadd_ps(a, b, c);
}
SIGMAX_INLINE Native<double>::type fma_native(Native<double>::type a, Native<double>::type b, Native<double>::type c) {
    return _mm512_fmadd_pd(a, b, c);
}
SIGMAX_INLINE Native<float>::type max_native(Native<float>::type a, Native<float>::type b) { return _mm512_max_ps(a, b); }
SIGMAX_INLINE Native<double>::type max_native(Native<double>::type a, Native<double>::type b) { return _mm512_max_pd(a, b); }
SIGMAX_INLINE Native<float>::type min_native(Native<float>::type a, Native<float>::type b) { return _mm512_min_ps(a, b); }
SIGMAX_INLINE Native<double>::type min_native(Native<double>::type a, Native<double>::type b) { return _mm512_min_pd(a, b); }
SIGMAX_INLINE void widen_native(Native<float>::type a, Native<double>::type& low, Native<double>::type& high) {
    low = _mm512_cvtps_pd(_mm512_castps512_ps256(a));
    high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
}
SIGMAX_INLINE Native<float>::type narrow_native(Native<double>::type low, Native<double>::type high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}
SIGMAX_INLINE Native<std::int32_t>::type lookup_native(const void* table, Native<std::int32_t>::type index) {
    return (Native<std::int32_t>::type)_mm512_permutexvar_epi32((__m512i)index, _mm512_loadu_si512(table));
}
SIGMAX_INLINE Native<std::int64_t>::type lookup_native(const void* table, Native<std::int64_t>::type index) {
    auto half = static_cast<const __m512i*>(table);
    return (Native<std::int64_t>::type)_mm512_permutex2var_epi64(_mm512_loadu_si512(half), (__m512i)index, _mm512_loadu_si512(half + 1));
}
#elif SIGMAX_BYTES == 32
SIGMAX_INLINE Native<float>::type fma_native(Native<float>::type a, Native<float>::type b, Native<float>::type c) {
    return _mm256_fmadd_ps(a, b, c);
}
SIGMAX_INLINE Native<double>::type fma_native(Native<double>::type a, Native<double>::type b, Native<double>::type c) {
    return _mm256_fmadd_pd(a, b, c);
}
SIGMAX_INLINE Native<float>::type max_native(Native<float>::type a, Native<float>::type b) { return _mm256_max_ps(a, b); }
SIGMAX_INLINE Native<double>::type max_native(Native<double>::type a, Native<double>::type b) { return _mm256_max_pd(a, b); }
SIGMAX_INLINE Native<float>::type min_native(Native<float>::type a, Native<float>::type b) { return _mm256_min_ps(a, b); }
SIGMAX_INLINE Native<double>::type min_native(Native<double>::type a, Native<double>::type b) { return _mm256_min_pd(a, b); }
SIGMAX_INLINE void widen_native(Native<float>::type a, Native<double>::type& low, Native<double>::type& high) {
    low = _mm256_cvtps_pd(_mm256_castps256_ps128(a));
    high = _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
}
SIGMAX_INLINE Native<float>::type narrow_native(Native<double>::type low, Native<double>::type high) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}
SIGMAX_INLINE Native<std::int32_t>::type lookup_native(const void* table, Native<std::int32_t>::type index) {
    auto half = static_cast<const __m256i*>(table);
    __m256i low = _mm256_permutevar8x32_epi32(_mm256_loadu_si256(half), (__m256i)index);
    __m256i high = _mm256_permutevar8x32_epi32(_mm256_loadu_si256(half + 1), (__m256i)index);
    __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32((__m256i)index, 28));
    return (Native<std::int32_t>::type)_mm256_blendv_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), is_high);
}
SIGMAX_INLINE Native<std::int64_t>::type lookup_native(const void* table, Native<std::int64_t>::type index) {
    const auto quarter = static_cast<const __m256i*>(table);  // a gather takes twice as long
    const __m256i twice = _mm256_slli_epi32(_mm256_shuffle_epi32((__m256i)index, 0xa0), 1);
    const __m256i halves = _mm256_or_si256(twice, _mm256_set1_epi64x(std::int64_t{1} << 32));
    const __m256d odd = _mm256_castsi256_pd(_mm256_slli_epi64((__m256i)index, 61));
    const __m256d upper = _mm256_castsi256_pd(_mm256_slli_epi64((__m256i)index, 60));
    auto of = [&](int i)
                  SIGMAX_LAMBDA { return _mm256_castsi256_pd(_mm256_permutevar8x32_epi32(_mm256_loadu_si256(quarter + i), halves)); };
    const __m256d low = _mm256_blendv_pd(of(0), of(1), odd), high = _mm256_blendv_pd(of(2), of(3), odd);
    return (Native<std::int64_t>::type)_mm256_blendv_pd(low, high, upper);
}
#else
#if defined(__x86_64__)
SIGMAX_INLINE void widen_native(Native<float>::type a, Native<double>::type& low, Native<double>::type& high) {
    low = _mm_cvtps_pd(a);
    high = _mm_cvtps_pd(_mm_movehl_ps(a, a));
}
SIGMAX_INLINE Native<float>::type narrow_native(Native<double>::type low, Native<double>::type high) {
    return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}
#else
SIGMAX_INLINE void widen_native(Native<float>::type a, Native<double>::type& low, Native<double>::type& high) {
    low = vcvt_f64_f32(vget_low_f32(a));
    high = vcvt_high_f64_f32(a);
}
SIGMAX_INLINE Native<float>::type narrow_native(Native<double>::type low, Native<double>::type high) {
    return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
}
#endif
#if defined(__aarch64__)
SIGMAX_INLINE Native<float>::type fma_native(Native<float>::type a, Native<float>::type b, Native<float>::type c) {
    return vfmaq_f32(c, a, b);
}
SIGMAX_INLINE Native<double>::type fma_native(Native<double>::type a, Native<double>::type b, Native<double>::type c) {
    return vfmaq_f64(c, a, b);
}
#else
// SSE2 has no fused multiply-add. These give its exact result, so that the oldest CPU returns the same bits as the newest;
// they are slow, and only CPUs from before 2013 run them.
typedef std::int64_t i64x2 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));

// a + b rounded to odd: a second rounding to fewer digits is then the correct one (Boldo & Melquiond, IEEE TC 57(4), 2008).
SIGMAX_INLINE f64x2 add_to_odd(f64x2 a, f64x2 b) {
    f64x2 s = a + b, t = s - a, e = (a - (s - t)) + (b - t);
    i64x2 inexact = (i64x2)((e < 0) | (e > 0));
    i64x2 step = inexact & 1 & ~(i64x2)s;
    i64x2 away = (i64x2)((__attribute__((vector_size(16))) std::uint64_t)((i64x2)e ^ (i64x2)s) >> 63);
    return (f64x2)((i64x2)s + step - ((step & away) << 1));
}
[[gnu::noinline]] static Native<float>::type fma_native(Native<float>::type a, Native<float>::type b, Native<float>::type c) {
    typedef float f32x2 __attribute__((vector_size(8)));
    Native<float>::type r;
    for (int half = 0; half < 2; ++half) {
        f64x2 wide[3];
        Native<float>::type in[3] = {a, b, c};
        for (int i = 0; i < 3; ++i) wide[i] = half ? f64x2{in[i][2], in[i][3]} : f64x2{in[i][0], in[i][1]};
        f64x2 s = add_to_odd(wide[0] * wide[1], wide[2]);  // the product of two floats is exact in a double
        f32x2 narrow = __builtin_convertvector(s, f32x2);
        r[2 * half] = narrow[0];
        r[2 * half + 1] = narrow[1];
    }
    return r;
}
[[gnu::noinline]] static Native<double>::type fma_native(Native<double>::type a, Native<double>::type b, Native<double>::type c) {
    const f64x2 splitter = f64x2{} + 0x1p27 + 1;
    f64x2 ta = a * splitter, ah = ta - (ta - a), al = a - ah;
    f64x2 tb = b * splitter, bh = tb - (tb - b), bl = b - bh;
    f64x2 p = a * b, pl = al * bl - (((p - ah * bh) - al * bh) - ah * bl);  // a b = p + pl (Dekker)
    f64x2 s = c + pl, t = s - c, sl = (c - (s - t)) + (pl - t);
    f64x2 u = p + s, w = u - p, ul = (p - (u - w)) + (s - w);
    f64x2 r = u + add_to_odd(ul, sl);
    for (int i = 0; i < 2; ++i) {  // where a part of that may overflow or underflow
        const double size = std::fabs(p[i]), largest = 0x1p990;
        const bool usual = (size > 0x1p-900 || a[i] == 0 || b[i] == 0) && size < largest && std::fabs(a[i]) < largest &&
                           std::fabs(b[i]) < largest && std::fabs(c[i]) < largest;
        if (!usual) r[i] = std::fma(a[i], b[i], c[i]);
    }
    return r;
}
#endif
SIGMAX_INLINE Native<std::int32_t>::type lookup_native(const void* table, Native<std::int32_t>::type index) {
    std::int32_t word[16];
    std::memcpy(word, table, sizeof word);
    return Native<std::int32_t>::type{word[index[0] & 15], word[index[1] & 15], word[index[2] & 15], word[index[3] & 15]};
}
SIGMAX_INLINE Native<std::int64_t>::type lookup_native(const void* table, Native<std::int64_t>::type index) {
    std::int64_t word[16];
    std::memcpy(word, table, sizeof word);
    return Native<std::int64_t>::type{word[index[0] & 15], word[index[1] & 15]};
}
template <class V>
SIGMAX_INLINE V max_native(V a, V b) {
    return a > b ? a : b;
}
template <class V>
SIGMAX_INLINE V min_native(V a, V b) {
    return a < b ? a : b;
}
#endif

template <class T, int c>
SIGMAX_INLINE Pack<T, c> fma(Pack<T, c> a, std::type_identity_t<Pack<T, c>> b, std::type_identity_t<Pack<T, c>> addend) {
    for (int i = 0; i < Pack<T, c>::parts; ++i) a.v[i] = fma_native(a.v[i], b.v[i], addend.v[i]);
    return a;
}
template <class T, int c>
SIGMAX_INLINE Pack<T, c> max(Pack<T, c> a, std::type_identity_t<Pack<T, c>> b) {
    for (int i = 0; i < Pack<T, c>::parts; ++i) a.v[i] = max_native(a.v[i], b.v[i]);
    return a;
}
template <class T, int c>
SIGMAX_INLINE Pack<T, c> min(Pack<T, c> a, std::type_identity_t<Pack<T, c>> b) {
    for (int i = 0; i < Pack<T, c>::parts; ++i) a.v[i] = min_native(a.v[i], b.v[i]);
    return a;
}

// float <-> double, lane by lane, one rounding.
template <class To, class From, int c>
SIGMAX_INLINE Pack<To, c> convert(Pack<From, c> a) {
    Pack<To, c> r;
    if constexpr (std::is_same_v<To, From>)
        r = a;
    else if constexpr (sizeof(To) == 8)
        for (int i = 0; i < Pack<From, c>::parts; ++i) widen_native(a.v[i], r.v[2 * i], r.v[2 * i + 1]);
    else
        for (int i = 0; i < Pack<To, c>::parts; ++i) r.v[i] = narrow_native(a.v[2 * i], a.v[2 * i + 1]);
    return r;
}

// table[index mod 16], lane by lane.
template <class T, int c>
SIGMAX_INLINE Pack<T, c> lookup(const T (&table)[16], Pack<Int<T>, c> index) {
    Pack<T, c> r;
    for (int i = 0; i < r.parts; ++i) r.v[i] = (typename Pack<T, c>::vector)lookup_native(table, index.v[i]);
    return r;
}

// Two-term arithmetic: hi + lo carries about twice the digits of T. (Dekker 1971; Knuth, TAOCP 2, 4.2.2.)
template <class T, int c = 1>
struct Pair {
    Pack<T, c> hi, lo;
};
template <class T, int c>
SIGMAX_INLINE Pair<T, c> fast_two_sum(Pack<T, c> a, Pack<T, c> b) {  // exact if |a| >= |b|
    Pack<T, c> s = a + b;
    return {s, (a - s) + b};
}
template <class T, int c>
SIGMAX_INLINE Pair<T, c> two_sum(Pack<T, c> a, Pack<T, c> b) {  // exact
    Pack<T, c> s = a + b, t = s - a;
    return {s, (a - (s - t)) + (b - t)};
}
template <class T, int c>
SIGMAX_INLINE Pair<T, c> two_product(Pack<T, c> a, Pack<T, c> b) {  // exact
    Pack<T, c> p = a * b;
    return {p, fma(a, b, -p)};
}
// Each is right to about 2^-104 of its larger operand, or of the product.
template <class T, int c>
SIGMAX_BLOCK Pair<T, c> operator+(Pair<T, c> a, Pair<T, c> b) {
    Pair<T, c> s = two_sum(a.hi, b.hi), t = two_sum(a.lo, b.lo);
    s = fast_two_sum(s.hi, s.lo + t.hi);
    return fast_two_sum(s.hi, s.lo + t.lo);
}
template <class T, int c>
SIGMAX_INLINE Pair<T, c> operator-(Pair<T, c> a) {
    return {-a.hi, -a.lo};
}
template <class T, int c>
SIGMAX_INLINE Pair<T, c> operator-(Pair<T, c> a, Pair<T, c> b) {
    return a + -b;
}
template <class T, int c>
SIGMAX_BLOCK Pair<T, c> operator*(Pair<T, c> a, Pair<T, c> b) {
    Pair<T, c> p = two_product(a.hi, b.hi);
    return fast_two_sum(p.hi, fma(a.hi, b.lo, fma(a.lo, b.hi, p.lo)));
}
// Scaling by a power of two.
template <class T, int c>
SIGMAX_INLINE Pair<T, c> operator*(Pair<T, c> a, Pack<T, c> power) {
    return {a.hi * power, a.lo * power};
}
template <class T, int c>
SIGMAX_INLINE Pair<T, c> select(Pack<Int<T>, c> mask, std::type_identity_t<Pair<T, c>> yes, Pair<T, c> no) {
    return {select(mask, yes.hi, no.hi), select(mask, yes.lo, no.lo)};
}
// hi + lo rounded to one term, and to an odd last digit where it is inexact: a second rounding to fewer digits is then the
// correct one (Boldo & Melquiond, IEEE TC 57(4), 2008). |lo| must be at most half a unit of hi.
SIGMAX_INLINE Pack<double> to_odd(Pair<double> x) {
    auto step = ((x.lo < 0.0) | (x.lo > 0.0)) & ((bits(x.hi) & 1) ^ 1);
    auto inwards = shift_right_logical<63>(bits(x.hi) ^ bits(x.lo));
    return from_bits<double>(bits(x.hi) + step - shift_left<1>(step & inwards));
}
// (n.hi + n.lo) / (d.hi + d.lo) in two terms, one division.
template <class T, int c>
SIGMAX_BLOCK Pair<T, c> divide(Pair<T, c> n, Pair<T, c> d) {
    Pack<T, c> inverse = Pack<T, c>(1) / d.hi, q = n.hi * inverse;
    Pack<T, c> rest = fma(-q, d.hi, n.hi) + fma(-q, d.lo, n.lo);
    return fast_two_sum(q, rest * inverse);
}
