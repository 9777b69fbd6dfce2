// The limits: no possible class, scores of +inf, temperatures of 0 and inf and those whose inverse the kernels cannot hold. One row at a
// time, in doubles and the core's own exponential and logarithm. Its results take the place of the kernel's before any of them is
// stored, because the scores may lie where the results go. Impossible classes have a score of -inf.
// Included once per level, hence no include guard.

// ---- one number at a time, to 60 bits before the rounding ----

SIGMAX_SHARED double exp_of_one(double x, double x_lo) {
    if (!(x > -760)) return x == x ? 0 : x;
    if (x == 0 && x_lo == 0) return 1;
    const ScaledExp<double_lanes> e = exp60(Pair<double>{f64(x), f64(x_lo)});
    const Pair<double> scaled = e.m * power_of_two(e.t, 512) * f64(0x1p-512);
    return first_lane(scaled.hi + scaled.lo);
}
SIGMAX_SHARED double log_of_one(double a, double b) {  // log(a / b)
    if (a == 0) return -std::numeric_limits<double>::infinity();
    double lifted = 0;
    for (; a < 0x1p-900; a *= 0x1p200) lifted += 200;
    const Pair<double> l = log60(one_term(f64(a)), one_term(f64(b)));
    return first_lane(l.hi + (l.lo - lifted * 0x1.62e42fefa39efp-1));
}
SIGMAX_SHARED double log1p_of_one(double x) {
    const Pair<double> l = log1p_to<60>(one_term(f64(x)));
    return first_lane(l.hi + l.lo);
}

// A sum with one more term, and what it is without one.
SIGMAX_SHARED void add_one(Sum<double>& sum, double x) { sum.add(f64(x), f64(0)); }
SIGMAX_SHARED double without_one(Sum<double> sum, double x) {
    sum.add(f64(-x), f64(0));
    return first_lane(sum.total.hi + sum.total.lo);
}

// Temperatures whose inverse the kernels can hold in two terms of W.
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

// A row of scores as its exponents (x - m) / T, 0 or -inf in the limit.
template <class X>
class LimitRow {
public:
    LimitRow(Column<const X> x, double temperature, double m) : x_(x), m_(m), t_(temperature) {
        if (t_ < 0x1p-500) lift_ = 0x1p500;
    }
    // The largest is first; `rest` is the sum of the others, `all` that of all, all relative to it.
    void sum_up(std::ptrdiff_t classes, std::ptrdiff_t first) {
        first_ = first;
        for (std::ptrdiff_t k = 0; k < classes; ++k) rest_ += k == first ? 0 : own(k);
    }
    double all() const { return 1 + rest_; }
    double log_of_all() const { return log1p_of_one(rest_); }
    double own(std::ptrdiff_t k) const {
        double lo;
        const double hi = exponent(k, &lo);
        return exp_of_one(hi, lo);
    }
    // Taking a term from the sum loses nothing while the first, which is 1, is among the others.
    double others(std::ptrdiff_t k) const { return k == first_ ? rest_ : 1 + (rest_ - own(k)); }
    double exponent(std::ptrdiff_t k, double* lo = nullptr) const {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        if (lo) *lo = 0;
        const double x = x_[k];
        if (x == -infinity) return x;
        if (m_ == infinity || t_ == 0) return x == m_ ? 0 : -infinity;
        if (t_ == infinity) return 0;
        // of halves, which cannot overflow, and at tiny temperatures of numbers that are normal
        const double a = x * 0.5, b = m_ * -0.5, sum = a + b, back = sum - a, left = (a - (sum - back)) + (b - back);
        const double t = t_ * lift_ * 0.5, z = sum * lift_ / t;
        if (lo && z > -800) *lo = (std::fma(-z, t, sum * lift_) + left * lift_) / t;
        return z;
    }

private:
    Column<const X> x_;
    double m_, t_, lift_ = 1, rest_ = 0;
    std::ptrdiff_t first_ = 0;
};

// One row with all that it has; results go where the kernel has left its own.
template <class W>
struct SingleRow {
    Column<const W> x;
    std::ptrdiff_t classes;
    double temperature;
    Column<const double> w;
    double label, smoothing;
    Column<W> y;
    W* results;
};

template <class F, class T>
unsigned row_loop(const RowBatch& b);

// A row at a temperature whose inverse a kernel cannot hold, by the kernel for doubles: if that cannot hold it either, with scores and
// temperature times a power of two, which changes no exponent (and not more of it than is needed: a gradient is divided by the
// temperature while it has all its digits). False, and nothing done, if a score becomes too large for that.
template <class F, class W>
bool at_usual_temperature(const SingleRow<W>& row) {
    const auto& [x, classes, temperature, w, label, smoothing, y, results] = row;
    int exponent;
    const double mantissa = std::frexp(temperature, &exponent);
    const int shift = ordinary<double>(temperature) ? 0 : (temperature < 1 ? -800 : 800) - exponent;
    const double usual = std::ldexp(mantissa, exponent + shift);
    double found[2];
    const std::unique_ptr<double[]> scores(new (std::nothrow) double[classes]), values(new (std::nothrow) double[classes]);
    if (!scores || !values) return false;
    for (std::ptrdiff_t k = 0; k < classes; ++k) {
        scores[k] = std::ldexp(static_cast<double>(x[k]), shift);
        if (std::isinf(scores[k]) && !std::isinf(x[k])) return false;
    }
    const std::int64_t number = static_cast<std::int64_t>(label);
    const std::ptrdiff_t size = sizeof(double);
    auto given = [](const auto* p, std::ptrdiff_t step) { return Input{reinterpret_cast<const char*>(p), 0, step, Dtype::float64}; };
    RowBatch b{};
    b.rows = 1;
    b.classes = classes;
    b.x = given(scores.get(), size);
    if constexpr (F::weighted) b.weights = given(w.data, w.step * size);
    if constexpr (F::labelled) b.label = given(&number, 0);
    if constexpr (F::smoothed) b.smoothing = given(&smoothing, 0);
    b.temperature = given(&usual, 0);
    if constexpr (F::per_class) b.y = {reinterpret_cast<char*>(values.get()), 0, size, Dtype::float64};
    for (int j = 0; j < F::results; ++j) b.results[j] = {reinterpret_cast<char*>(found + j), 0, 0, Dtype::float64};
    if (row_loop<F, double>(b)) return false;
    constexpr bool is_gradient = F::per_class && (F::pulls || F::results > 0);
    for (int j = 0; j < F::results; ++j) results[j] = static_cast<W>(found[j]);
    if constexpr (F::per_class)
        for (std::ptrdiff_t k = 0; k < classes; ++k) y[k] = static_cast<W>(is_gradient ? std::ldexp(values[k], shift) : values[k]);
    return true;
}

template <class F, class W>
SIGMAX_RARE void limit_row(const SingleRow<W>& given) {
    const auto& x = given.x;
    const auto& y = given.y;
    const auto& w = given.w;
    const std::ptrdiff_t classes = given.classes;
    const double t = given.temperature, label = given.label, smoothing = given.smoothing;
    W* const results = given.results;
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
    if constexpr (F::tempered)
        if (t > 0 && !ordinary<W>(t) && std::isfinite(t) && std::isfinite(m) && at_usual_temperature<F>(given)) return;
    LimitRow<W> row(x, t, m);
    if (m > -infinity && F::tempered && !nan) row.sum_up(classes, first);

    if constexpr (F::results == 2) {  // weighted
        double total = 0;
        for (std::ptrdiff_t k = 0; k < classes; ++k) total += counts(k) && x[k] == m ? w[k] : 0;
        results[0] = nan || (m == infinity && total == 0) ? none : m;
        results[1] = nan || (m == infinity && total == 0) ? none : m == -infinity ? 0 : total > 0 ? 1 : -1;
    } else if constexpr (!F::tempered) {
        results[0] = nan ? none : m;
    } else if constexpr (F::pulls) {
        Sum<double> whole, mean;
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            if (x[k] == -infinity) continue;
            add_one(whole, w[k]);
            add_one(mean, row.own(k) / row.all() * w[k]);
        }
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            const double g = w[k], own = row.own(k) / row.all(), others = row.others(k) / row.all();
            const double d = x[k] == -infinity ? 0 : F::limit(own, others, g, without_one(whole, g), without_one(mean, g));
            y[k] = x[k] != -infinity && nan ? none : d == 0 ? 0 : d / t;
        }
    } else if constexpr (F::results == 1) {  // cross-entropy
        auto target = [&](std::ptrdiff_t k) {
            const double own = F::labelled ? label == static_cast<double>(k) : w[k];
            return own * (1 - smoothing) + (x[k] != -infinity ? smoothing / static_cast<double>(possible) : 0);
        };
        const double log = row.log_of_all();
        double loss = 0;
        Sum<double> whole;
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            const double q = target(k);
            add_one(whole, q);
            if (q != 0) loss += q * (log - row.exponent(k));
        }
        results[0] = nan || m == -infinity ? none : loss;
        if constexpr (F::per_class)
            for (std::ptrdiff_t k = 0; k < classes; ++k) {
                const double q = target(k), d = (row.own(k) * without_one(whole, q) - row.others(k) * q) / row.all();
                y[k] = nan ? none : x[k] == -infinity || d == 0 ? 0 : d / t;
            }
    } else {
        const double log = F::of_logs ? row.log_of_all() : 0;
        for (std::ptrdiff_t k = 0; k < classes; ++k)
            y[k] = static_cast<W>(nan ? none : m == -infinity ? F::impossible : F::limit(row, k, log));
    }
}
