// What a regression asks of its features: scores of coefficients, and sums over rows of what is made of them.
//
// A run of rows is put into columns of doubles, scaled and with a column of ones behind them, once for all that is asked of it; then
// columns are multiplied with columns, a few at a time in registers. Each level has lanes of its own here, and so last digits of its own:
// sums over rows are not results of a contract, and on one machine they are the same bits every time.
//
// Included once per level inside that level's namespace and target region, hence no include guard.

inline constexpr int run_rows = 256;

SIGMAX_INLINE f64 multiply_add(f64 a, f64 b, f64 c) {
    if constexpr (fast_fma)
        return fma(a, b, c);
    else
        return a * b + c;
}

// A run of rows, column by column: their features, scaled, and ones. What is missing of a run is zeros.
class Columns {
public:
    explicit Columns(const FeatureBatch& batch) : batch_(batch), count_(batch.features + 1), at_(new double[std::size_t(count_) * run_rows]) {}
    void read(std::ptrdiff_t first) {
        rows_ = static_cast<int>(std::min<std::ptrdiff_t>(batch_.rows - first, run_rows));
        batch_.x.dtype == Dtype::float32 ? read_as<float>(first) : read_as<double>(first);
        double* ones = at_.get() + std::size_t(count_ - 1) * run_rows;
        for (int r = 0; r < run_rows; ++r) ones[r] = r < rows_ ? 1.0 : 0.0;
    }
    int count() const { return count_; }
    int rows() const { return rows_; }
    const double* operator[](int j) const { return at_.get() + std::size_t(j) * run_rows; }

private:
    template <class T>
    void read_as(std::ptrdiff_t first) {
        const char* begin = batch_.x.data + first * batch_.x.row;
        const int features = count_ - 1;
        constexpr int together = 8;  // rows that lie close are read together, so that each line of memory is met once
        for (int r = 0; r < rows_; r += together) {
            const int some = std::min(together, rows_ - r);
            for (int j = 0; j < features; ++j) {
                const char* p = begin + r * batch_.x.row + j * batch_.x.step;
                double* to = at_.get() + std::size_t(j) * run_rows + r;
                const double shift = batch_.shift[j], scale = batch_.scale[j];
                for (int i = 0; i < some; ++i) to[i] = (double(*reinterpret_cast<const T*>(p + i * batch_.x.row)) - shift) * scale;
            }
        }
        for (int j = 0; j < features; ++j)
            for (int r = rows_; r < run_rows; ++r) at_[std::size_t(j) * run_rows + r] = 0.0;
    }
    const FeatureBatch& batch_;
    int count_, rows_ = 0;
    std::unique_ptr<double[]> at_;
};

// Sums of products of columns with columns, J by L of them, kept as registers until the end.
template <int J, int L>
SIGMAX_INLINE void add_products(const double* const* a, const double* const* b, f64* const* sums) {
    f64 s[J][L];
    for (int j = 0; j < J; ++j)
        for (int l = 0; l < L; ++l) s[j][l] = f64::load(reinterpret_cast<const double*>(sums[j] + l));
    for (int r = 0; r < run_rows; r += double_lanes) {
        f64 y[L];
        for (int l = 0; l < L; ++l) y[l] = f64::load(b[l] + r);
        for (int j = 0; j < J; ++j) {
            const f64 x = f64::load(a[j] + r);
            for (int l = 0; l < L; ++l) s[j][l] = multiply_add(x, y[l], s[j][l]);
        }
    }
    for (int j = 0; j < J; ++j)
        for (int l = 0; l < L; ++l) s[j][l].store(reinterpret_cast<double*>(sums[j] + l));
}
inline constexpr int tile_j = 4, tile_l = register_bytes == 64 ? 5 : 2;

template <int J>
void add_strip(const double* const* a, const double* const* b, int many, f64* const* sums) {
    f64* at[J];
    int l = 0;
    auto here = [&] {
        for (int j = 0; j < J; ++j) at[j] = sums[j] + l;
    };
    for (; l + tile_l <= many; l += tile_l) here(), add_products<J, tile_l>(a, b + l, at);
    for (; l < many; ++l) here(), add_products<J, 1>(a, b + l, at);
}
// sums[j][l] += a_j . b_l, for all of the columns a and b
inline void add_all(const double* const* a, int count_a, const double* const* b, int count_b, f64* const* sums) {
    int j = 0;
    for (; j + tile_j <= count_a; j += tile_j) add_strip<tile_j>(a + j, b, count_b, sums + j);
    for (; j < count_a; ++j) add_strip<1>(a + j, b, count_b, sums + j);
}

inline double total(const f64& lanes) {
    double each[double_lanes], sum = 0;
    lanes.store(each);
    for (double one : each) sum += one;
    return sum;
}

// z[r][k + i] = sum over j of x[r][j] theta[j][k + i], of some classes of a run at a time
template <int some>
inline void add_scores(const Columns& x, const double* theta, std::ptrdiff_t classes, std::ptrdiff_t k, double* z) {
    for (int r = 0; r < x.rows(); r += double_lanes) {
        f64 sums[some];
        for (f64& one : sums) one = 0.0;
        const double* at = theta + k;
        for (int j = 0; j < x.count(); ++j, at += classes) {
            const f64 feature = f64::load(x[j] + r);
            for (int i = 0; i < some; ++i) sums[i] = multiply_add(feature, f64(at[i]), sums[i]);
        }
        for (int i = 0; i < some; ++i) {
            double each[double_lanes];
            sums[i].store(each);
            for (int lane = 0; lane < double_lanes && r + lane < x.rows(); ++lane) z[(r + lane) * classes + k + i] = each[lane];
        }
    }
}
inline void scores_of_run(const Columns& x, const double* theta, std::ptrdiff_t classes, double* z) {
    std::ptrdiff_t k = 0;
    for (; k + 4 <= classes; k += 4) add_scores<4>(x, theta, classes, k, z);
    for (; k < classes; ++k) add_scores<1>(x, theta, classes, k, z);
}
inline void feature_scores(const FeatureBatch& batch) {
    Columns x(batch);
    for (std::ptrdiff_t first = 0; first < batch.rows; first += run_rows) {
        x.read(first);
        scores_of_run(x, batch.theta, batch.classes, batch.z + first * batch.classes);
    }
}

// Sums over runs: pulled[j][k] of x[r][j] slope[r][k], and the second derivatives of the sum of losses.
class FeatureSums {
public:
    explicit FeatureSums(const FeatureBatch& batch, int columns)
        : batch_(batch), n_(columns), classes_(batch.classes), pairs_(batch.hessian ? classes_ * (classes_ + 1) / 2 : 0),
          slopes_(new double[std::size_t(classes_) * run_rows]), p_(new double[std::size_t(classes_) * run_rows]), bent_(new double[std::size_t(n_) * run_rows]),
          pulled_(new f64[std::size_t(n_ * classes_) + 1]), hessian_(new f64[std::size_t(pairs_ * n_ * n_) + 1]),
          a_(new const double*[n_]), b_(new const double*[std::max<std::ptrdiff_t>(n_, classes_)]), to_(new f64*[n_]) {
        for (std::ptrdiff_t i = 0; i < n_ * classes_; ++i) pulled_[i] = 0.0;
        for (std::ptrdiff_t i = 0; i < pairs_ * n_ * n_; ++i) hessian_[i] = 0.0;
    }
    // a column of a run for each class; what is missing of a run is 0
    double* slopes(std::ptrdiff_t k) { return slopes_.get() + k * run_rows; }
    double* p(std::ptrdiff_t k) { return p_.get() + k * run_rows; }
    double* weights() { return weights_; }

    void add_slopes(const Columns& x) {
        for (int j = 0; j < n_; ++j) a_[j] = x[j], to_[j] = pulled_.get() + j * classes_;
        for (std::ptrdiff_t k = 0; k < classes_; ++k) b_[k] = slopes(k);
        add_all(a_.get(), n_, b_.get(), static_cast<int>(classes_), to_.get());
    }
    void add_curvature(const Columns& x, bool of_weights) {
        for (int j = 0; j < n_; ++j) a_[j] = x[j];
        f64* at = hessian_.get();
        for (std::ptrdiff_t k = 0; k < classes_; ++k)
            for (std::ptrdiff_t m = k; m < classes_; ++m, at += n_ * n_) {
                const double *p = this->p(k), *q = this->p(m);
                double s[run_rows];
                for (int r = 0; r < run_rows; ++r)
                    s[r] = of_weights ? weights_[r] : k == m ? weights_[r] * p[r] * (1 - p[r]) : -weights_[r] * p[r] * q[r];
                for (int j = 0; j < n_; ++j) {
                    double* column = bent_.get() + std::size_t(j) * run_rows;
                    for (int r = 0; r < run_rows; ++r) column[r] = x[j][r] * s[r];
                    b_[j] = column;
                }
                for (int j = 0; j < n_; j += tile_j) {  // from the diagonal on
                    for (int i = j; i < n_ && i < j + tile_j; ++i) to_[i] = at + std::ptrdiff_t(i) * n_ + j;
                    add_all(a_.get() + j, std::min(tile_j, n_ - j), b_.get() + j, n_ - j, to_.get() + j);
                }
            }
    }
    void write() const {
        if (batch_.pulled)
            for (std::ptrdiff_t i = 0; i < n_ * classes_; ++i) batch_.pulled[i] = total(pulled_[i]);
        const f64* at = hessian_.get();
        const std::ptrdiff_t wide = n_ * classes_;
        for (std::ptrdiff_t k = 0; k < classes_ && pairs_; ++k)
            for (std::ptrdiff_t m = k; m < classes_; ++m, at += n_ * n_)
                for (std::ptrdiff_t j = 0; j < n_; ++j)
                    for (std::ptrdiff_t l = j; l < n_; ++l) {
                        const double sum = total(at[j * n_ + l]);
                        for (auto [u, v] : {std::pair{j * classes_ + k, l * classes_ + m}, std::pair{l * classes_ + k, j * classes_ + m}})
                            batch_.hessian[u * wide + v] = batch_.hessian[v * wide + u] = sum;
                    }
    }

private:
    const FeatureBatch& batch_;
    int n_;
    std::ptrdiff_t classes_, pairs_;
    std::unique_ptr<double[]> slopes_, p_, bent_;
    double weights_[run_rows];
    std::unique_ptr<f64[]> pulled_, hessian_;
    std::unique_ptr<const double*[]> a_, b_;
    std::unique_ptr<f64*[]> to_;
};

// Of slopes and probabilities that are given.
inline void feature_sums(const FeatureBatch& batch) {
    Columns x(batch);
    FeatureSums sums(batch, x.count());
    const std::ptrdiff_t classes = batch.classes;
    for (std::ptrdiff_t first = 0; first < batch.rows; first += run_rows) {
        x.read(first);
        for (std::ptrdiff_t k = 0; k < classes; ++k)
            for (int r = 0; r < run_rows; ++r) {
                const bool there = r < x.rows();
                const std::ptrdiff_t at = (first + r) * classes + k;
                if (batch.slopes) sums.slopes(k)[r] = there ? batch.slopes[at] : 0.0;
                if (batch.p) sums.p(k)[r] = there ? batch.p[at] : 0.0;
                if (batch.weights) sums.weights()[r] = there ? batch.weights[first + r] : 0.0;
            }
        if (batch.pulled) sums.add_slopes(x);
        if (batch.hessian) sums.add_curvature(x, !batch.p);
    }
    sums.write();
}

// The losses of rows and their derivatives, in one look at the features.
inline void feature_losses(const FeatureBatch& batch) {
    Columns x(batch);
    FeatureSums sums(batch, x.count());
    const std::ptrdiff_t classes = batch.classes, size = sizeof(double);
    std::unique_ptr<double[]> z(new double[std::size_t(classes) * run_rows]), p(new double[std::size_t(classes) * run_rows]);
    double lse[run_rows];
    double losses = 0, entropy = 0, offset_p = 0, ahead = std::numeric_limits<double>::infinity();
    for (std::ptrdiff_t first = 0; first < batch.rows; first += run_rows) {
        x.read(first);
        const int rows = x.rows();
        scores_of_run(x, batch.theta, classes, z.get());
        if (batch.offset)
            for (std::ptrdiff_t i = 0; i < rows * classes; ++i) z[i] += batch.offset[first * classes + i];
        if (classes == 1) {
            LinkBatch links{};
            links.x[0] = {reinterpret_cast<const char*>(z.get()), 0, size, Dtype::float64};
            links.count = rows;
            links.y[0] = {reinterpret_cast<char*>(p.get()), 0, size, Dtype::float64};
            batch.sigmoid(links);
            links.y[0].data = reinterpret_cast<char*>(lse);
            batch.softplus(links);
        } else {
            RowBatch scores{};
            scores.rows = rows;
            scores.classes = classes;
            scores.x = {reinterpret_cast<const char*>(z.get()), classes * size, size, Dtype::float64};
            scores.y = {reinterpret_cast<char*>(p.get()), classes * size, size, Dtype::float64};
            if (batch.softmax(scores) & unsigned(Status::no_memory)) throw std::bad_alloc();
            scores.y = {};
            scores.results[0] = {reinterpret_cast<char*>(lse), size, 0, Dtype::float64};
            if (batch.logsumexp(scores) & unsigned(Status::no_memory)) throw std::bad_alloc();
        }
        for (int r = 0; r < run_rows; ++r) {
            if (r >= rows) {
                sums.weights()[r] = 0.0;
                for (std::ptrdiff_t k = 0; k < classes; ++k) sums.slopes(k)[r] = sums.p(k)[r] = 0.0;
                continue;
            }
            const double w = sums.weights()[r] = batch.weights[first + r];
            const std::ptrdiff_t label = batch.label ? batch.label[first + r] : -1;
            const double *of_row = z.get() + r * classes, *p_row = p.get() + r * classes, *q = batch.targets ? batch.targets + (first + r) * classes : nullptr;
            double own = 0, inner = 0, offset = 0, other = -std::numeric_limits<double>::infinity();
            for (std::ptrdiff_t k = 0; k < classes; ++k) {
                const double target = q ? q[k] : k == label ? 1.0 : 0.0, slope = w * (p_row[k] - target);
                own += target == 0 ? 0.0 : target * of_row[k];
                inner += slope * of_row[k];
                if (batch.offset) offset += p_row[k] * batch.offset[(first + r) * classes + k];
                if (k != label && of_row[k] > other) other = of_row[k];
                sums.slopes(k)[r] = slope;
                sums.p(k)[r] = p_row[k];
            }
            const double loss = w * (lse[r] - own);
            losses += loss;
            entropy += loss - inner;
            offset_p += w * offset;
            const double lead = classes == 1 ? (2 * q[0] - 1) * of_row[0] : batch.label ? of_row[label] - other : 0.0;
            if (lead < ahead) ahead = lead;
        }
        if (batch.z) std::copy(p.get(), p.get() + rows * classes, batch.z + first * classes);
        sums.add_slopes(x);
        if (batch.hessian) sums.add_curvature(x, false);
    }
    sums.write();
    const double found[] = {losses, entropy, offset_p, ahead};
    std::copy(found, found + 4, batch.found);
}

// The second derivatives of the losses of classes with the probabilities p, times coefficients theta.
inline void feature_bent(const FeatureBatch& batch) {
    Columns x(batch);
    FeatureSums sums(batch, x.count());
    const std::ptrdiff_t classes = batch.classes;
    std::unique_ptr<double[]> u(new double[std::size_t(classes) * run_rows]);
    for (std::ptrdiff_t first = 0; first < batch.rows; first += run_rows) {
        x.read(first);
        scores_of_run(x, batch.theta, classes, u.get());
        for (int r = 0; r < run_rows; ++r) {
            const double *p = batch.p + (first + r) * classes, *of_row = u.get() + r * classes;
            double mean = 0;
            if (r < x.rows() && classes > 1)
                for (std::ptrdiff_t k = 0; k < classes; ++k) mean += p[k] * of_row[k];
            for (std::ptrdiff_t k = 0; k < classes; ++k)
                sums.slopes(k)[r] = r >= x.rows()  ? 0.0
                                    : classes == 1 ? batch.weights[first + r] * p[0] * (1 - p[0]) * of_row[0]
                                                   : batch.weights[first + r] * p[k] * (of_row[k] - mean);
        }
        sums.add_slopes(x);
    }
    sums.write();
}
