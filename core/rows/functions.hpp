// The functions over rows of class scores: their list, and what each takes and gives.
// Included once per level, hence no include guard.

// Each of the functions below changes some of it.
struct RowTraits {
    static constexpr bool weighted = false, labelled = false, tempered = true, smoothed = false, per_class = true;
    static constexpr bool in_doubles = true;  // floats are worked on like doubles, upright and flat rows by one text
    static constexpr bool pulls = false;      // gives a gradient
    static constexpr bool at_unit = false;    // is called for temperature 1 alone
    static constexpr bool of_logs = false;    // its limit wants the logarithm of the sum
    static constexpr bool keeps = false;      // works in doubles on floats: wants room for a double a score, and may want to do it again
    static constexpr int results = 0;
    template <class T>
    using Work = double;
};

// softmax, log_softmax and logsumexp work in the type of their scores, and are compiled for upright and flat rows, with and without the
// division by a temperature.
struct OwnTypeTraits : RowTraits {
    static constexpr bool in_doubles = false;
    template <class T>
    using Work = T;
};

struct Softmax : OwnTypeTraits {
    static constexpr const char* name = "softmax";
    template <bool flat, bool scaled, class W, int n>
    static Pack<W, n> run(Rows<W, n>& r) {
        return softmax_kernel<flat, scaled>(r);
    }
    template <class T, int n, int classes>
    SIGMAX_INLINE static bool in_registers(Pack<T, n> (&x)[classes]) {
        return softmax_in_registers(x);
    }
    template <class T>
    static constexpr auto columns = softmax_columns<T>;
    template <class Row>
    static double limit(const Row& row, std::ptrdiff_t k, double) {
        return row.own(k) / row.all();
    }
    static constexpr double impossible = 0;
};

struct LogSoftmax : OwnTypeTraits {
    static constexpr const char* name = "log_softmax";
    static constexpr bool of_logs = true;
    template <bool flat, bool scaled, class W, int n>
    static Pack<W, n> run(Rows<W, n>& r) {
        return log_softmax_kernel<flat, scaled>(r);
    }
    template <class T, int n, int classes>
    SIGMAX_INLINE static bool in_registers(Pack<T, n> (&x)[classes]) {
        return logs_in_registers<false>(x);
    }
    template <class Row>
    static double limit(const Row& row, std::ptrdiff_t k, double log) {
        return row.exponent(k) - log;
    }
    static constexpr double impossible = -std::numeric_limits<double>::infinity();
};

struct LogSumExp : OwnTypeTraits {
    static constexpr const char* name = "logsumexp";
    static constexpr bool tempered = false, per_class = false;
    static constexpr int results = 1;
    template <bool flat, bool scaled, class W, int n>
    static Pack<W, n> run(Rows<W, n>& r) {
        return logsumexp_kernel<flat>(r);
    }
    template <class T, int n, int classes>
    SIGMAX_INLINE static bool in_registers(Pack<T, n> (&x)[classes]) {
        return logs_in_registers<true>(x);
    }
};

struct WeightedLogSumExp : RowTraits {
    static constexpr const char* name = "weighted_logsumexp";
    static constexpr bool tempered = false, per_class = false, weighted = true;
    static constexpr int results = 2;
    static f64 run(Rows<double>& r) { return weighted_logsumexp_kernel(r); }
};

struct SoftmaxComplement : RowTraits {
    static constexpr const char* name = "softmax_complement";
    static f64 run(Rows<double>& r) { return softmax_complement_kernel(r); }
    template <class Row>
    static double limit(const Row& row, std::ptrdiff_t k, double) {
        return row.others(k) / row.all();
    }
    static constexpr double impossible = 1;
};

struct LogSoftmaxComplement : RowTraits {
    static constexpr const char* name = "log_softmax_complement";
    static f64 run(Rows<double>& r) { return log_softmax_complement_kernel(r); }
    template <class Row>
    static double limit(const Row& row, std::ptrdiff_t k, double) {
        const double own = row.own(k), others = row.others(k);
        return own > others ? log_of_one(others, row.all()) : -log1p_of_one(own / others);
    }
    static constexpr double impossible = 0;
};

struct LogitSoftmax : RowTraits {
    static constexpr const char* name = "logit_softmax";
    static f64 run(Rows<double>& r) { return logit_softmax_kernel(r); }
    template <class Row>
    static double limit(const Row& row, std::ptrdiff_t k, double) {
        return row.exponent(k) - log_of_one(row.others(k), 1);
    }
    static constexpr double impossible = -std::numeric_limits<double>::infinity();
};

// Of class numbers, at temperature 1, not smoothed.
template <bool with_gradient>
struct QuickCrossEntropy : OwnTypeTraits {
    static constexpr bool labelled = true, smoothed = true, at_unit = true, per_class = with_gradient;
    static constexpr int results = 1;
    template <bool flat, bool, class W, int n>
    static Pack<W, n> run(Rows<W, n>& r) {
        return quick_cross_entropy<flat, with_gradient>(r);
    }
};

// Of all others, but for rows whose digits do not do.
template <bool with_label, bool with_gradient>
struct CrossEntropy;
template <bool with_label, bool with_gradient>
struct SoftCrossEntropy : OwnTypeTraits {
    using Slow = CrossEntropy<with_label, with_gradient>;
    static constexpr bool weighted = !with_label, labelled = with_label, smoothed = true, per_class = with_gradient, keeps = true;
    static constexpr int results = 1;
    template <bool flat, bool scaled, class W, int n>
    static Pack<W, n> run(Rows<W, n>& r) {
        return soft_cross_entropy<flat, scaled, with_label, with_gradient>(r);
    }
};

template <bool with_label, bool with_gradient>
struct CrossEntropyTraits : RowTraits {};
template <bool with_gradient>
struct CrossEntropyTraits<true, with_gradient> : RowTraits {
    using Unit = QuickCrossEntropy<with_gradient>;
};
template <bool with_label, bool with_gradient>
struct CrossEntropy : CrossEntropyTraits<with_label, with_gradient> {
    using Quick = SoftCrossEntropy<with_label, with_gradient>;
    static constexpr const char* name = with_label      ? with_gradient ? "cross_entropy_and_grad" : "cross_entropy"
                                        : with_gradient ? "target_cross_entropy_and_grad"
                                                        : "target_cross_entropy";
    static constexpr bool weighted = !with_label, labelled = with_label, smoothed = true, per_class = with_gradient;
    static constexpr int results = 1;
    static f64 run(Rows<double>& r) { return cross_entropy_kernel<with_label, with_gradient>(r); }
};

// Gradients by the scores; the weights are the gradient by the results.
template <bool of_log>
struct PullbackOf;
// Of floats, but for rows whose digits do not do.
template <bool of_log>
struct QuickPullback : OwnTypeTraits {
    using Slow = PullbackOf<of_log>;
    static constexpr bool weighted = true, pulls = true, keeps = true;
    template <bool flat, bool scaled, class W, int n>
    static Pack<W, n> run(Rows<W, n>& r) {
        return quick_pullback<flat, scaled, of_log>(r);
    }
    static double limit(double p, double others, double g, double sum, double mean) { return Slow::limit(p, others, g, sum, mean); }
};
template <bool of_log>
struct PullbackOf : RowTraits {
    using Quick = QuickPullback<of_log>;
    static constexpr const char* name = of_log ? "log_softmax_pullback" : "softmax_pullback";
    static constexpr bool weighted = true, pulls = true;
    static f64 run(Rows<double>& r) { return pullback_kernel<of_log>(r); }
    // p, 1 - p, g, and by how much the sum of all g, and of all p g, is more
    static double limit(double p, double others, double g, double sum, double mean) { return of_log ? g * others - p * sum : -p * mean; }
};

using RowFunctions = std::tuple<Softmax, LogSoftmax, LogSumExp>;
using MoreRowFunctions =
    std::tuple<WeightedLogSumExp, SoftmaxComplement, LogSoftmaxComplement, LogitSoftmax, CrossEntropy<true, false>,
               CrossEntropy<true, true>, CrossEntropy<false, false>, CrossEntropy<false, true>, PullbackOf<false>, PullbackOf<true>>;
