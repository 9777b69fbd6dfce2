// What the functions over a row of class scores have in common.
//
// One kernel serves narrow and wide rows. It walks over vectors of sixteen scores and keeps sixteen of everything:
//   - narrow rows (up to `narrow` classes) stand upright: lane l is row l, step k is class k. The tile is transposed in
//     registers on the way in and out, so there is no horizontal step at all.
//   - wide rows lie flat: sixteen neighbouring scores a vector, one row at a time; what the sixteen lanes hold is then joined
//     in a fixed tree. `across` is this case.
// Which of the two a row takes depends on its number of classes alone, so its bits do not depend on its neighbours.
//
// Kernels work in W: float where scores and results are floats or narrower and float is enough, else double. -inf and masked
// scores arrive as -inf. Each kernel returns the row's maximum, so that its caller can see to the rows that have no finite one.
// Included once per level, hence no include guard.

inline constexpr std::ptrdiff_t narrow = 192;  // classes; upright tiles are faster below, flat rows above
inline constexpr std::ptrdiff_t pad = 2 * lanes;
// The classes of a flat row, with as many impossible ones as fill its last step: the same at every CPU level.
inline constexpr std::ptrdiff_t padded_length(std::ptrdiff_t classes) { return (classes + pad - 1) / pad * pad; }

// Steps of sixteen scores (times `copies`), of one row or of as many rows; the last, incomplete ones stand in `tail`.
template <class T, int copies = 1>
struct Scores {
    static constexpr std::ptrdiff_t step = copies * lanes;
    T* data;
    T* tail;
    std::ptrdiff_t whole, steps;
    const char* soon = nullptr;  // memory that is needed next, as large as these scores
    SIGMAX_INLINE T* at(std::ptrdiff_t j) const { return j < whole ? data + j * step : tail + (j - whole) * step; }
    // A part of it, so that memory and arithmetic work at the same time: a tile reads memory in no order that a CPU foresees
    // (20,000 x 100 floats out of cache: 0.8 ns an element, 1.3 without).
    SIGMAX_INLINE void fetch(std::ptrdiff_t j) const {
        for (int i = 0; i < copies * int(sizeof(T)) / 4; ++i) __builtin_prefetch(soon + (j * copies * sizeof(T) / 4 + i) * 64);
    }
};

// 1/T in two terms and T, one per lane.
template <class T, int copies = 1>
struct Temperature {
    Pack<T, copies> inverse, inverse_lo, value;
    bool unit;
};

// All that a kernel takes and gives: scores x, one weight a score and one result a class where the function has them.
template <class T, int copies = 1>
struct Rows {
    using P = Pack<T, copies>;
    Scores<T, copies> x, y, w;
    Temperature<T, copies> temperature;
    P label, smoothing;  // one a row, as are the results
    P results[2];
    bool narrow;  // whether results are narrower than float64
};

template <class W, int copies>
SIGMAX_INLINE bool any_infinite(Pack<W, copies> m) {
    return any(abs(m) == Pack<W, copies>(std::numeric_limits<W>::infinity()));
}

// ---- across the lanes: fixed trees ----

// The lanes of a register, moved down by `by`, the lowest ones to the top.
template <int by, class V, int... i>
SIGMAX_INLINE V rotated(V v, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(v, v, ((i + by) % int(sizeof...(i)))...);
}
// join(p, p with the lanes moved down by n) for n = half the lanes, a quarter ... 1: what is in lane 0 has met all others. Packs
// are given by parts, so that the upper half of the lanes comes first.
template <int by, class T, class Join>
SIGMAX_INLINE void tree(Join join) {
    constexpr int width = Pack<T>::width;
    if constexpr (by >= 1) {
        auto moved = [](Pack<T> p) SIGMAX_LAMBDA {
            Pack<T> r = p;
            if constexpr (by >= width)
                for (int i = 0; i < by / width; ++i) r.v[i] = p.v[i + by / width];
            else
                r.v[0] = rotated<by>(p.v[0], std::make_integer_sequence<int, width>{});
            return r;
        };
        join(moved);
        tree<by / 2, T>(join);
    }
}
template <class T>
SIGMAX_INLINE T first_lane(Pack<T> p) {
    return p.v[0][0];
}

template <class T, int copies>
SIGMAX_INLINE T tree_max(Pack<T, copies> p) {
    Pack<T> m = copy_of(p, 0);
    for (int i = 1; i < copies; ++i) m = max(m, copy_of(p, i));
    tree<lanes / 2, T>([&](auto moved) SIGMAX_LAMBDA { m = max(m, moved(m)); });
    return first_lane(m);
}

// A sum in two terms, twice the digits of T.
template <class T, int copies = 1>
struct Sum {
    Pair<T, copies> total;
    SIGMAX_INLINE static Sum zero() { return {{Pack<T, copies>(0), Pack<T, copies>(0)}}; }
    SIGMAX_INLINE void add(Pack<T, copies> hi, Pack<T, copies> lo) {
        Pair<T, copies> s = two_sum(total.hi, hi);
        total = {s.hi, total.lo + (s.lo + lo)};
    }
    SIGMAX_INLINE void gather() {
        static_assert(copies == 1);
        tree<lanes / 2, T>([&](auto moved) SIGMAX_LAMBDA { add(moved(total.hi), moved(total.lo)); });
        total = {Pack<T>(first_lane(total.hi)), Pack<T>(first_lane(total.lo))};
    }
    SIGMAX_INLINE Pair<T, copies> value() const { return fast_two_sum(total.hi, total.lo); }
};

// The number of the class that each lane holds in step j.
template <bool across>
SIGMAX_INLINE f64 class_at(std::ptrdiff_t j) {
    if constexpr (!across) return f64(static_cast<double>(j));
    static constexpr double lane[lanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return f64::load(lane) + static_cast<double>(j * lanes);
}

// ---- differences of scores, divided by the temperature, in double ----

inline constexpr double reach = 800;  // e^-800 is nothing beside 1, and its power of two is normal times 2^512

// x - m in two terms; without `exact` the second is left out
template <bool exact>
SIGMAX_INLINE Pair<double> difference(f64 x, f64 m) {
    if constexpr (exact) return two_sum(x, -m);
    return {x - m, 0.0};
}
template <bool scaled>
SIGMAX_INLINE Pair<double> divided(Pair<double> z, const Temperature<double>& temperature) {
    if constexpr (!scaled) return z;
    Pair<double> product = two_product(z.hi, temperature.inverse);
    return {product.hi, fma(z.hi, temperature.inverse_lo, fma(z.lo, temperature.inverse, product.lo))};
}
// An infinite difference has no second term.
SIGMAX_INLINE Pair<double> without_nan(Pair<double> z) {
    return {z.hi, select(abs(z.hi) == std::numeric_limits<double>::infinity(), 0.0, z.lo)};
}

// ---- where 100 bits are not enough ----

// For the lanes in `which`: log |sum of e^((x - shift) / temperature)|, times weights w unless w.data is null, over the row
// without the class in `left_out` (the number of its vector in that lane, or -1). For the others: `value`.
template <bool across, class X>
[[gnu::noinline]] f64 by_hand(const Scores<X>& x, const Scores<double>& w, const Pack<std::int64_t>& which, const f64& shift,
                              const f64& temperature, const Pack<std::int64_t>& left_out, const f64& value) {
    std::int64_t wanted[lanes], skipped[lanes];
    double result[lanes], shifts[lanes], temperatures[lanes];
    which.store(wanted);
    left_out.store(skipped);
    value.store(result);
    shift.store(shifts);
    temperature.store(temperatures);
    for (int lane = 0; lane < (across ? 1 : lanes); ++lane) {
        if (!wanted[lane]) continue;
        Longhand sum(shifts[lane], temperatures[lane]);
        for (std::ptrdiff_t j = 0; j < x.steps; ++j)
            for (int i = across ? 0 : lane; i < (across ? lanes : lane + 1); ++i)
                if (skipped[i] != j) sum.add(x.at(j)[i], w.data ? w.at(j)[i] : 1);
        const double found = sum.log();
        if (found == found) result[lane] = found;
    }
    return across ? f64(result[0]) : f64::load(result);
}
