// From a strided batch of rows to the kernels of rows.hpp and back: tiles of sixteen narrow rows, or one wide row at a time.
// Included once per level, hence no include guard.

inline constexpr std::ptrdiff_t narrow = 256;  // classes; upright tiles are faster below, flat rows above
inline constexpr std::ptrdiff_t doubled = 64;  // up to here two copies of a tile stay in the L1 cache

struct Softmax {
    static constexpr const char* name = "softmax";
    static constexpr bool reduces = false, tempered = true;
    template <class T>
    using Work = T;
    // Copies for a full load of the pipes: SSE2, AVX and all doubles have two registers or more in one pack already. A narrow row
    // of few classes has enough independent work in one.
    template <class T>
    static constexpr int copies = sizeof(T) == 4 && SIGMAX_BYTES == 64 ? 2 : 1;
    template <class T, bool across, bool scaled, class W, int copies>
    static Pack<W, copies> run(Scores<W, copies> x, Scores<W, copies> y, const Temperature<W, copies>& t) {
        return softmax_kernel<across, scaled>(x, y, t);
    }
    static double special(double z, double sum) { return std::exp(z) / sum; }
    static constexpr double impossible = 0;
};

struct LogSoftmax {
    static constexpr const char* name = "log_softmax";
    static constexpr bool reduces = false, tempered = true;
    template <class T>
    using Work = double;
    template <class T>
    static constexpr int copies = 1;
    template <class T, bool across, bool scaled, class W, int copies>
    static f64 run(Scores<double> x, Scores<double> y, const Temperature<double>& t) {
        return log_softmax_kernel<across, scaled, sizeof(T) == 8>(x, y, t);
    }
    static double special(double z, double sum) { return z - std::log(sum); }
    static constexpr double impossible = -std::numeric_limits<double>::infinity();
};

struct LogSumExp {
    static constexpr const char* name = "logsumexp";
    static constexpr bool reduces = true, tempered = false;
    template <class T>
    using Work = double;
    template <class T>
    static constexpr int copies = 1;
    template <class T, bool across, bool scaled, class W, int copies>
    static f64 run(Scores<double> x, Scores<double> y, const Temperature<double>& t) {
        return logsumexp_kernel<across, sizeof(T) == 8>(x, y, t);
    }
};

using RowFunctions = std::tuple<Softmax, LogSoftmax, LogSumExp>;

template <class T>
T read(const char* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
}
template <class T>
void write(char* p, double value) {
    T narrowed = static_cast<T>(value);
    std::memcpy(p, &narrowed, sizeof narrowed);
}
inline double temperature_of(const RowBatch& b, std::ptrdiff_t row) {
    return b.temperature ? read<double>(b.temperature + row * b.temperature_row) : 1.0;
}

// Temperatures whose inverse the kernels can hold in two terms of W. Beyond them, and for 0 and inf, see special_row.
template <class W>
bool ordinary(double t) {
    constexpr double bound = sizeof(W) == 4 ? 0x1p60 : 0x1p900;
    return t >= 1 / bound && t <= bound;
}

inline bool possible(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t k) {
    return !b.mask || b.mask[row * b.mask_row + k * b.mask_class];
}

// The limits: no possible class, scores of +inf, temperatures 0 and inf (and those outside `ordinary`), one row at a time.
// score(k) is -inf for an impossible class; the result goes to y, `step` apart, in place of the kernel's and before any of it
// is stored, because the scores may lie where the results go.
template <class F, class W, class Score>
[[gnu::noinline]] void special_row(Score score, std::ptrdiff_t classes, double t, W* y, std::ptrdiff_t step) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double m = -infinity;
    bool nan = false;
    for (std::ptrdiff_t k = 0; k < classes; ++k) {
        double x = score(k);
        nan = nan || x != x;
        m = x > m ? x : m;
    }
    if constexpr (F::reduces) {
        *y = nan ? std::numeric_limits<W>::quiet_NaN() : static_cast<W>(m);
    } else {
        auto exponent = [&](double x) {
            if (m == infinity || t == 0) return x == m ? 0.0 : -infinity;
            if (t == infinity) return x > -infinity ? 0.0 : -infinity;
            return (x - m) / t;
        };
        double sum = 0;
        if (m > -infinity)
            for (std::ptrdiff_t k = 0; k < classes; ++k) sum += std::exp(exponent(score(k)));
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            double value = m > -infinity ? F::special(exponent(score(k)), sum) : F::impossible;
            y[k * step] = nan ? std::numeric_limits<W>::quiet_NaN() : static_cast<W>(value);
        }
    }
}

template <class W, int copies>
struct RowTemperatures {
    Temperature<W, copies> lane;
    bool special[lanes * copies], any_special;
};
// The temperatures of `rows` rows, repeated over the lanes if there is only one.
template <class W, int copies>
RowTemperatures<W, copies> load_temperatures(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t rows) {
    constexpr std::ptrdiff_t n = lanes * copies;
    W hi[n], lo[n], value[n];
    RowTemperatures<W, copies> r;
    r.lane.unit = true;
    r.any_special = false;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        double t = i < rows || rows == 1 ? temperature_of(b, row + i % rows) : 1.0;
        r.special[i] = !ordinary<W>(t);
        r.any_special = r.any_special || r.special[i];
        if (r.special[i]) t = 1;
        double inverse = 1 / t;
        hi[i] = static_cast<W>(inverse);
        lo[i] = sizeof(W) == 4 ? static_cast<W>(inverse - hi[i]) : static_cast<W>(std::fma(-inverse, t, 1.0) * inverse);
        value[i] = static_cast<W>(t);
        r.lane.unit = r.lane.unit && t == 1;
    }
    r.lane.inverse = Pack<W, copies>::load(hi);
    r.lane.inverse_lo = Pack<W, copies>::load(lo);
    r.lane.value = Pack<W, copies>::load(value);
    return r;
}

template <class F, class T, bool across, class W, int copies>
Pack<W, copies> run_kernel(Scores<W, copies> x, Scores<W, copies> y, const Temperature<W, copies>& t) {
    if constexpr (F::tempered)
        if (!t.unit) return F::template run<T, across, true, W, copies>(x, y, t);
    return F::template run<T, across, false, W, copies>(x, y, t);
}

template <class W, int copies>
SIGMAX_INLINE bool any_infinite(Pack<W, copies> m) {
    return any(abs(m) == Pack<W, copies>(std::numeric_limits<W>::infinity()));
}

// Tiles of 16 x copies rows, from `row` on while they are full; with one copy, to the end.
template <class F, class T, int copies>
std::ptrdiff_t narrow_rows(const RowBatch& b, std::ptrdiff_t row) {
    using W = typename F::template Work<T>;
    constexpr std::ptrdiff_t n = lanes * copies;
    constexpr std::ptrdiff_t most = copies == 1 ? narrow : doubled;
    alignas(64) W x[most * n], y[most * n];
    RowTemperatures<W, copies> t;
    for (bool first = true; row < b.rows && (copies == 1 || b.rows - row >= n); row += n, first = false) {
        const std::ptrdiff_t rows = b.rows - row < n ? b.rows - row : n;
        if (first || (b.temperature && b.temperature_row != 0)) t = load_temperatures<W, copies>(b, row, b.temperature_row ? rows : 1);
        for (std::ptrdiff_t i = 0; i < rows; i += lanes)
            load_tile<n, T>(b.x + (row + i) * b.x_row, b.x_row, b.x_class, rows - i < lanes ? rows - i : lanes, b.classes, x + i);
        if (b.mask)
            for (std::ptrdiff_t k = 0; k < b.classes; ++k)
                for (std::ptrdiff_t i = 0; i < rows; ++i)
                    if (!possible(b, row + i, k)) x[k * n + i] = -std::numeric_limits<W>::infinity();
        const std::ptrdiff_t results = F::reduces ? 1 : b.classes;
        Pack<W, copies> m = run_kernel<F, T, false, W, copies>({x, nullptr, b.classes, b.classes}, {y, nullptr, results, results}, t.lane);
        if (t.any_special || any_infinite(m)) {
            W top[n];
            m.store(top);
            for (std::ptrdiff_t i = 0; i < rows; ++i) {
                if (!t.special[i] && !std::isinf(top[i])) continue;
                const std::ptrdiff_t r = row + i;  // the kernel has used the tile's scores up
                auto score = [&](std::ptrdiff_t k) {
                    return possible(b, r, k) ? static_cast<double>(read<T>(b.x + r * b.x_row + k * b.x_class))
                                             : -std::numeric_limits<double>::infinity();
                };
                special_row<F>(score, b.classes, temperature_of(b, r), y + i, n);
            }
        }
        for (std::ptrdiff_t i = 0; i < rows; i += lanes)
            store_tile<n, T>(y + i, b.y + (row + i) * b.y_row, b.y_row, b.y_class, rows - i < lanes ? rows - i : lanes, results);
    }
    return row;
}

template <class F, class T>
unsigned wide_rows(const RowBatch& b) {
    using W = typename F::template Work<T>;
    constexpr int copies = F::template copies<T>;
    constexpr std::ptrdiff_t item = sizeof(T), step = lanes * copies, pad = 2 * lanes, cache = 1 << 18;
    const bool x_direct = std::is_same_v<T, W> && b.x_class == item && !b.mask && b.x != b.y;  // x is read again
    const bool y_direct = std::is_same_v<T, W> && (b.y_class == item || F::reduces);
    // Rows that run across memory are gathered several at a time, so that each cache line is read once.
    std::ptrdiff_t together = b.x_class == item && b.y_class == item ? 1 : cache / b.classes;
    together = together < 1 ? 1 : together > lanes ? lanes : together;
    const std::ptrdiff_t padded = (b.classes + pad - 1) / pad * pad;  // the same at every CPU level
    std::unique_ptr<W[]> x_rows(x_direct ? nullptr : new (std::nothrow) W[padded * together]);
    std::unique_ptr<W[]> y_rows(y_direct ? nullptr : new (std::nothrow) W[padded * together]);
    if ((!x_direct && !x_rows) || (!y_direct && !y_rows)) return unsigned(Status::no_memory);

    for (std::ptrdiff_t row = 0; row < b.rows; row += together) {
        const std::ptrdiff_t rows = b.rows - row < together ? b.rows - row : together;
        if (!x_direct)
            move_rows<T, W>(b.x + row * b.x_row, b.x_row, b.x_class, reinterpret_cast<char*>(x_rows.get()), padded * sizeof(W), sizeof(W),
                            rows, b.classes);
        if (b.mask)
            for (std::ptrdiff_t i = 0; i < rows; ++i)
                for (std::ptrdiff_t k = 0; k < b.classes; ++k)
                    if (!possible(b, row + i, k)) x_rows[i * padded + k] = -std::numeric_limits<W>::infinity();
        for (std::ptrdiff_t i = 0; i < rows; ++i) {
            W* x = x_direct ? reinterpret_cast<W*>(const_cast<char*>(b.x + (row + i) * b.x_row)) : x_rows.get() + i * padded;
            W* y = y_direct ? reinterpret_cast<W*>(b.y + (row + i) * b.y_row) : y_rows.get() + i * padded;
            W x_tail[pad], y_tail[pad], top[step];
            const std::ptrdiff_t whole = b.classes / step * step;
            for (std::ptrdiff_t k = whole; k < padded; ++k) x_tail[k - whole] = k < b.classes ? x[k] : -std::numeric_limits<W>::infinity();
            auto t = load_temperatures<W, copies>(b, row + i, 1);
            Scores<W, copies> from = {x, x_tail, whole / step, padded / step};
            Scores<W, copies> to = {F::reduces ? y_tail : y, y_tail, whole / step, padded / step};
            run_kernel<F, T, true, W, copies>(from, to, t.lane).store(top);
            for (std::ptrdiff_t k = whole; k < b.classes && !F::reduces; ++k) y[k] = y_tail[k - whole];
            if (t.any_special || std::isinf(top[0])) {
                auto score = [&](std::ptrdiff_t k) { return static_cast<double>(x[k]); };
                special_row<F>(score, b.classes, temperature_of(b, row + i), F::reduces ? y_tail : y, 1);
            }
            if constexpr (F::reduces) write<T>(b.y + (row + i) * b.y_row, y_tail[0]);
        }
        if constexpr (!F::reduces)
            if (!y_direct)
                move_rows<W, T>(reinterpret_cast<char*>(y_rows.get()), padded * sizeof(W), sizeof(W), b.y + row * b.y_row, b.y_row,
                                b.y_class, rows, b.classes);
    }
    return 0;
}

template <class F, class T>
unsigned row_loop(const RowBatch& b) {
    if (b.classes > narrow) return wide_rows<F, T>(b);
    std::ptrdiff_t row = 0;
    if constexpr (F::template copies<T> > 1)
        if (b.classes > 12 && b.classes <= doubled) row = narrow_rows<F, T, F::template copies<T>>(b, 0);
    narrow_rows<F, T, 1>(b, row);
    return 0;
}
