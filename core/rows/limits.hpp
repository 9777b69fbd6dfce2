// The limits: no possible class, scores of +inf, temperatures of 0 and inf, in which every class has the largest score's part or none; and
// temperatures whose inverse the kernels cannot hold. One row at a time, in doubles and the core's own logarithm. Its results take the
// place of the kernel's before any of them is stored, because the scores may lie where the results go. Impossible classes have a score
// of -inf. Included once per level, hence no include guard.

// ---- one number at a time, to 60 bits before the rounding ----

SIGMAX_SHARED double log_of_one(double a, double b) {  // log(a / b)
    if (a == 0) return -std::numeric_limits<double>::infinity();
    const Pair<double> l = log60(one_term(f64(a)), one_term(f64(b)));
    return first_lane(l.hi + l.lo);
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

// A row in the limit: of each class, whether it has the largest score's part, 1, or none. `first` is the largest.
template <class X>
class LimitRow {
public:
    LimitRow(Column<const X> x, std::ptrdiff_t classes, std::ptrdiff_t first, double temperature) : x_(x), first_(first), m_(x[first]) {
        hot_ = temperature == infinity && m_ < infinity;
        for (std::ptrdiff_t k = 0; k < classes; ++k) rest_ += k == first ? 0 : own(k);
    }
    double all() const { return 1 + rest_; }
    double log_of_all() const { return log1p_of_one(rest_); }
    double own(std::ptrdiff_t k) const { return exponent(k) == 0; }
    double others(std::ptrdiff_t k) const { return k == first_ ? rest_ : 1 + (rest_ - own(k)); }
    double exponent(std::ptrdiff_t k) const { return x_[k] == m_ || (hot_ && x_[k] > -infinity) ? 0 : -infinity; }

private:
    static constexpr double infinity = std::numeric_limits<double>::infinity();
    Column<const X> x_;
    std::ptrdiff_t first_;
    double m_, rest_ = 0;
    bool hot_;
};

// One row with all that it has; results go where the kernel has left its own.
template <class W>
struct SingleRow {
    Column<const W> x;
    std::ptrdiff_t classes;
    double temperature;
    Column<const W> w;
    double label, smoothing;
    Column<W> y;
    W* results;
};

// What is seen of its scores first; `possible` counts those that are.
struct Sight {
    double m = -std::numeric_limits<double>::infinity();
    std::ptrdiff_t first = 0, possible = 0;
    bool nan = false;
};
template <class F, class W>
Sight sight_of(const SingleRow<W>& row) {
    Sight s;
    for (std::ptrdiff_t k = 0; k < row.classes; ++k) {
        const double score = row.x[k];
        if (!F::tempered && F::weighted && row.w[k] == 0) continue;
        const bool possible = score != -std::numeric_limits<double>::infinity();
        s.nan = s.nan || score != score || (F::weighted && row.w[k] != row.w[k] && (!F::pulls || possible));
        s.possible += possible;
        if (score > s.m) s.first = k;
        s.m = score > s.m ? score : s.m;
    }
    return s;
}

// The probability that a label gives class k.
template <class F, class W>
double label_part(const SingleRow<W>& row, std::ptrdiff_t k, std::ptrdiff_t possible) {
    const double own = F::labelled ? row.label == static_cast<double>(k) : row.w[k];
    const bool shared = row.x[k] != -std::numeric_limits<double>::infinity();
    return own * (1 - row.smoothing) + (shared ? row.smoothing / static_cast<double>(possible) : 0);
}

// ---- temperatures whose inverse a kernel cannot hold ----

template <class F, class T>
unsigned row_loop(const RowBatch& b);
// The function that works in doubles from the first.
template <class F>
struct InDoubles {
    using Type = F;
};
template <class F>
    requires requires { typename F::Slow; }
struct InDoubles<F> {
    using Type = typename F::Slow;
};
template <class F>
using SlowOf = typename InDoubles<F>::Type;

// q (m - x - end) / T, all of which are at least 2^750 but for q and T, at 2^-900 and below.
SIGMAX_SHARED double part_of_distance(double q, double m, double x, double end, double t) {
    if (q == 0) return 0;
    Pair<double> distance = two_sum(f64(m * 0.5), f64(x * -0.5));
    const Pair<double> less = two_sum(distance.hi, f64(end * -0.5));
    distance = fast_two_sum(less.hi, less.lo + distance.lo);
    const Pair<double> part = distance * one_term(f64(q)) * f64(0x1p-450);
    const double whole = first_lane(divide(part, one_term(f64(t * 0x1p500))).hi) * 0x1p951;
    return whole == whole ? whole : std::numeric_limits<double>::infinity();
}

// By the kernel for doubles: if that cannot hold it either, with scores and temperature times a power of two, which changes no exponent
// (and not more of it than is needed: a gradient is divided by the temperature while it has all its digits).
//
// A score that becomes too large for that lies so far below the largest that its exponent is beyond the doubles, and is put at their end;
// where it is the largest itself, so do all others, and it is put at 0. How far it lies is seen in a loss alone, which may ask for so small
// a part of it that the whole is a number: what the end of the doubles lacks of it is added there.
template <class F, class W>
unsigned at_usual_temperature(const SingleRow<W>& row, const Sight& sight) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), end = std::numeric_limits<double>::max();
    const std::ptrdiff_t classes = row.classes, size = sizeof(double);
    int exponent;
    const double mantissa = std::frexp(row.temperature, &exponent);
    const int shift = ordinary<double>(row.temperature) ? 0 : (row.temperature < 1 ? -800 : 800) - exponent;
    const double usual = std::ldexp(mantissa, exponent + shift);
    const std::unique_ptr<double[]> scores(new (std::nothrow) double[classes]), values(new (std::nothrow) double[classes]);
    if (!scores || !values) return unsigned(Status::no_memory);
    const bool apart = std::isinf(std::ldexp(sight.m, shift));
    double lacking = 0;
    for (std::ptrdiff_t k = 0; k < classes; ++k) {
        const double x = row.x[k], moved = apart && x == x ? (x == sight.m ? 0 : -infinity) : std::ldexp(x, shift);
        const bool beyond = moved == -infinity && x != -infinity;
        scores[k] = beyond ? -end : moved;
        if constexpr (F::smoothed)
            if (beyond)
                lacking += part_of_distance(label_part<F>(row, k, sight.possible), apart ? sight.m : 0, x, std::ldexp(end, -shift),
                                            row.temperature);
    }
    const std::int64_t number = static_cast<std::int64_t>(row.label);
    double found[2];
    auto given = []<class T>(const T* p, std::ptrdiff_t step) { return Input{reinterpret_cast<const char*>(p), 0, step, dtype_of<T>}; };
    RowBatch b{};
    b.rows = 1;
    b.classes = classes;
    b.x = given(scores.get(), size);
    if constexpr (F::weighted) b.weights = given(row.w.data, row.w.step * std::ptrdiff_t(sizeof(W)));
    if constexpr (F::labelled) b.label = {reinterpret_cast<const char*>(&number), 0, 0, {}};
    if constexpr (F::smoothed) b.smoothing = given(&row.smoothing, 0);
    b.temperature = given(&usual, 0);
    if constexpr (F::per_class) b.y = {reinterpret_cast<char*>(values.get()), 0, size, Dtype::float64};
    for (int j = 0; j < F::results; ++j) b.results[j] = {reinterpret_cast<char*>(found + j), 0, 0, Dtype::float64};
    if (const unsigned failed = row_loop<SlowOf<F>, double>(b)) return failed;
    constexpr bool is_gradient = F::per_class && (F::pulls || F::results > 0);
    for (int j = 0; j < F::results; ++j) row.results[j] = static_cast<W>(found[j] + lacking);
    if constexpr (F::per_class)
        for (std::ptrdiff_t k = 0; k < classes; ++k) row.y[k] = static_cast<W>(is_gradient ? std::ldexp(values[k], shift) : values[k]);
    return 0;
}

// ---- in the limit ----

template <class F, class W>
void limit_of_sum(const SingleRow<W>& row, const Sight& s) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();
    row.results[0] = s.nan ? none : s.m;
    if constexpr (F::weighted) {
        double total = 0;
        for (std::ptrdiff_t k = 0; k < row.classes; ++k) total += row.w[k] != 0 && row.x[k] == s.m ? row.w[k] : 0;
        const bool undecided = s.nan || (s.m == infinity && total == 0);
        row.results[0] = undecided ? none : s.m;
        row.results[1] = undecided ? none : s.m == -infinity ? 0 : total > 0 ? 1 : -1;
    }
}

template <class F, class W>
void limit_of_pullback(const SingleRow<W>& row, const Sight& s) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();
    const LimitRow<W> in(row.x, row.classes, s.first, row.temperature);
    Sum<double> whole, mean;
    for (std::ptrdiff_t k = 0; k < row.classes; ++k) {
        if (row.x[k] == -infinity) continue;
        add_one(whole, row.w[k]);
        add_one(mean, in.own(k) / in.all() * row.w[k]);
    }
    for (std::ptrdiff_t k = 0; k < row.classes; ++k) {
        const double g = row.w[k], own = in.own(k) / in.all(), others = in.others(k) / in.all();
        const double d = row.x[k] == -infinity ? 0 : F::limit(own, others, g, without_one(whole, g), without_one(mean, g));
        row.y[k] = row.x[k] != -infinity && s.nan ? none : d == 0 ? 0 : d / row.temperature;
    }
}

template <class F, class W>
void limit_of_loss(const SingleRow<W>& row, const Sight& s) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();
    const LimitRow<W> in(row.x, row.classes, s.first, row.temperature);
    const double log = in.log_of_all();
    double loss = 0;
    Sum<double> whole;
    for (std::ptrdiff_t k = 0; k < row.classes; ++k) {
        const double q = label_part<F>(row, k, s.possible);
        add_one(whole, q);
        if (q != 0) loss += q * (log - in.exponent(k));
    }
    row.results[0] = s.nan || s.m == -infinity ? none : loss;
    if constexpr (F::per_class)
        for (std::ptrdiff_t k = 0; k < row.classes; ++k) {
            const double q = label_part<F>(row, k, s.possible), d = (in.own(k) * without_one(whole, q) - in.others(k) * q) / in.all();
            row.y[k] = row.x[k] == -infinity ? 0 : s.nan ? none : d == 0 ? 0 : d / row.temperature;
        }
}

template <class F, class W>
void limit_per_class(const SingleRow<W>& row, const Sight& s) {
    constexpr double infinity = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();
    const LimitRow<W> in(row.x, row.classes, s.first, row.temperature);
    const double log = F::of_logs ? in.log_of_all() : 0;
    for (std::ptrdiff_t k = 0; k < row.classes; ++k)
        row.y[k] = static_cast<W>(s.nan ? none : s.m == -infinity ? F::impossible : F::limit(in, k, log));
}

// Returns what has failed.
template <class F, class W>
SIGMAX_RARE unsigned limit_row(const SingleRow<W>& row) {
    const Sight sight = sight_of<F>(row);
    const double t = row.temperature;
    if constexpr (!F::tempered) {
        limit_of_sum<F>(row, sight);
    } else {
        if constexpr (!F::at_unit)
            if (t > 0 && !ordinary<W>(t) && std::isfinite(t) && std::isfinite(sight.m)) return at_usual_temperature<F>(row, sight);
        if constexpr (F::pulls)
            limit_of_pullback<F>(row, sight);
        else if constexpr (F::results == 1)
            limit_of_loss<F>(row, sight);
        else
            limit_per_class<F>(row, sight);
    }
    return 0;
}
