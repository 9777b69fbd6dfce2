// From a strided batch of rows to the kernels and back: tiles of sixteen narrow rows, or one wide row at a time.
// Included once per level, hence no include guard.

inline constexpr std::ptrdiff_t doubled = 40;  // up to here two copies of a tile stay in the L1 cache

// What a function takes and gives; each of the functions below changes some of it.
struct RowTraits {
    static constexpr bool weighted = false, labelled = false, tempered = true, smoothed = false, per_class = true;
    static constexpr bool same_for_all = true;    // floats are worked on like doubles
    static constexpr bool both_scalings = false;  // compiled with and without the division by a temperature
    static constexpr bool pulls = false;          // gives a gradient
    static constexpr int results = 0;
    template <class T>
    using Work = double;
    template <class T>
    static constexpr int copies = 1;
};

struct Softmax : RowTraits {
    static constexpr const char* name = "softmax";
    static constexpr bool both_scalings = true, same_for_all = false;
    template <class T>
    using Work = T;
    // Copies for a full load of the pipes: SSE2, AVX and all doubles have two registers or more in one pack already. A narrow row
    // of few classes has enough independent work in one.
    template <class T>
    static constexpr int copies = sizeof(T) == 4 && SIGMAX_BYTES == 64 ? 2 : 1;
    template <class T, bool across, bool scaled, class W, int copies>
    static Pack<W, copies> run(Rows<W, copies>& r) {
        return softmax_kernel<across, scaled>(r.x, r.y, r.temperature);
    }
    template <class T, int classes>
    SIGMAX_INLINE static bool in_registers(Pack<T> (&x)[classes]) {
        return softmax_in_registers<false>(x, Temperature<T>{});
    }
    template <class T>
    static constexpr auto columns = softmax_columns<T>;
    static double limit(double term, double, double sum, double) { return term / sum; }
    static constexpr double impossible = 0;
};

struct LogSoftmax : RowTraits {
    static constexpr const char* name = "log_softmax";
    static constexpr bool both_scalings = true, same_for_all = false;
    template <class T>
    using Work = T;
    template <class T, bool across, bool scaled, class W, int copies>
    static Pack<W> run(Rows<W>& r) {
        return log_softmax_kernel<across, scaled>(r);
    }
    template <class T, int classes>
    SIGMAX_INLINE static bool in_registers(Pack<T> (&x)[classes]) {
        return logs_in_registers<false>(x);
    }
    static double limit(double, double, double sum, double z) { return z - std::log(sum); }
    static constexpr double impossible = -std::numeric_limits<double>::infinity();
};

struct LogSumExp : RowTraits {
    static constexpr const char* name = "logsumexp";
    static constexpr bool tempered = false, per_class = false, same_for_all = false;
    static constexpr int results = 1;
    template <class T>
    using Work = T;
    template <class T, bool across, bool scaled, class W, int copies>
    static Pack<W> run(Rows<W>& r) {
        return logsumexp_kernel<across>(r);
    }
    template <class T, int classes>
    SIGMAX_INLINE static bool in_registers(Pack<T> (&x)[classes]) {
        return logs_in_registers<true>(x);
    }
};

// The rest serves floats and doubles alike.
struct WeightedLogSumExp : RowTraits {
    static constexpr const char* name = "weighted_logsumexp";
    static constexpr bool tempered = false, per_class = false, weighted = true;
    static constexpr int results = 2;
    template <class T, bool across, bool scaled, class W, int copies>
    static f64 run(Rows<double>& r) {
        return weighted_logsumexp_kernel<across>(r);
    }
};

struct SoftmaxComplement : RowTraits {
    static constexpr const char* name = "softmax_complement";
    template <class T, bool across, bool scaled, class W, int copies>
    static f64 run(Rows<double>& r) {
        return softmax_complement_kernel<across>(r);
    }
    static double limit(double, double others, double sum, double) { return others / sum; }
    static constexpr double impossible = 1;
};

struct LogSoftmaxComplement : RowTraits {
    static constexpr const char* name = "log_softmax_complement";
    template <class T, bool across, bool scaled, class W, int copies>
    static f64 run(Rows<double>& r) {
        return log_softmax_complement_kernel<across>(r);
    }
    static double limit(double term, double others, double sum, double) {
        return term > others ? std::log(others / sum) : -std::log1p(term / others);
    }
    static constexpr double impossible = 0;
};

struct LogitSoftmax : RowTraits {
    static constexpr const char* name = "logit_softmax";
    template <class T, bool across, bool scaled, class W, int copies>
    static f64 run(Rows<double>& r) {
        return logit_softmax_kernel<across>(r);
    }
    static double limit(double, double others, double, double z) { return z - std::log(others); }
    static constexpr double impossible = -std::numeric_limits<double>::infinity();
};

template <bool with_label, bool with_gradient>
struct CrossEntropy : RowTraits {
    static constexpr const char* name = with_label      ? with_gradient ? "cross_entropy_and_grad" : "cross_entropy"
                                        : with_gradient ? "target_cross_entropy_and_grad"
                                                        : "target_cross_entropy";
    static constexpr bool weighted = !with_label, labelled = with_label, smoothed = true, per_class = with_gradient;
    static constexpr int results = 1;
    template <class T, bool across, bool scaled, class W, int copies>
    static f64 run(Rows<double>& r) {
        return cross_entropy_kernel<across, with_label, with_gradient>(r);
    }
};

// Gradients by the scores; the weights are the gradient by the results.
template <bool of_log>
struct PullbackOf : RowTraits {
    static constexpr const char* name = of_log ? "log_softmax_pullback" : "softmax_pullback";
    static constexpr bool weighted = true, pulls = true;
    template <class T, bool across, bool scaled, class W, int copies>
    static f64 run(Rows<double>& r) {
        return pullback_kernel<across, of_log>(r);
    }
    // p, 1 - p, g, the sum of all g and of all p g
    static double limit(double p, double others, double g, double sum, double mean) {
        return of_log ? g * others - p * (sum - g) : p * (g - mean);
    }
};

using RowFunctions = std::tuple<Softmax, LogSoftmax, LogSumExp, WeightedLogSumExp, SoftmaxComplement, LogSoftmaxComplement, LogitSoftmax,
                                CrossEntropy<true, false>, CrossEntropy<true, true>, CrossEntropy<false, false>, CrossEntropy<false, true>,
                                PullbackOf<false>, PullbackOf<true>>;

inline double temperature_of(const RowBatch& b, std::ptrdiff_t row) {
    double t = 1;
    if (b.temperature.data) std::memcpy(&t, b.temperature.data + row * b.temperature.row, sizeof t);
    return t;
}

// Temperatures whose inverse the kernels can hold in two terms of W. Beyond them, and for 0 and inf, see limit_row.
template <class W>
bool ordinary(double t) {
    constexpr double bound = sizeof(W) == 4 ? 0x1p60 : 0x1p900;
    return t >= 1 / bound && t <= bound;
}

template <class T>
struct Column {  // one row's numbers, `step` apart
    T* data;
    std::ptrdiff_t step;
    T& operator[](std::ptrdiff_t k) const { return data[k * step]; }
};

// The limits: no possible class, scores of +inf, temperatures 0 and inf (and those outside `ordinary`), one row at a time and in
// plain arithmetic. Its results take the place of the kernel's before any of them is stored, because the scores may lie where
// the results go. Impossible classes have a score of -inf.
template <class F, class X, class W>
[[gnu::noinline]] void limit_row(Column<const X> x, std::ptrdiff_t classes, double t, Column<const double> w, double label,
                                 double smoothing, Column<W> y, W* results) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();
    auto counts = [&](std::ptrdiff_t k) { return F::tempered || !F::weighted || w[k] != 0; };
    double m = -infinity;
    bool nan = false;
    std::ptrdiff_t first = 0, possible = 0;
    for (std::ptrdiff_t k = 0; k < classes; ++k) {
        const double score = x[k];
        if (!counts(k)) continue;
        nan = nan || score != score || (F::weighted && w[k] != w[k] && (!F::pulls || score != -infinity));
        possible += score != -infinity;
        if (score > m) first = k;
        m = score > m ? score : m;
    }
    auto exponent = [&](std::ptrdiff_t k) {
        const double score = x[k];
        if (m == infinity || t == 0) return score == m ? 0.0 : -infinity;
        if (t == infinity) return score > -infinity ? 0.0 : -infinity;
        return (score - m) / t;
    };
    double sum = 0, rest = 0;
    if (m > -infinity && F::tempered && !nan)
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            const double term = std::exp(exponent(k));
            sum += term;
            rest += k == first ? 0 : term;
        }
    // the others' sum: taking a term from the sum loses nothing while the first, which is 1, is among the others
    auto others = [&](std::ptrdiff_t k) { return k == first ? rest : sum - std::exp(exponent(k)); };

    if constexpr (F::results == 2) {  // weighted
        double total = 0;
        for (std::ptrdiff_t k = 0; k < classes; ++k) total += counts(k) && x[k] == m ? w[k] : 0;
        results[0] = nan || (m == infinity && total == 0) ? none : m;
        results[1] = nan || (m == infinity && total == 0) ? none : m == -infinity ? 0 : total > 0 ? 1 : -1;
    } else if constexpr (!F::tempered) {
        results[0] = nan ? none : m;
    } else if constexpr (F::pulls) {
        double whole = 0, mean = 0;
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            if (x[k] == -infinity) continue;
            whole += w[k];
            mean += std::exp(exponent(k)) / sum * w[k];
        }
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            if (x[k] == -infinity) {
                y[k] = 0;
                continue;
            }
            const double d = F::limit(std::exp(exponent(k)) / sum, others(k) / sum, w[k], whole, mean);
            y[k] = nan ? none : d == 0 ? 0 : d / t;
        }
    } else if constexpr (F::results == 1) {  // cross-entropy
        auto target = [&](std::ptrdiff_t k) {
            const double own = F::labelled ? label == static_cast<double>(k) : w[k];
            return own * (1 - smoothing) + (x[k] != -infinity ? smoothing / static_cast<double>(possible) : 0);
        };
        double loss = 0, whole = 0;
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            const double q = target(k);
            whole += q;
            if (q != 0) loss += q * (std::log1p(rest) - exponent(k));
        }
        results[0] = nan || m == -infinity ? none : loss;
        if constexpr (F::per_class)
            for (std::ptrdiff_t k = 0; k < classes; ++k) {
                const double q = target(k), d = (std::exp(exponent(k)) * (whole - q) - others(k) * q) / sum;
                y[k] = nan ? none : x[k] == -infinity || d == 0 ? 0 : d / t;
            }
    } else {
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            const double z = exponent(k);
            y[k] = static_cast<W>(nan ? none : m == -infinity ? F::impossible : F::limit(std::exp(z), others(k), sum, z));
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

template <class F>
bool is_narrow(const RowBatch& b) {
    return (F::per_class ? b.y.dtype : b.results[0].dtype) != Dtype::float64;
}

// The label and the smoothing of one row.
template <class F>
double label_of(const RowBatch& b, std::ptrdiff_t row) {
    std::int64_t label = -1;
    if constexpr (F::labelled) std::memcpy(&label, b.label.data + row * b.label.row, sizeof label);
    return static_cast<double>(label);
}
template <class F>
double smoothing_of(const RowBatch& b, std::ptrdiff_t row) {
    double smoothing = 0;
    if constexpr (F::smoothed) std::memcpy(&smoothing, b.smoothing.data + row * b.smoothing.row, sizeof smoothing);
    return smoothing;
}

template <class F, class T, bool across, class W, int copies>
Pack<W, copies> run_kernel(Rows<W, copies>& r) {
    if constexpr (F::both_scalings)
        if (!r.temperature.unit) return F::template run<T, across, true, W, copies>(r);
    return F::template run<T, across, false, W, copies>(r);
}

// Masked scores become -inf, their weights in a sum 0. `to` holds class k of row i at to[i * row + k * step].
template <class W>
void apply_mask(const Input& mask, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes, W* to, std::ptrdiff_t row,
                std::ptrdiff_t step, W value = -std::numeric_limits<W>::infinity()) {
    if (!mask.data) return;
    for (std::ptrdiff_t i = 0; i < rows; ++i)
        for (std::ptrdiff_t k = 0; k < classes; ++k)
            if (!mask.data[(first + i) * mask.row + k * mask.step]) to[i * row + k * step] = value;
}

// The probabilities of a label are not masked: a label may name an impossible class, and pays for it.
template <class F>
inline constexpr bool masks_weights = F::weighted && !F::smoothed;

// Tiles of 16 x copies rows, from `row` on while they are full; with one copy, to `end`. The row after the last.
template <class F, class T, int copies>
std::ptrdiff_t narrow_rows(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t end) {
    using W = typename F::template Work<T>;
    constexpr std::ptrdiff_t n = lanes * copies;
    constexpr std::ptrdiff_t most = copies == 1 ? narrow : doubled;
    alignas(64) W x[most * n], y[F::per_class ? most * n : 1], w[F::weighted ? most * n : 1];
    RowTemperatures<W, copies> t;
    for (bool first = true; row < end && (copies == 1 || end - row >= n); row += n, first = false) {
        const std::ptrdiff_t rows = end - row < n ? end - row : n;
        if (first || (b.temperature.data && b.temperature.row != 0)) t = load_temperatures<W, copies>(b, row, b.temperature.row ? rows : 1);
        for (std::ptrdiff_t i = 0; i < rows; i += lanes) {
            const std::ptrdiff_t some = rows - i < lanes ? rows - i : lanes;
            load_tile<n>(b.x, row + i, some, b.classes, x + i);
            if constexpr (F::weighted) load_tile<n>(b.weights, row + i, some, b.classes, w + i);
        }
        apply_mask(b.mask, row, rows, b.classes, x, 1, n);
        if constexpr (masks_weights<F>) apply_mask(b.mask, row, rows, b.classes, w, 1, n, W(0));
        const char *x_soon = reinterpret_cast<char*>(x), *y_soon = reinterpret_cast<char*>(y);
        if (b.x.row == std::ptrdiff_t(b.classes * sizeof(W)) && b.rows - row >= 2 * n) x_soon = b.x.data + (row + n) * b.x.row;
        if (b.y.row == std::ptrdiff_t(b.classes * sizeof(W))) y_soon = b.y.data + row * b.y.row;
        Rows<W, copies> r = {{x, nullptr, b.classes, b.classes, x_soon},
                             {y, nullptr, b.classes, b.classes, y_soon},
                             {w, nullptr, b.classes, b.classes},
                             t.lane,
                             {},
                             {},
                             {},
                             is_narrow<F>(b)};
        W label[n] = {}, smoothing[n] = {};
        if constexpr (F::labelled || F::smoothed) {
            for (std::ptrdiff_t i = 0; i < rows; ++i) {
                label[i] = label_of<F>(b, row + i);
                smoothing[i] = smoothing_of<F>(b, row + i);
            }
            r.label = Pack<W, copies>::load(label);
            r.smoothing = Pack<W, copies>::load(smoothing);
        }
        Pack<W, copies> m = run_kernel<F, T, false, W, copies>(r);
        W results[2][n];
        for (int j = 0; j < F::results; ++j) r.results[j].store(results[j]);
        if (t.any_special || any_infinite(m)) {
            W top[n], x_row[narrow];
            m.store(top);
            for (std::ptrdiff_t i = 0; i < rows; ++i) {
                if (!t.special[i] && !std::isinf(top[i])) continue;
                load_run(b.x.data + (row + i) * b.x.row, b.x.step, b.classes, b.x.dtype, x_row);  // the kernel has used the tile up
                apply_mask(b.mask, row + i, 1, b.classes, x_row, 0, 1);
                W of_row[2];
                limit_row<F, W, W>({x_row, 1}, b.classes, temperature_of(b, row + i), {reinterpret_cast<double*>(w + i), n}, label[i],
                                   smoothing[i], {y + i, n}, of_row);
                for (int j = 0; j < F::results; ++j) results[j][i] = of_row[j];
            }
        }
        for (std::ptrdiff_t i = 0; i < rows; i += lanes)
            if constexpr (F::per_class) store_tile<n>(y + i, b.y, row + i, rows - i < lanes ? rows - i : lanes, b.classes);
        for (int j = 0; j < F::results; ++j) {
            const Output& out = b.results[j];
            store_run(results[j], out.data + row * out.row, out.row, rows, out.dtype);
        }
    }
    return row < end ? row : end;
}

// The `rest` numbers from `from` on, and `filler` behind them, in the middle of `end`: without a loop over single numbers, by way of
// the `pad` numbers that end with them.
template <class W>
SIGMAX_INLINE void copy_pad(const W* from, W* to) {
    for (std::ptrdiff_t k = 0; k < pad; k += lanes) Pack<W>::load(from + k).store(to + k);
}
template <class W>
SIGMAX_INLINE W* tail_of_row(const W* from, std::ptrdiff_t rest, W filler, W (&end)[2 * pad]) {
    copy_pad(from + rest - pad, end);
    for (std::ptrdiff_t k = pad; k < 2 * pad; k += lanes) Pack<W>(filler).store(end + k);
    return end + pad - rest;
}

template <class F, class T>
unsigned wide_rows(const RowBatch& b, std::ptrdiff_t row, std::ptrdiff_t end) {
    using W = typename F::template Work<T>;
    constexpr int copies = F::template copies<T>;
    constexpr std::ptrdiff_t step = lanes * copies, cache = 1 << 18;
    constexpr W nothing = -std::numeric_limits<W>::infinity();
    // x is read again after y has been written; weights are read with the scores
    const bool x_direct = b.x.dtype == dtype_of<W> && b.x.step == sizeof(W) && !b.mask.data && b.x.data != b.y.data;
    const bool y_direct = !F::per_class || (b.y.dtype == dtype_of<W> && b.y.step == sizeof(W));
    const bool w_direct = !F::weighted || (!b.mask.data && b.weights.dtype == dtype_of<W> && b.weights.step == sizeof(W));
    // Rows that run across memory are gathered several at a time, so that each cache line is read once.
    const bool along = b.x.step == size_of(b.x.dtype) && (!F::per_class || b.y.step == size_of(b.y.dtype));
    std::ptrdiff_t together = along ? 1 : cache / b.classes;
    together = together < 1 ? 1 : together > lanes ? lanes : together;
    const std::ptrdiff_t padded = padded_length(b.classes);
    auto room = [&](bool direct) { return std::unique_ptr<W[]>(direct ? nullptr : new (std::nothrow) W[padded * together]); };
    auto x_rows = room(x_direct), y_rows = room(y_direct), w_rows = room(w_direct);
    if ((!x_direct && !x_rows) || (!y_direct && !y_rows) || (!w_direct && !w_rows)) return unsigned(Status::no_memory);

    auto t = load_temperatures<W, copies>(b, 0, 1);
    for (; row < end; row += together) {
        const std::ptrdiff_t rows = end - row < together ? end - row : together;
        if (!x_direct) load_rows(b.x, row, rows, b.classes, x_rows.get(), padded);
        if constexpr (F::weighted)
            if (!w_direct) load_rows(b.weights, row, rows, b.classes, w_rows.get(), padded);
        if (!x_direct) apply_mask(b.mask, row, rows, b.classes, x_rows.get(), padded, 1);
        if constexpr (masks_weights<F>)
            if (!w_direct) apply_mask(b.mask, row, rows, b.classes, w_rows.get(), padded, 1, W(0));
        for (std::ptrdiff_t i = 0; i < rows; ++i) {
            W* x = x_direct ? reinterpret_cast<W*>(const_cast<char*>(b.x.data + (row + i) * b.x.row)) : x_rows.get() + i * padded;
            W* y = y_direct ? reinterpret_cast<W*>(b.y.data + (row + i) * b.y.row) : y_rows.get() + i * padded;
            W* w =
                w_direct ? reinterpret_cast<W*>(const_cast<char*>(b.weights.data + (row + i) * b.weights.row)) : w_rows.get() + i * padded;
            const std::ptrdiff_t whole = b.classes / step * step, rest = b.classes - whole;
            W x_end[2 * pad], y_end[2 * pad], w_end[2 * pad];
            W *x_tail = tail_of_row(x + whole, rest, nothing, x_end), *y_tail = y_end + pad, *w_tail = nullptr;
            if constexpr (F::weighted) w_tail = tail_of_row(w + whole, rest, W(0), w_end);
            if (b.temperature.row != 0) t = load_temperatures<W, copies>(b, row + i, 1);
            Rows<W, copies> r = {{x, x_tail, whole / step, padded / step},
                                 {y, y_tail, whole / step, padded / step},
                                 {w, w_tail, whole / step, padded / step},
                                 t.lane,
                                 {},
                                 {},
                                 {},
                                 is_narrow<F>(b)};
            const double label = label_of<F>(b, row + i), smoothing = smoothing_of<F>(b, row + i);
            r.label = static_cast<W>(label);
            r.smoothing = static_cast<W>(smoothing);
            W top[step], results[2];
            run_kernel<F, T, true, W, copies>(r).store(top);
            for (int j = 0; j < F::results; ++j) {
                W value[step];
                r.results[j].store(value);
                results[j] = value[0];
            }
            if constexpr (F::per_class)
                if (rest) {
                    copy_pad(y + whole - pad, y_end);
                    copy_pad(y_end + rest, y + whole - pad + rest);
                }
            if (t.any_special || std::isinf(top[0]))
                limit_row<F, W, W>({x, 1}, b.classes, temperature_of(b, row + i), {reinterpret_cast<double*>(w), 1}, label, smoothing,
                                   {y, 1}, results);
            for (int j = 0; j < F::results; ++j) {
                const Output& out = b.results[j];
                store_run(results + j, out.data + (row + i) * out.row, out.row, 1, out.dtype);
            }
        }
        if constexpr (F::per_class)
            if (!y_direct) store_rows(y_rows.get(), padded, b.y, row, rows, b.classes);
    }
    return 0;
}

// As many of the rows from `row` on as can be done where they lie; the row after them.
template <class F, class T>
std::ptrdiff_t rows_in_place([[maybe_unused]] const RowBatch& b, std::ptrdiff_t row) {
    [[maybe_unused]] const std::ptrdiff_t begin = row;
    if constexpr (requires { F::template columns<T>; }) row = F::template columns<T>(b, row);
#if SIGMAX_BYTES == 64
    if constexpr (requires(Pack<T>(&x)[2]) { F::in_registers(x); })
        if (row == begin) row = rows_in_registers<F, T>(b, row);
#endif
    return row;
}

// Rows that cannot be done in place, the last ones and tiles that hold a special row, are done here, and those behind tried again.
template <class F, class T>
unsigned row_loop(const RowBatch& b) {
    constexpr int copies = F::template copies<T>;
    for (std::ptrdiff_t row = 0; row < b.rows;) {
        const std::ptrdiff_t begin = row;
        row = rows_in_place<F, T>(b, row);
        const std::ptrdiff_t end = row > begin && b.rows - row > 2 * lanes ? row + 2 * lanes : b.rows;
        if (b.classes > narrow) {
            if (const unsigned failed = wide_rows<F, T>(b, row, end)) return failed;
            row = end;
            continue;
        }
        if constexpr (copies > 1)
            if (b.classes > 12 && b.classes <= doubled) row = narrow_rows<F, T, copies>(b, row, end);
        row = narrow_rows<F, T, 1>(b, row, end);
    }
    return 0;
}
