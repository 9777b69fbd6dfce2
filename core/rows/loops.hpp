// From a strided batch of rows to the kernels and back: tiles of upright rows, or one flat row at a time.
// Included once per level, hence no include guard.

// ---- what a batch holds beside scores ----

inline double temperature_of(const RowBatch& b, std::ptrdiff_t row) {
    double t = 1;
    if (b.temperature.data) std::memcpy(&t, b.temperature.data + row * b.temperature.row, sizeof t);
    return t;
}
inline double label_of(const RowBatch& b, std::ptrdiff_t row) {
    std::int64_t label = -1;
    if (b.label.data) std::memcpy(&label, b.label.data + row * b.label.row, sizeof label);
    return static_cast<double>(label);
}
inline double smoothing_of(const RowBatch& b, std::ptrdiff_t row) {
    double smoothing = 0;
    if (b.smoothing.data) std::memcpy(&smoothing, b.smoothing.data + row * b.smoothing.row, sizeof smoothing);
    return smoothing;
}

template <class W, int n>
struct RowTemperatures {
    Temperature<W, n> lane;
    bool special[n], any_special;
};
// The temperatures of `rows` rows, repeated over the lanes if there is only one.
template <class W, int n>
SIGMAX_SHARED void load_temperatures(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t rows, RowTemperatures<W, n>& r) {
    r.lane = {Pack<W, n>(1), Pack<W, n>(0), Pack<W, n>(1), true, Pack<double, n>(1), Pack<double, n>(0)};
    r.any_special = false;
    std::memset(r.special, 0, sizeof r.special);
    if (!b.temperature.data) return;
    W hi[n], lo[n], value[n];
    double wide[n], wide_lo[n];
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        double t = i < rows || rows == 1 ? temperature_of(b, row + i % rows) : 1.0;
        r.special[i] = !ordinary<W>(t);
        r.any_special = r.any_special || r.special[i];
        if (r.special[i]) t = 1;
        const double inverse = wide[i] = 1 / t;
        hi[i] = static_cast<W>(inverse);
        wide_lo[i] = std::fma(-inverse, t, 1.0) * inverse;
        lo[i] = static_cast<W>(sizeof(W) == 4 ? inverse - hi[i] : wide_lo[i]);
        value[i] = static_cast<W>(t);
        r.lane.unit = r.lane.unit && t == 1;
    }
    r.lane.inverse = Pack<W, n>::load(hi);
    r.lane.inverse_lo = Pack<W, n>::load(lo);
    r.lane.value = Pack<W, n>::load(value);
    r.lane.wide_inverse = Pack<double, n>::load(wide);
    r.lane.wide_inverse_lo = Pack<double, n>::load(wide_lo);
}

// Masked scores become -inf, their weights in a sum 0. `to` holds the rows contiguously, `pitch` apart.
template <class W>
SIGMAX_SHARED void apply_mask(const Input& mask, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes, W* to,
                              std::ptrdiff_t pitch, W value) {
    const char* p = mask.data + first * mask.row;
    if (mask.row == classes * mask.step && pitch == classes) return hide(p, mask.step, rows * classes, value, to);
    for (std::ptrdiff_t i = 0; i < rows; ++i) hide(p + i * mask.row, mask.step, classes, value, to + i * pitch);
}
// The same on the way into a tile of n rows.
template <int n, class W>
SIGMAX_SHARED void load_masked(const Input& in, const Input& mask, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes,
                               W* tile, W value) {
    alignas(64) W flat[most_upright * n];
    load_rows<n>(in, first, rows, classes, flat, classes);
    apply_mask(mask, first, rows, classes, flat, classes, value);
    load_tile<n, n, W>(reinterpret_cast<const char*>(flat), classes * sizeof(W), sizeof(W), rows, classes, tile);
}
// The probabilities of a label are not masked: a label may name an impossible class, and pays for it.
template <class F>
inline constexpr bool masks_weights = F::weighted && !F::smoothed;

template <class F, bool flat, class W, int n>
SIGMAX_INLINE Pack<W, n> run_kernel(Rows<W, n>& r) {
    if constexpr (F::in_doubles) {
        return F::run(r);
    } else {
        if constexpr (F::tempered && !F::at_unit)
            if (!r.temperature.unit) return F::template run<flat, true>(r);
        return F::template run<flat, false>(r);
    }
}
template <class F>
bool is_narrow(const RowBatch& b) {
    return (F::per_class ? b.y.dtype : b.results[0].dtype) != Dtype::float64;
}

// The rows of a tile, or the classes of a flat row, that are worked on in step. Functions in doubles, which have much text, take a
// register; for the others a CPU of sixteen registers does better with two (v3, ns an element: softmax of ten doubles 1.83 and 1.67, of
// a thousand 1.40 and 1.34; logsumexp of ten 2.86 and 2.02; four lose again), one of thirty-two with one.
template <class F, class W>
inline constexpr int row_lanes = (F::in_doubles || F::keeps ? 1 : isa::registers_in_step) * natural<W>;

// A row whose digits did not do, which lies in W. Its results are wanted where the kernel has left NaN: a loss has the same bits with its
// gradient and without.
template <class F, class W>
unsigned by_slow(const RowBatch& b, std::ptrdiff_t row, const W* x, const W* w, W* y, W* results) {
    auto given = [](const W* p) { return Input{reinterpret_cast<const char*>(p), 0, sizeof(W), dtype_of<W>}; };
    auto taken = [](W* p) { return Output{reinterpret_cast<char*>(p), 0, sizeof(W), dtype_of<W>}; };
    RowBatch one = rows_of(b, row, row + 1);
    one.x = given(x);  // masked already
    one.mask.data = nullptr;
    if constexpr (F::weighted) one.weights = given(w);
    if constexpr (F::per_class) one.y = taken(y);
    for (int j = 0; j < F::results; ++j) one.results[j] = taken(results + j);
    return row_loop<typename F::Slow, double>(one);
}

// ---- upright rows: tiles of n at a time ----

// What a tile holds, class k of row i at [k n + i], and what a kernel made of it.
template <class F, class W, int n>
struct Tile {
    alignas(64) W x[most_upright * n], y[F::per_class ? most_upright * n : 1], w[F::weighted ? most_upright * n : 1];
    alignas(64) double kept[F::keeps && F::per_class ? most_upright * n : 1];
    Pack<std::int64_t, n> again;
    double label[n], smoothing[n];
    W results[2][n];
    RowTemperatures<W, n> temperature;

    void load(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t rows) {
        if (b.mask.data)
            load_masked<n>(b.x, b.mask, row, rows, b.classes, x, -std::numeric_limits<W>::infinity());
        else
            load_tile<n, n>(b.x, row, rows, b.classes, x);
        if constexpr (F::weighted) {
            if (masks_weights<F> && b.mask.data)
                load_masked<n>(b.weights, b.mask, row, rows, b.classes, w, W(0));
            else
                load_tile<n, n>(b.weights, row, rows, b.classes, w);
        }
        if constexpr (F::smoothed)
            for (std::ptrdiff_t i = 0; i < n; ++i) {
                label[i] = i < rows ? label_of(b, row + i) : 0;
                smoothing[i] = i < rows ? smoothing_of(b, row + i) : 0;
            }
    }
    // The maxima of the rows.
    SIGMAX_INLINE Pack<W, n> run(const RowBatch& b, std::ptrdiff_t row) {
        const char *x_soon = reinterpret_cast<char*>(x), *y_soon = reinterpret_cast<char*>(y);
        if (b.x.row == std::ptrdiff_t(b.classes * sizeof(W)) && b.rows - row >= 2 * n) x_soon = b.x.data + (row + n) * b.x.row;
        if (b.y.row == std::ptrdiff_t(b.classes * sizeof(W)) && b.rows - row >= n) y_soon = b.y.data + row * b.y.row;
        Rows<W, n> r = {{x, nullptr, b.classes, b.classes, x_soon},
                        {y, nullptr, b.classes, b.classes, y_soon},
                        {w, nullptr, b.classes, b.classes},
                        temperature.lane,
                        {},
                        {},
                        {},
                        is_narrow<F>(b),
                        false,
                        kept};
        if constexpr (F::smoothed) {
            r.label = Pack<double, n>::load(label);
            r.smoothing = Pack<double, n>::load(smoothing);
        }
        const Pack<W, n> m = run_kernel<F, false>(r);
        for (int j = 0; j < F::results; ++j) r.results[j].store(results[j]);
        again = r.again;
        return m;
    }
    // The kernel has used the scores up, so that those of special rows are read again.
    [[gnu::noinline, gnu::cold]] unsigned replace_limits(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t rows, const Pack<W, n>& m) {
        W top[n], x_row[most_upright];
        m.store(top);
        for (std::ptrdiff_t i = 0; i < rows; ++i) {
            if (!temperature.special[i] && !std::isinf(top[i])) continue;
            load_run(b.x.data + (row + i) * b.x.row, b.x.step, b.classes, b.x.dtype, x_row);
            if (b.mask.data) apply_mask(b.mask, row + i, 1, b.classes, x_row, 0, -std::numeric_limits<W>::infinity());
            W of_row[2];
            const SingleRow<W> one = {
                {x_row, 1}, b.classes, temperature_of(b, row + i), {w + i, n}, label_of(b, row + i), smoothing_of(b, row + i),
                {y + i, n}, of_row};
            if (const unsigned failed = limit_row<F>(one)) return failed;
            for (int j = 0; j < F::results; ++j) results[j][i] = of_row[j];
        }
        return 0;
    }
    [[gnu::noinline, gnu::cold]] unsigned do_again(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t rows) {
        std::int64_t which[n];
        again.store(which);
        W x_row[most_upright], w_row[most_upright], y_row[most_upright], of_row[2];
        for (std::ptrdiff_t i = 0; i < rows; ++i) {
            if (!which[i]) continue;
            for (std::ptrdiff_t k = 0; k < b.classes; ++k) {
                x_row[k] = x[k * n + i];
                if constexpr (F::weighted) w_row[k] = w[k * n + i];
            }
            if (const unsigned failed = by_slow<F>(b, row + i, x_row, w_row, y_row, of_row)) return failed;
            if constexpr (F::per_class)
                for (std::ptrdiff_t k = 0; k < b.classes; ++k) y[k * n + i] = y_row[k];
            for (int j = 0; j < F::results; ++j)
                if (results[j][i] != results[j][i]) results[j][i] = of_row[j];
        }
        return 0;
    }
    void store(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t rows) const {
        if constexpr (F::per_class) store_tile<n, n>(y, b.y, row, rows, b.classes);
        for (int j = 0; j < F::results; ++j) {
            const Output& out = b.results[j];
            store_run(results[j], out.data + row * out.row, out.row, rows, out.dtype);
        }
    }
};

template <class F, class W>
unsigned upright_rows(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t end) {
    constexpr int n = row_lanes<F, W>;
    Tile<F, W, n> tile;
    load_temperatures(b, row, b.temperature.row && end - row > 1 ? (end - row < n ? end - row : n) : 1, tile.temperature);
    for (bool first = true; row < end; row += n, first = false) {
        const std::ptrdiff_t rows = end - row < n ? end - row : n;
        if (!first && b.temperature.row != 0) load_temperatures(b, row, rows, tile.temperature);
        tile.load(b, row, rows);
        const Pack<W, n> m = tile.run(b, row);
        if constexpr (F::keeps)
            if (any(tile.again))
                if (const unsigned failed = tile.do_again(b, row, rows)) return failed;
        if (tile.temperature.any_special || any_infinite(m))
            if (const unsigned failed = tile.replace_limits(b, row, rows, m)) return failed;
        tile.store(b, row, rows);
    }
    return 0;
}

// ---- flat rows, one at a time ----

// The `rest` numbers from `from` on, and `filler` behind them, in the middle of `end`: without a loop over single numbers, by way of
// the `pad` numbers that end with them.
template <class W>
SIGMAX_INLINE void copy_pad(const W* from, W* to) {
    for (std::ptrdiff_t k = 0; k < pad; k += natural<W>) Pack<W>::load(from + k).store(to + k);
}
template <class W>
SIGMAX_INLINE W* tail_of_row(const W* from, std::ptrdiff_t rest, W filler, W (&end)[2 * pad]) {
    copy_pad(from + rest - pad, end);
    for (std::ptrdiff_t k = pad; k < 2 * pad; k += natural<W>) Pack<W>(filler).store(end + k);
    return end + pad - rest;
}

// Which operands of a batch can be worked on where they lie. Scores are read again after results have been written.
template <class W, class O>
bool lies_as(const O& operand) {
    return operand.dtype == dtype_of<W> && operand.step == sizeof(W);
}
template <class W>
bool scores_lie(const RowBatch& b) {
    return lies_as<W>(b.x) && !b.mask.data && b.x.data != b.y.data;
}
template <class F, class W>
bool results_lie(const RowBatch& b) {
    return !F::per_class || lies_as<W>(b.y);
}

// One operand of flat rows: where it lies, or some rows at a time in a room of its own.
template <class W>
struct FlatRows {
    W* room;  // null where it lies
    std::ptrdiff_t padded;
    W* row(const char* data, std::ptrdiff_t stride, std::ptrdiff_t first, std::ptrdiff_t i) const {
        return room ? room + i * padded : reinterpret_cast<W*>(const_cast<char*>(data + (first + i) * stride));
    }
};

// One row: its scores, results and weights, contiguous in W; of the first two, what has windows is seen through them.
template <class W>
struct FlatRow {
    W *x, *y, *w;
    double* kept;
    Windows<W>*x_windows = nullptr, *y_windows = nullptr;
};
inline constexpr unsigned wants_copy = 1u << 31;  // beside the bits of a Status: the row must be done again without windows
template <class F, class W, int n>
unsigned flat_row(const RowBatch& b, std::ptrdiff_t row, const FlatRow<W>& lies, const RowTemperatures<W, n>& t) {
    constexpr W nothing = -std::numeric_limits<W>::infinity();
    const std::ptrdiff_t whole = b.classes / pad * pad, rest = b.classes - whole, count = padded_length(b.classes) / n;
    const auto [x, y, w, kept, x_windows, y_windows] = lies;
    W x_end[2 * pad], y_end[2 * pad], w_end[2 * pad];
    W *x_tail = x_windows ? nullptr : tail_of_row(x + whole, rest, nothing, x_end), *y_tail = y_end + pad, *w_tail = nullptr;
    if constexpr (F::weighted) w_tail = tail_of_row(w + whole, rest, W(0), w_end);
    Rows<W, n> r = {{x, x_tail, whole / n, count, nullptr, x_windows},
                    {y, y_tail, whole / n, count, nullptr, y_windows},
                    {w, w_tail, whole / n, count},
                    t.lane,
                    {},
                    {},
                    {},
                    is_narrow<F>(b),
                    true,
                    kept};
    const double label = label_of(b, row), smoothing = smoothing_of(b, row);
    r.label = label;
    r.smoothing = smoothing;
    const W top = first_lane(run_kernel<F, true>(r));
    W results[2] = {};
    for (int j = 0; j < F::results; ++j) results[j] = first_lane(r.results[j]);
    if constexpr (F::per_class)
        if (rest && !y_windows) {
            copy_pad(y + whole - pad, y_end);
            copy_pad(y_end + rest, y + whole - pad + rest);
        }
    if constexpr (F::keeps)
        if (any(r.again)) {
            W of_row[2];
            if (const unsigned failed = by_slow<F>(b, row, x, w, y, of_row)) return failed;
            for (int j = 0; j < F::results; ++j)
                if (results[j] != results[j]) results[j] = of_row[j];
        }
    if (t.any_special || std::isinf(top)) {
        if (x_windows || y_windows) return wants_copy;
        const double temperature = temperature_of(b, row);
        const SingleRow<W> one = {{x, 1}, b.classes, temperature, {w, 1}, label, smoothing, {y, 1}, results};
        if (const unsigned failed = limit_row<F>(one)) return failed;
    }
    for (int j = 0; j < F::results; ++j) {
        const Output& out = b.results[j];
        store_run(results + j, out.data + row * out.row, out.row, 1, out.dtype);
    }
    return x_windows && !x_windows->suffice ? wants_copy : 0;
}

// Rows that run across memory are gathered several at a time, so that each cache line is read once.
template <class F>
std::ptrdiff_t rows_together(const RowBatch& b) {
    constexpr std::ptrdiff_t cache = 1 << 18;
    const bool along = b.x.step == size_of(b.x.dtype) && (!F::per_class || b.y.step == size_of(b.y.dtype));
    const std::ptrdiff_t together = along ? 1 : cache / b.classes;
    return together < 1 ? 1 : together > lanes ? lanes : together;
}
template <class F, class W>
unsigned flat_rows(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t end) {
    constexpr int n = row_lanes<F, W>;
    const std::ptrdiff_t together = rows_together<F>(b), padded = padded_length(b.classes);
    const bool masked = b.mask.data;
    const bool copies_x = !scores_lie<W>(b), copies_y = !results_lie<F, W>(b);
    const bool copies_w = F::weighted && (masked || !lies_as<W>(b.weights) || b.weights.data == b.y.data);
    const std::ptrdiff_t size = padded * together, kept_size = F::keeps && F::per_class ? padded : 0;
    Room room((copies_x + copies_y + copies_w) * Room::bytes<W>(size) + Room::bytes<double>(kept_size));
    if (room.failed()) return unsigned(Status::no_memory);
    const FlatRows<W> x{copies_x ? room.part<W>(size) : nullptr, padded}, y{copies_y ? room.part<W>(size) : nullptr, padded},
        w{copies_w ? room.part<W>(size) : nullptr, padded};
    double* const kept = room.part<double>(kept_size);

    RowTemperatures<W, n> t;
    load_temperatures(b, row, 1, t);
    for (; row < end; row += together) {
        const std::ptrdiff_t rows = end - row < together ? end - row : together;
        if (x.room) load_rows<n>(b.x, row, rows, b.classes, x.room, padded);
        if (x.room && masked) apply_mask(b.mask, row, rows, b.classes, x.room, padded, -std::numeric_limits<W>::infinity());
        if constexpr (F::weighted) {
            if (w.room) load_rows<n>(b.weights, row, rows, b.classes, w.room, padded);
            if constexpr (masks_weights<F>)
                if (w.room && masked) apply_mask(b.mask, row, rows, b.classes, w.room, padded, W(0));
        }
        for (std::ptrdiff_t i = 0; i < rows; ++i) {
            if (b.temperature.row != 0) load_temperatures(b, row + i, 1, t);
            const FlatRow<W> lies = {x.row(b.x.data, b.x.row, row, i), y.row(b.y.data, b.y.row, row, i),
                                     w.row(b.weights.data, b.weights.row, row, i), kept};
            if (const unsigned failed = flat_row<F, W, n>(b, row + i, lies, t)) return failed;
        }
        if constexpr (F::per_class)
            if (y.room) store_rows<n>(y.room, padded, b.y, row, rows, b.classes);
    }
    return 0;
}

// ---- rows too long for a copy ----

inline constexpr std::ptrdiff_t largest_copy = 1 << 19;  // bytes of an operand
template <class F, class W>
bool wants_windows(const RowBatch& b) {
    return b.classes > largest_copy / std::ptrdiff_t(sizeof(W)) && rows_together<F>(b) == 1 && !(scores_lie<W>(b) && results_lie<F, W>(b));
}

// Whether there is a number in a row that limits.hpp may be asked about, by functions that want labels of a NaN too.
template <class F, class W, int n>
bool any_unusual(const Scores<W, n>& x) {
    Pack<W, n> m(-std::numeric_limits<W>::infinity()), nan(0);
    walk<true>(x, x, 0, x.count, 1, [&](const W* p, const W*, std::ptrdiff_t) SIGMAX_LAMBDA {
        const auto score = Pack<W, n>::load(p);
        m = max(score, m);
        nan = nan + select(score == score, W(0), score);
    });
    return (F::labelled && any(nan != nan)) || any_infinite(m);
}

// A row that a kernel cannot do in windows is copied after all; before its results are written over its scores, where these lie there.
template <class F, class W>
unsigned long_rows(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t end) {
    constexpr int n = row_lanes<F, W>;
    constexpr std::ptrdiff_t length = Windows<W>::length;
    const bool over = b.x.data == b.y.data;  // where a kernel may leave nothing but results
    Room room(2 * Room::bytes<W>(length));
    if (room.failed()) return unsigned(Status::no_memory);
    W *const scores = room.part<W>(length), *const results = room.part<W>(length);
    for (; row < end; ++row) {
        const RowBatch one = rows_of(b, row, row + 1);
        Windows<W> x(scores, one.x, one.mask, b.classes, -std::numeric_limits<W>::infinity()), y(results, one.y, b.classes);
        FlatRow<W> lies = {reinterpret_cast<W*>(const_cast<char*>(one.x.data)), reinterpret_cast<W*>(one.y.data), nullptr, nullptr};
        if (!scores_lie<W>(b)) lies.x_windows = &x;
        if (over || !results_lie<F, W>(b)) lies.y_windows = &y;
        RowTemperatures<W, n> t;
        load_temperatures(b, row, 1, t);
        unsigned failed = wants_copy;
        if (!over || !(t.any_special || any_unusual<F, W, n>({nullptr, nullptr, 0, padded_length(b.classes) / n, nullptr, &x})))
            failed = flat_row<F, W, n>(b, row, lies, t);
        if (failed == wants_copy) failed = flat_rows<F, W>(b, row, row + 1);
        if (failed) return failed;
    }
    return 0;
}

// ---- which way ----

// As many of the rows from `row` on as can be done where they lie; the row after them.
template <class F, class T>
std::ptrdiff_t rows_in_place([[maybe_unused]] const RowBatch& b, std::ptrdiff_t row) {
    [[maybe_unused]] const std::ptrdiff_t begin = row;
    if constexpr (fast_fma && requires { F::template columns<T>; }) row = F::template columns<T>(b, row);
    if constexpr (isa::most_in_registers<T> > 0 && requires(Pack<T>(&x)[2]) { F::in_registers(x); })
        if (row == begin) row = rows_in_registers<F, T>(b, row);
    return row;
}

template <class F, class W>
unsigned rows_by_copies(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t end) {
    if (b.classes <= most_upright) return upright_rows<F, W>(b, row, end);
    if constexpr (!F::in_doubles && !F::keeps)
        if (wants_windows<F, W>(b)) return long_rows<F, W>(b, row, end);
    return flat_rows<F, W>(b, row, end);
}

// Rows that cannot be done in place, the last ones and tiles that hold a special row, are done here, and those behind tried again.
template <class F, class T>
unsigned row_loop(const RowBatch& b) {
    using W = typename F::template Work<T>;
    for (std::ptrdiff_t row = 0; row < b.rows;) {
        const std::ptrdiff_t begin = row;
        row = rows_in_place<F, T>(b, row);
        const std::ptrdiff_t end = row > begin && b.rows - row > 2 * lanes ? row + 2 * lanes : b.rows;
        if (const unsigned failed = rows_by_copies<F, W>(b, row, end)) return failed;
        row = end;
    }
    return 0;
}

// Of results narrower than double: by F::Quick, which reads floats and so wants weights that are no wider. Rows of temperature 1 whose labels
// are not smoothed by F::Unit, if there is one: runs of either. A row goes the same way whatever is beside it.
template <class F>
unsigned quick_row_loop(const RowBatch& b) {
    if (F::weighted && b.weights.dtype == Dtype::float64) return row_loop<F, double>(b);
    if constexpr (requires { typename F::Unit; }) {
        auto is_unit = [&](std::ptrdiff_t row) { return temperature_of(b, row) == 1 && smoothing_of(b, row) == 0; };
        const bool alike = (!b.temperature.data || b.temperature.row == 0) && (!b.smoothing.data || b.smoothing.row == 0);
        for (std::ptrdiff_t row = 0, end; row < b.rows; row = end) {
            const bool unit = is_unit(row);
            end = alike ? b.rows : row + 1;
            while (end < b.rows && is_unit(end) == unit) ++end;
            RowBatch part = rows_of(b, row, end);
            if (unit) part.temperature.data = nullptr;
            if (const unsigned failed = unit ? row_loop<typename F::Unit, float>(part) : row_loop<typename F::Quick, float>(part))
                return failed;
        }
        return 0;
    } else {
        return row_loop<typename F::Quick, float>(b);
    }
}

// Functions that work in doubles anyway are compiled once.
template <class F>
constexpr RowLoop loop_on_float() {
    if constexpr (requires { typename F::Quick; })
        return quick_row_loop<F>;
    else
        return row_loop<F, std::conditional_t<F::in_doubles, double, float>>;
}
