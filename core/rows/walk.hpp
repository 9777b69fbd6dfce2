// How a kernel walks over the classes of a row, and what its lanes make of them in the end.
//
//   - Rows of up to `most_upright` classes stand upright: a vector holds one class of n rows, lane l is row l. The tile is transposed
//     in registers on the way in and out, so that no lane ever meets another.
//   - Wider rows lie flat: a vector holds n neighbouring classes of one row. Sixteen sums are kept, one for each class mod 16, whatever
//     n is: they are `strands` of n lanes, and vector i belongs to strand i mod 16 / n. What they hold is joined in a fixed tree.
//
// Which of the two a row takes depends on its number of classes alone, so its bits depend neither on its neighbours nor on the width
// of a register. Kernels in the type of their scores are compiled for both; those in double, which have much text, ask `flat`.
//
// -inf and masked scores arrive as -inf. Each kernel returns the rows' maxima, so that its caller can see to the rows that have no
// finite one. Included once per level, hence no include guard.

inline constexpr std::ptrdiff_t most_upright = 192;  // classes; upright tiles are faster below, flat rows above
inline constexpr std::ptrdiff_t pad = 2 * lanes;
// The classes of a flat row, with as many impossible ones as fill its last vectors: the same at every CPU level.
inline constexpr std::ptrdiff_t padded_length(std::ptrdiff_t classes) { return (classes + pad - 1) / pad * pad; }

// Vectors of n scores of one row or of as many rows; the last ones stand in `tail`, or all of them in windows.
template <class T, int n = natural<T>>
struct Scores {
    T* data;
    T* tail;
    std::ptrdiff_t whole, count;
    const char* soon = nullptr;  // memory that is needed next, as large as these scores
    Windows<T>* windows = nullptr;
    SIGMAX_INLINE T* at(std::ptrdiff_t i) const { return i < whole ? data + i * n : tail + (i - whole) * n; }
    SIGMAX_INLINE Pack<T, n> operator[](std::ptrdiff_t i) const { return Pack<T, n>::load(at(i)); }
    // A part of it, so that memory and arithmetic work at the same time: a tile reads memory in no order that a CPU foresees
    // (20,000 x 100 floats out of cache: 0.8 ns an element, 1.3 without).
    SIGMAX_INLINE void fetch(std::ptrdiff_t i) const {
        constexpr int size = n * sizeof(T);
        for (int at = 0; at < size; at += 64) __builtin_prefetch(soon + i * size + at);
    }
    // The vectors from i on that lie behind one another: the first of them, and the one after the last.
    struct Stretch {
        T* first;
        std::ptrdiff_t end;
    };
    SIGMAX_INLINE Stretch stretch(std::ptrdiff_t i) const {
        constexpr std::ptrdiff_t size = Windows<T>::length / n;
        if (windows) return {windows->at(i / size * Windows<T>::length) + i % size * n, i / size * size + size};
        if (i < whole) return {data + i * n, whole};
        return {tail + (i - whole) * n, count};
    }
};

// body(scores, weights, results, i) at every `step`th vector of three operands from `begin` on: without a question at each where it lies.
template <bool flat, bool delivers = false, class T, int n, class Body>
SIGMAX_INLINE void walk(const Scores<T, n>& x, const Scores<T, n>& w, const Scores<T, n>& y, std::ptrdiff_t begin, std::ptrdiff_t end,
                        int step, Body body) {
    if constexpr (flat) {
        for (std::ptrdiff_t i = begin; i < end;) {
            const auto from = x.stretch(i), beside = w.stretch(i), to = y.stretch(i);
            const std::ptrdiff_t first = i, stop = std::min({from.end, beside.end, to.end, end});
            for (; i < stop; i += step) {
                const std::ptrdiff_t at = (i - first) * n;
                body(from.first + at, beside.first + at, to.first + at, i);
            }
            if constexpr (delivers)
                if (y.windows) y.windows->deliver(first * n, stop * n);
        }
    } else {
        for (std::ptrdiff_t i = begin; i < end; i += step) body(x.data + i * n, w.data + i * n, y.data + i * n, i);
    }
}
// The same without weights.
template <bool flat, bool delivers = false, class T, int n, class Body>
SIGMAX_INLINE void walk(const Scores<T, n>& x, const Scores<T, n>& y, std::ptrdiff_t begin, std::ptrdiff_t end, int step, Body body) {
    walk<flat, delivers>(x, x, y, begin, end, step,
                         [&](T* score, T*, T* result, std::ptrdiff_t i) SIGMAX_LAMBDA { body(score, result, i); });
}
// The last walk over all vectors, which leaves the results.
template <bool flat, class T, int n, class Body>
SIGMAX_INLINE void finish(const Scores<T, n>& x, const Scores<T, n>& y, Body body) {
    walk<flat, true>(x, y, 0, x.count, 1, body);
}

// body(strand, first, end) for the vectors first, first + strands ... before end that are added up before an addition in full.
template <bool flat, class T, int n, class Body>
SIGMAX_INLINE void in_blocks(const Scores<T, n>& x, std::ptrdiff_t terms, Body body) {
    constexpr int strands = flat ? lanes / n : 1;
    for (std::ptrdiff_t begin = 0; begin < x.count; begin += strands * terms) {
        const std::ptrdiff_t end = begin + strands * terms < x.count ? begin + strands * terms : x.count;
        for (int s = 0; s < strands; ++s) body(s, begin + s, end);
    }
}

// Whether the vectors of a row lie flat, and what follows for vector i: the numbers of its classes, and its strand.
template <class T, int n = natural<T>>
struct Lie {
    static constexpr int strands = lanes / n;
    bool flat;
    SIGMAX_INLINE Pack<T, n> classes(std::ptrdiff_t i) const {
        if (!flat) return Pack<T, n>(static_cast<T>(i));
        return Pack<T, n>::load(first_classes) + static_cast<T>(i * n);
    }
    SIGMAX_INLINE int strand(std::ptrdiff_t i) const { return flat ? static_cast<int>(i % strands) : 0; }

private:
    static constexpr T first_classes[lanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
};

// 1/T in two terms, the same in doubles, and T, one per lane.
template <class T, int n = natural<T>>
struct Temperature {
    Pack<T, n> inverse, inverse_lo, value;
    bool unit;
    Pack<double, n> wide_inverse, wide_inverse_lo;
};

// All that a kernel takes and gives: scores x, one weight a score and one result a class where the function has them.
template <class T, int n = natural<T>>
struct Rows {
    static constexpr int strands = lanes / n;
    Scores<T, n> x, y, w;
    Temperature<T, n> temperature;
    Pack<double, n> label, smoothing;  // one a row, as are the results
    Pack<T, n> results[2];
    bool to_narrow;  // whether results are narrower than float64
    bool flat;
    double* kept = nullptr;           // one a score, where a function keeps some
    Pack<std::int64_t, n> again = 0;  // rows whose digits did not do

    SIGMAX_INLINE Pack<T, n> classes(std::ptrdiff_t i) const { return Lie<T, n>{flat}.classes(i); }
    SIGMAX_INLINE int strand(std::ptrdiff_t i) const { return Lie<T, n>{flat}.strand(i); }
};

// Where the class of each lane's number stands; the first one for what is no number of a class.
template <bool flat, class T, int n>
struct Named {
    std::ptrdiff_t number[n];
    SIGMAX_INLINE Named(Pack<double, n> numbers, std::ptrdiff_t count) {
        double given[n];
        numbers.store(given);
        const double classes = static_cast<double>(flat ? count * n : count);
        for (int l = 0; l < n; ++l) number[l] = given[l] >= 0 && given[l] < classes ? static_cast<std::ptrdiff_t>(given[l]) : 0;
    }
    SIGMAX_INLINE T* at(const Scores<T, n>& x, int lane) const {
        if constexpr (flat) return number[0] < x.whole * n ? x.data + number[0] : x.tail + (number[0] - x.whole * n);
        return x.data + number[lane] * n + lane;
    }
    SIGMAX_INLINE Pack<T, n> of(const Scores<T, n>& x) const {
        if constexpr (flat) return Pack<T, n>(x.windows ? x.windows->one(number[0]) : *at(x, 0));
        T scores[n];
        for (int l = 0; l < n; ++l) scores[l] = *at(x, l);
        return Pack<T, n>::load(scores);
    }
    SIGMAX_INLINE void put(Pack<T, n> values, const Scores<T, n>& y) const {
        T value[n];
        values.store(value);
        if (flat && y.windows) return y.windows->put(number[0], value[0]);
        for (int l = 0; l < (flat ? 1 : n); ++l) *at(y, l) = value[l];
    }
};

template <class W, int n>
SIGMAX_INLINE bool any_infinite(Pack<W, n> m) {
    return any(abs(m) == Pack<W, n>(std::numeric_limits<W>::infinity()));
}

// ---- across the lanes: fixed trees ----

// The lanes of a register, moved down by `by`, the lowest ones to the top.
template <int by, class V, int... i>
SIGMAX_INLINE V rotated(V v, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(v, v, ((i + by) % int(sizeof...(i)))...);
}
// join(lanes moved down by n) for n = half the lanes of a pack, a quarter ... 1: what is in lane 0 has met all others.
template <int by, class T, int n, class Join>
SIGMAX_INLINE void tree(Join join) {
    if constexpr (by >= 1) {
        auto moved = [](Pack<T, n> p) SIGMAX_LAMBDA {
            constexpr int width = Pack<T, n>::width;
            Pack<T, n> r = p;
            if constexpr (by >= width)
                for (int i = 0; i < by / width; ++i) r.v[i] = p.v[i + by / width];
            else
                r.v[0] = rotated<by>(p.v[0], std::make_integer_sequence<int, width>{});
            return r;
        };
        join(moved);
        tree<by / 2, T, n>(join);
    }
}
// The largest of sixteen lanes; NaN is none. Of zeros, +0.
template <class T, int n, int strands>
SIGMAX_INLINE Pack<T, n> joined(Pack<T, n> (&m)[strands]) {
    for (int by = strands / 2; by >= 1; by /= 2)
        for (int s = 0; s < by; ++s) m[s] = max(m[s], m[s + by]);
    tree<n / 2, T, n>([&](auto moved) SIGMAX_LAMBDA { m[0] = max(m[0], moved(m[0])); });
    return Pack<T, n>(first_lane(m[0]) + T(0));
}

// One member of what each strand has found, lane by lane.
template <class Found>
SIGMAX_INLINE void store_strands(const Found* strands, f64 Found::* member, double (&to)[lanes]) {
    for (int s = 0; s < lanes / double_lanes; ++s) (strands[s].*member).store(to + s * double_lanes);
}
template <class T>
inline int first_largest(const T (&x)[lanes]) {
    int best = 0;
    for (int i = 1; i < lanes; ++i)
        if (x[i] > x[best]) best = i;
    return best;
}
// What a Found has seen of all scores of a row.
template <class Found, class X>
SIGMAX_INLINE Found seen(const X& x, std::ptrdiff_t count, Lie<double> lie) {
    Found found[Lie<double>::strands];
    for (std::ptrdiff_t i = 0; i < count; ++i) found[lie.strand(i)].see(x[i], lie.classes(i));
    return lie.flat ? joined(found) : found[0];
}

// A sum in two terms, twice the digits of T.
template <class T, int n = natural<T>>
struct Sum {
    Pair<T, n> total;
    SIGMAX_INLINE Sum() : total{Pack<T, n>(0), Pack<T, n>(0)} {}
    SIGMAX_INLINE explicit Sum(Pair<T, n> x) : total(x) {}
    SIGMAX_INLINE void add(Pack<T, n> hi, Pack<T, n> lo) {
        Pair<T, n> s = two_sum(total.hi, hi);
        total = {s.hi, total.lo + (s.lo + lo)};
    }
    SIGMAX_INLINE void add(Pair<T, n> x) { add(x.hi, x.lo); }
    SIGMAX_INLINE void add_plainly(Pack<T, n> x) { total.hi = total.hi + x; }  // where one term is enough
    SIGMAX_INLINE Pair<T, n> value() const { return fast_two_sum(total.hi, total.lo); }
};
template <class T, int n, int strands>
SIGMAX_INLINE Sum<T, n> joined(Sum<T, n> (&sum)[strands]) {
    for (int by = strands / 2; by >= 1; by /= 2)
        for (int s = 0; s < by; ++s) sum[s].add(sum[s + by].total);
    Sum<T, n>& one = sum[0];
    tree<n / 2, T, n>([&](auto moved) SIGMAX_LAMBDA { one.add(moved(one.total.hi), moved(one.total.lo)); });
    return Sum<T, n>({Pack<T, n>(first_lane(one.total.hi)), Pack<T, n>(first_lane(one.total.lo))});
}

// The sums of a kernel that asks whether its rows lie flat.
struct Sums {
    Sum<double> of[lanes / double_lanes];
    SIGMAX_INLINE Sums() {}
    SIGMAX_INLINE Sum<double>& operator[](int strand) { return of[strand]; }
    SIGMAX_INLINE Sum<double> total(bool flat) const { return flat ? together() : of[0]; }

private:
    [[gnu::noinline]] Sum<double> together() const {
        Sums copy = *this;  // which the strands are added up in
        return joined(copy.of);
    }
};

// ---- differences of scores, divided by the temperature, in double ----

inline constexpr double reach = 800;  // e^-800 is nothing beside 1, and its power of two is normal times 2^512

template <int n>
SIGMAX_INLINE Pair<double, n> divided(Pair<double, n> z, const Temperature<double, n>& temperature) {
    Pair<double, n> product = two_product(z.hi, temperature.inverse);
    return {product.hi, fma(z.hi, temperature.inverse_lo, fma(z.lo, temperature.inverse, product.lo))};
}
// (x - m) / T for scores up to m: of halves where m, beside which halves of subnormal numbers are nothing, could make the difference too
// large for a number.
template <int n>
SIGMAX_INLINE Pair<double, n> exponent_of(Pack<double, n> x, Pack<double, n> m, Temperature<double, n> temperature) {
    auto large = abs(m) > 0x1p969;  // half of the last place of the largest number
    const Pack<double, n> down = select(large, 0.5, Pack<double, n>(1)), up = select(large, 2.0, Pack<double, n>(1));
    temperature.inverse = temperature.inverse * up;
    temperature.inverse_lo = temperature.inverse_lo * up;
    return without_nan(divided(without_nan(two_sum(x * down, m * -down)), temperature));
}
