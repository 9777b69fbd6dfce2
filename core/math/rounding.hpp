// From a result with about twice the digits to the correctly rounded one.
//
// A link is worked out in plain arithmetic first: for float in double, to a relative error below 2^-38 (the sigmoid before that in
// two-term floats, to 2^-31.5), for float16 and bfloat16 in float, to 2^-21.2. Where no number so near lies on a boundary between two results, its rounding is the correct one; else (one result
// in eight thousand, one in 500 of float16) and where the result is infinite or outside the domain, it is found again, for halves by
// way of double, and at last with 60 bits. So the bits of a result do not depend on how it was found.
//
// Tried and lost: both bounds of a double rounded and compared, which is done only where a result is subnormal (0.85 ns an element for
// the sigmoid, 0.6 so); the estimate of a reciprocal and two steps of Newton's in place of a division (no faster).
// Included once per level, hence no include guard.

// What is not a number is always in doubt.
template <class W, int n>
SIGMAX_INLINE Pack<W, n> unless(Pack<Int<W>, n> other, Pack<W, n> y) {
    return select(other, std::numeric_limits<W>::quiet_NaN(), y);
}

// Near a boundary of doubles: between two floats, at the half of a unit; between two numbers that round to odd in a float, from
// where another rounding to 16 bits is the correct one (Boldo & Melquiond 2008), at a whole unit.
template <class T>
struct Boundary {
    static constexpr std::int64_t margin = 1 << 15, unit = 1 << 29, middle = Format<T>::is_half ? 0 : unit / 2, between = unit - 2 * margin;
    template <int n>
    SIGMAX_INLINE static Pack<float, n> rounded(Pack<std::int64_t, n> word) {
        if constexpr (Format<T>::is_half) word = (word | unit) & ~(unit - 1);
        return convert<float>(from_bits<double>(word));
    }
};

// The type that a result of type T is worked out in at first.
template <class T>
using ShortWork = std::conditional_t<Format<T>::is_half, float, double>;

// The lanes of any packs whose results are in doubt, or too small for the test that tells. `settle` gives the results for
// store_settled. `fully`: with a slower test that tells for subnormal float16 too.
template <class T, bool fully>
class Doubts {
public:
    template <int n>
    SIGMAX_INLINE Pack<float, n> settle(Pack<double, n> q) {
        using B = Boundary<T>;
        Pack<float, n> r = B::rounded(bits(q));
        near(bits(q) + (B::middle + B::margin), B::between);
        small(r, 0x1p-126f);
        return r;
    }
    template <int n>
    SIGMAX_INLINE Pack<float, n> settle(Pack<float, n> q) {
        using P = Pack<float, n>;
        constexpr bool is_float16 = std::is_same_v<T, float16>;
        constexpr std::int32_t margin = 8, unit = is_float16 ? 0x2000 : 0x10000;
        if constexpr (is_float16 && fully) {
            P less = fma(q, -margin * 0x1p-24f, q), more = fma(q, margin * 0x1p-24f, q);
            P a = round_to_float16(less), b = round_to_float16(more);
            for (int i = 0; i < q.parts; ++i) flags_.unlike(a.v[i], b.v[i]);
            return less;
        }
        auto place = bits(q) + (unit / 2 + margin);
        near(place, unit - 2 * margin);
        small(q, is_float16 ? 0x1p-14f : 0x1p-126f);
        return is_float16 ? q : from_bits<float>(place);
    }
    SIGMAX_INLINE bool any() const { return flags_.any(); }

private:
    template <class I, int n>
    SIGMAX_INLINE void near(Pack<I, n> place, I between) {
        for (auto part : place.v) flags_.no_bit_of(part, between);
    }
    template <int n>
    SIGMAX_INLINE void small(Pack<float, n> r, float least) {
        for (auto part : r.v) flags_.not_above(part, least);
    }

    isa::Flags flags_;
};

template <class T, int n>
SIGMAX_INLINE void store_settled(T* p, Pack<float, n> r) {
    if constexpr (std::is_same_v<T, bfloat16>)
        store_words(p, shift_right_logical<16>(bits(r)));
    else
        store_as(p, r);
}

// Two-term floats of that relative error, rounded; in doubt where both bounds do not round alike. (Ziv, ACM TOMS 17(3), 1991.)
inline constexpr float doubt35 = 0x1.6ap-32f;
template <int n>
SIGMAX_INLINE Pack<float, n> settle35(Pair<float, n> q, isa::Flags* doubts) {
    const Pack<float, n> margin = q.hi * doubt35, r = q.hi + (q.lo + margin), other = q.hi + (q.lo - margin);
    for (int i = 0; i < r.parts; ++i) doubts[i].unlike(r.v[i], other.v[i]);
    return r;
}

// The same for one pack by rounding both bounds, which tells subnormal results too. An infinite one is in doubt.
template <class T, int n>
SIGMAX_INLINE bool settled(Pack<double, n> q, Pack<float, n>& r) {
    using B = Boundary<T>;
    r = B::rounded(bits(q) - B::margin);
    auto doubtful = r != B::rounded(bits(q) + B::margin);
    if constexpr (Format<T>::is_half) doubtful = doubtful | (abs(r) < 0x1p-126f);
    return !any(doubtful);
}
