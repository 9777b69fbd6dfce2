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

// Steps of sixteen scores (times `copies`), of one row or of as many rows; the last, incomplete ones stand in `tail`.
template <class T, int copies = 1>
struct Scores {
    static constexpr std::ptrdiff_t step = copies * lanes;
    T* data;
    T* tail;
    std::ptrdiff_t whole, steps;
    SIGMAX_INLINE T* at(std::ptrdiff_t j) const { return j < whole ? data + j * step : tail + (j - whole) * step; }
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

// ---- across the lanes: fixed trees ----

// join(i, i + n) for n = size/2, size/4 ... 1 and i < n: what is in 0 has met all others.
template <int size, class Join>
SIGMAX_INLINE void tree(Join join) {
    if constexpr (size > 1) {
#pragma GCC unroll 16
        for (int i = 0; i < size / 2; ++i) join(i, i + size / 2);
        tree<size / 2>(join);
    }
}

template <class T, int copies>
SIGMAX_INLINE T tree_max(Pack<T, copies> p) {
    T v[lanes * copies];
    p.store(v);
    tree<lanes * copies>([&](int i, int j) SIGMAX_LAMBDA { v[i] = v[i] > v[j] ? v[i] : v[j]; });
    return v[0];
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
        T hi[lanes], lo[lanes];
        total.hi.store(hi);
        total.lo.store(lo);
        tree<lanes>([&](int i, int j) SIGMAX_LAMBDA {
            T s = hi[i] + hi[j], t = s - hi[i];
            lo[i] += lo[j] + ((hi[i] - (s - t)) + (hi[j] - t));
            hi[i] = s;
        });
        total = {Pack<T, copies>(hi[0]), Pack<T, copies>(lo[0])};
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
template <bool across>
[[gnu::noinline]] f64 by_hand(const Scores<double>& x, const Scores<double>& w, const Pack<std::int64_t>& which, const f64& shift,
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
