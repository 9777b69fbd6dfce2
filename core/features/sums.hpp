// What a regression asks of its features: scores of coefficients, and sums over rows of what is made of them.
//
// A run of rows is put into columns of doubles, scaled and with a column of ones behind them, once for all that is asked of it; then
// columns are multiplied with columns, a few at a time in registers. Each level has lanes of its own here, and so last digits of its own:
// sums over rows are not results of a contract, and on one machine they are the same bits every time.
//
// Included once per level inside that level's namespace and target region, hence no include guard.

// Columns, and those times second derivatives, lie in the nearest cache (20 features with AVX2: 4.1 ms for 100,000 rows, 5.1 in runs of 256).
inline constexpr int run_rows = register_bytes == 64 ? 128 : 64;

SIGMAX_INLINE f64 multiply_add(f64 a, f64 b, f64 c) {
    if constexpr (fast_fma)
        return fma(a, b, c);
    else
        return a * b + c;
}

// A run of rows, column by column: their features, scaled, and ones. What is missing of a run is zeros. Some runs are kept, in slots.
class Columns {
public:
    explicit Columns(const FeatureBatch& batch, int slots = 1)
        : batch_(batch),
          count_(batch.features + 1),
          slots_(slots),
          kept_(new double[std::size_t(slots) * count_ * run_rows]),
          at_(kept_.get()) {}
    void read(std::ptrdiff_t first) {
        slot_ = static_cast<int>(first / run_rows % slots_);
        at_ = of_slot(slot_);
        rows_ = static_cast<int>(std::min<std::ptrdiff_t>(batch_.rows - first, run_rows));
        batch_.x.dtype == Dtype::float32 ? read_as<float>(first) : read_as<double>(first);
        double* ones = at_ + std::size_t(count_ - 1) * run_rows;
        for (int r = 0; r < run_rows; ++r) ones[r] = r < rows_ ? 1.0 : 0.0;
    }
    int count() const { return count_; }
    int rows() const { return rows_; }
    int slot() const { return slot_; }
    bool is_last_slot() const { return slot_ + 1 == slots_; }
    const double* operator[](int j) const { return at_ + std::size_t(j) * run_rows; }
    const double* column(int slot, int j) const { return of_slot(slot) + std::size_t(j) * run_rows; }

private:
    // Transposed in registers, some rows at a time; lines of memory that are needed soon are asked for in between.
    template <class T>
    void read_as(std::ptrdiff_t first) {
        constexpr int n = float_lanes;
        using Some = Pack<double, n>;
        const std::ptrdiff_t features = count_ - 1, row = batch_.x.row;
        const int soon = batch_.x.step == sizeof(T) ? static_cast<int>(features * sizeof(T)) : 0;
        for (int r = 0; r < run_rows; r += n) {
            const int some = std::min(n, std::max(rows_ - r, 0));
            if (some == 0) {
                for (int j = 0; j < features; ++j) Some(0.0).store(at_ + j * run_rows + r);
                continue;
            }
            const char* begin = batch_.x.data + (first + r) * row;
            for (int i = 0; i < n; ++i)
                for (int at = 0; at < soon; at += 64) __builtin_prefetch(begin + (8 * n + i) * row + at);
            load_tile<n, run_rows, T>(begin, row, batch_.x.step, some, features, at_ + r);
            for (int j = 0; j < features; ++j) {
                double* to = at_ + j * run_rows + r;
                ((Some::load(to) - batch_.shift[j]) * batch_.scale[j]).store(to);
                for (int i = some; i < n; ++i) to[i] = 0.0;
            }
        }
    }
    double* of_slot(int slot) const { return kept_.get() + std::size_t(slot) * count_ * run_rows; }
    const FeatureBatch& batch_;
    int count_, slots_, slot_ = 0, rows_ = 0;
    std::unique_ptr<double[]> kept_;
    double* at_;
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
    for (; l + tile_l <= many && many - l != tile_l + 1; l += tile_l) here(), add_products<J, tile_l>(a, b + l, at);
    here();
    if (many - l == 1) add_products<J, 1>(a, b + l, at);
    if (many - l == 2) add_products<J, 2>(a, b + l, at);
    if (many - l == 3) add_products<J, 3>(a, b + l, at);
    if (many - l == 4) add_products<J, 4>(a, b + l, at);
    if (many - l == 6) add_products<J, 6>(a, b + l, at);
}
// sums[j][l] += a_j . b_l, for all of the columns a and b
inline void add_all(const double* const* a, int count_a, const double* const* b, int count_b, f64* const* sums) {
    int j = 0;
    for (; j + tile_j <= count_a; j += tile_j) add_strip<tile_j>(a + j, b, count_b, sums + j);
    for (; j < count_a; ++j) add_strip<1>(a + j, b, count_b, sums + j);
}

SIGMAX_SHARED double total(const f64& lanes) {
    double each[double_lanes], sum = 0;
    lanes.store(each);
    for (double one : each) sum += one;
    return sum;
}

// Numbers of a run, [rows][classes] in memory, to a column for each class, with zeros behind the rows there are; and back.
inline void by_class(const double* from, std::ptrdiff_t rows, std::ptrdiff_t classes, double* columns) {
    constexpr int n = float_lanes;
    const std::ptrdiff_t size = sizeof(double);
    for (int r = 0; r < run_rows; r += n) {
        const std::ptrdiff_t some = std::min<std::ptrdiff_t>(n, rows - r);
        if (some > 0)
            load_tile<n, run_rows, double>(reinterpret_cast<const char*>(from + r * classes), classes * size, size, some, classes,
                                           columns + r);
        for (std::ptrdiff_t k = 0; k < classes && some < n; ++k)
            for (std::ptrdiff_t i = std::max<std::ptrdiff_t>(some, 0); i < n; ++i) columns[k * run_rows + r + i] = 0.0;
    }
}
inline void by_row(const double* columns, std::ptrdiff_t rows, std::ptrdiff_t classes, double* to) {
    constexpr int n = float_lanes;
    const std::ptrdiff_t size = sizeof(double);
    for (int r = 0; r < rows; r += n)
        store_tile<n, run_rows, double>(columns + r, reinterpret_cast<char*>(to + r * classes), classes * size, size,
                                        std::min<std::ptrdiff_t>(n, rows - r), classes);
}

// z_k = sum over j of x_j theta[j][k], columns of a run, of some classes and two vectors of rows at a time; missing rows have zeros.
template <int some>
inline void add_scores(const Columns& x, const double* theta, std::ptrdiff_t classes, double* z) {
    static_assert(run_rows % (2 * double_lanes) == 0);
    for (int r = 0; r < run_rows; r += 2 * double_lanes) {
        f64 a[some], b[some];
        for (int i = 0; i < some; ++i) a[i] = b[i] = 0.0;
        const double* at = theta;
        for (int j = 0; j < x.count(); ++j, at += classes) {
            const f64 one = f64::load(x[j] + r), two = f64::load(x[j] + r + double_lanes);
            for (int i = 0; i < some; ++i) {
                const f64 by = at[i];
                a[i] = multiply_add(one, by, a[i]);
                b[i] = multiply_add(two, by, b[i]);
            }
        }
        for (int i = 0; i < some; ++i) a[i].store(z + i * run_rows + r), b[i].store(z + i * run_rows + r + double_lanes);
    }
}
inline void scores_of_run(const Columns& x, const double* theta, std::ptrdiff_t classes, double* z) {
    std::ptrdiff_t k = 0;
    for (; k + 4 <= classes; k += 4) add_scores<4>(x, theta + k, classes, z + k * run_rows);
    for (; k + 2 <= classes; k += 2) add_scores<2>(x, theta + k, classes, z + k * run_rows);
    for (; k < classes; ++k) add_scores<1>(x, theta + k, classes, z + k * run_rows);
}
inline void feature_scores(const FeatureBatch& batch) {
    Columns x(batch);
    std::unique_ptr<double[]> z(new double[std::size_t(batch.classes) * run_rows]);
    for (std::ptrdiff_t first = 0; first < batch.rows; first += run_rows) {
        x.read(first);
        scores_of_run(x, batch.theta, batch.classes, z.get());
        by_row(z.get(), x.rows(), batch.classes, batch.z + first * batch.classes);
    }
}

// Sums over runs: pulled[j][k] of x[r][j] slope[r][k], and the second derivatives of the sum of losses.
class FeatureSums {
public:
    explicit FeatureSums(const FeatureBatch& batch, int columns)
        : batch_(batch),
          n_(columns),
          classes_(batch.classes),
          pairs_(batch.hessian ? classes_ * (classes_ + 1) / 2 : 0),
          slopes_(new double[std::size_t(classes_) * run_rows]()),
          p_(new double[std::size_t(slots(batch)) * classes_ * run_rows]()),
          weights_(new double[std::size_t(slots(batch)) * run_rows]()),
          bent_(new double[std::size_t(n_) * run_rows]),
          pulled_(new f64[std::size_t(n_ * classes_) + 1]),
          hessian_(new f64[std::size_t(pairs_ * n_ * n_) + 1]),
          a_(new const double*[n_]),
          b_(new const double*[std::max<std::ptrdiff_t>(n_, classes_)]),
          to_(new f64*[n_]) {
        for (std::ptrdiff_t i = 0; i < n_ * classes_; ++i) pulled_[i] = 0.0;
        for (std::ptrdiff_t i = 0; i < pairs_ * n_ * n_; ++i) hessian_[i] = 0.0;
    }
    // Runs that are kept until second derivatives are made of them: the sums of one pair of classes lie in cache then, not those of all.
    static int slots(const FeatureBatch& batch) { return batch.hessian && batch.classes > 1 ? 8 : 1; }
    void turn(int slot) { slot_ = slot; }
    // a column of a run for each class; what is missing of a run is 0
    double* slopes(std::ptrdiff_t k) { return slopes_.get() + k * run_rows; }
    double* p(std::ptrdiff_t k) { return p_.get() + (slot_ * classes_ + k) * run_rows; }
    double* weights() { return weights_.get() + slot_ * run_rows; }

    void add_slopes(const Columns& x) {
        for (int j = 0; j < n_; ++j) a_[j] = x[j], to_[j] = pulled_.get() + j * classes_;
        for (std::ptrdiff_t k = 0; k < classes_; ++k) b_[k] = slopes(k);
        add_all(a_.get(), n_, b_.get(), static_cast<int>(classes_), to_.get());
    }
    // Of all runs that are kept, up to this one.
    void add_curvature(const Columns& x, bool of_weights) {
        f64* at = hessian_.get();
        for (std::ptrdiff_t k = 0; k < classes_; ++k)
            for (std::ptrdiff_t m = k; m < classes_; ++m, at += n_ * n_)
                for (int slot = 0; slot <= x.slot(); ++slot) {
                    turn(slot);
                    add_pair(x, k, m, of_weights, at);
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
    void add_pair(const Columns& x, std::ptrdiff_t k, std::ptrdiff_t m, bool of_weights, f64* sums) {
        const double *p = this->p(k), *q = this->p(m), *w = weights();
        f64 s[run_rows / double_lanes];
        for (int r = 0; r < run_rows; r += double_lanes) {
            const f64 weight = f64::load(w + r), chance = f64::load(p + r);
            s[r / double_lanes] = of_weights ? weight : weight * chance * (k == m ? 1.0 - chance : -f64::load(q + r));
        }
        for (int j = 0; j < n_; ++j) {
            a_[j] = x.column(slot_, j);
            double* column = bent_.get() + std::size_t(j) * run_rows;
            for (int r = 0; r < run_rows; r += double_lanes) (f64::load(a_[j] + r) * s[r / double_lanes]).store(column + r);
            b_[j] = column;
        }
        for (int j = 0; j < n_; j += tile_j) {  // from the diagonal on
            for (int i = j; i < n_ && i < j + tile_j; ++i) to_[i] = sums + std::ptrdiff_t(i) * n_ + j;
            add_all(a_.get() + j, std::min(tile_j, n_ - j), b_.get() + j, n_ - j, to_.get() + j);
        }
    }

    const FeatureBatch& batch_;
    int n_, slot_ = 0;
    std::ptrdiff_t classes_, pairs_;
    std::unique_ptr<double[]> slopes_, p_, weights_, bent_;
    std::unique_ptr<f64[]> pulled_, hessian_;
    std::unique_ptr<const double*[]> a_, b_;
    std::unique_ptr<f64*[]> to_;
};

// What each row of a run counts for; those that are missing nothing.
inline void weights_of_run(const FeatureBatch& batch, std::ptrdiff_t first, int rows, double* w) {
    std::fill(std::copy(batch.weights + first, batch.weights + first + rows, w), w + run_rows, 0.0);
}

// Weighted sums of the features, and of their squares, in place of second derivatives.
inline void feature_moments(const FeatureBatch& batch) {
    Columns x(batch);
    std::unique_ptr<f64[]> first(new f64[x.count()]), second(new f64[x.count()]);
    for (int j = 0; j < x.count(); ++j) first[j] = second[j] = 0.0;
    double w[run_rows];
    for (std::ptrdiff_t at = 0; at < batch.rows; at += run_rows) {
        x.read(at);
        weights_of_run(batch, at, x.rows(), w);
        for (int j = 0; j < x.count(); ++j) {
            f64 a = first[j], b = second[j];
            for (int r = 0; r < run_rows; r += double_lanes) {
                const f64 feature = f64::load(x[j] + r), weighted = feature * f64::load(w + r);
                a = a + weighted;
                b = multiply_add(weighted, feature, b);
            }
            first[j] = a, second[j] = b;
        }
    }
    for (int j = 0; j < x.count(); ++j) batch.pulled[j] = total(first[j]), batch.hessian[j] = total(second[j]);
}

// Of slopes and probabilities that are given.
inline void feature_sums(const FeatureBatch& batch) {
    Columns x(batch, FeatureSums::slots(batch));
    FeatureSums sums(batch, x.count());
    const std::ptrdiff_t classes = batch.classes;
    for (std::ptrdiff_t first = 0; first < batch.rows; first += run_rows) {
        x.read(first);
        sums.turn(x.slot());
        if (batch.slopes) by_class(batch.slopes + first * classes, x.rows(), classes, sums.slopes(0));
        if (batch.p) by_class(batch.p + first * classes, x.rows(), classes, sums.p(0));
        if (batch.weights) weights_of_run(batch, first, x.rows(), sums.weights());
        if (batch.pulled) sums.add_slopes(x);
        if (batch.hessian && (x.is_last_slot() || first + run_rows >= batch.rows)) sums.add_curvature(x, !batch.p);
    }
    sums.write();
}

// The losses of rows and their derivatives, in one look at the features.
inline void feature_losses(const FeatureBatch& batch) {
    Columns x(batch, FeatureSums::slots(batch));
    FeatureSums sums(batch, x.count());
    const std::ptrdiff_t classes = batch.classes, size = sizeof(double), column = run_rows * size;
    auto columns = [&] { return std::unique_ptr<double[]>(new double[std::size_t(classes) * run_rows]()); };
    const std::unique_ptr<double[]> z = columns(), target = columns(), offset = columns();
    double lse[run_rows] = {}, leads[run_rows];
    const bool two = classes == 1, soft = !two && !batch.label;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    f64 losses = 0.0, entropy = 0.0, offset_p = 0.0, ahead = infinity;
    for (std::ptrdiff_t first = 0; first < batch.rows; first += run_rows) {
        x.read(first);
        sums.turn(x.slot());
        const int rows = x.rows();
        scores_of_run(x, batch.theta, classes, z.get());
        if (batch.offset) {
            by_class(batch.offset + first * classes, rows, classes, offset.get());
            for (std::ptrdiff_t i = 0; i < classes * run_rows; i += double_lanes)
                (f64::load(z.get() + i) + f64::load(offset.get() + i)).store(z.get() + i);
        }
        if (batch.targets)
            by_class(batch.targets + first * classes, rows, classes, target.get());
        else
            for (int r = 0; r < rows; ++r) target[batch.label[first + r] * run_rows + r] = 1.0;
        const Input scores{reinterpret_cast<const char*>(z.get()), size, column, Dtype::float64};
        const Output chances{reinterpret_cast<char*>(sums.p(0)), size, column, Dtype::float64};
        if (two) {
            LinkBatch links{};
            links.x[0] = {scores.data, 0, size, Dtype::float64};
            links.count = rows;
            links.y[0] = {chances.data, 0, size, Dtype::float64};
            batch.sigmoid(links);
            links.y[0].data = reinterpret_cast<char*>(lse);
            batch.softplus(links);
        } else {
            RowBatch side_by_side{};
            side_by_side.rows = rows;
            side_by_side.classes = classes;
            side_by_side.x = scores;
            side_by_side.y = chances;
            if (batch.softmax(side_by_side) & unsigned(Status::no_memory)) throw std::bad_alloc();
            side_by_side.y = {};
            side_by_side.results[0] = {reinterpret_cast<char*>(lse), size, 0, Dtype::float64};
            if (batch.logsumexp(side_by_side) & unsigned(Status::no_memory)) throw std::bad_alloc();
        }
        weights_of_run(batch, first, rows, sums.weights());
        for (int r = 0; r < run_rows; r += double_lanes) {
            const f64 w = f64::load(sums.weights() + r);
            f64 own = 0.0, inner = 0.0, with_offset = 0.0, other = -infinity;
            for (std::ptrdiff_t k = 0; k < classes; ++k) {
                const std::ptrdiff_t at = k * run_rows + r;
                const f64 q = f64::load(target.get() + at), score = f64::load(z.get() + at), chance = f64::load(sums.p(0) + at),
                          slope = w * (chance - q);
                own = own + select(q == 0.0, 0.0, q * score);
                inner = inner + slope * score;
                if (batch.offset) with_offset = with_offset + chance * f64::load(offset.get() + at);
                other = max(other, select(q == 1.0, -infinity, score));
                slope.store(sums.slopes(k) + r);
            }
            const f64 loss = w * (f64::load(lse + r) - own);
            losses = losses + loss;
            entropy = entropy + (loss - inner);
            offset_p = offset_p + w * with_offset;
            const f64 lead = two ? (2.0 * f64::load(target.get() + r) - 1.0) * f64::load(z.get() + r) : own - other;
            lead.store(leads + r);
            if (r + double_lanes <= rows) ahead = min(ahead, lead);
        }
        for (int r = rows / double_lanes * double_lanes; r < rows; ++r) ahead = min(ahead, f64(leads[r]));
        if (batch.label)
            for (int r = 0; r < rows; ++r) target[batch.label[first + r] * run_rows + r] = 0.0;
        if (batch.z) by_row(sums.p(0), rows, classes, batch.z + first * classes);
        sums.add_slopes(x);
        if (batch.hessian && (x.is_last_slot() || first + run_rows >= batch.rows)) sums.add_curvature(x, false);
    }
    sums.write();
    ahead.store(leads);
    const double found[] = {total(losses), total(entropy), total(offset_p), soft ? 0.0 : *std::min_element(leads, leads + double_lanes)};
    std::copy(found, found + 4, batch.found);
}

// The second derivatives of the losses of classes with the probabilities p, times coefficients theta.
inline void feature_bent(const FeatureBatch& batch) {
    Columns x(batch);
    FeatureSums sums(batch, x.count());
    const std::ptrdiff_t classes = batch.classes;
    const std::unique_ptr<double[]> u(new double[std::size_t(classes) * run_rows]);
    for (std::ptrdiff_t first = 0; first < batch.rows; first += run_rows) {
        x.read(first);
        scores_of_run(x, batch.theta, classes, u.get());
        by_class(batch.p + first * classes, x.rows(), classes, sums.p(0));
        weights_of_run(batch, first, x.rows(), sums.weights());
        for (int r = 0; r < run_rows; r += double_lanes) {
            const f64 w = f64::load(sums.weights() + r);
            f64 mean = 0.0;
            for (std::ptrdiff_t k = 0; k < classes; ++k)
                mean = multiply_add(f64::load(sums.p(k) + r), f64::load(u.get() + k * run_rows + r), mean);
            for (std::ptrdiff_t k = 0; k < classes; ++k) {
                const f64 p = f64::load(sums.p(k) + r), of_row = f64::load(u.get() + k * run_rows + r);
                (classes == 1 ? w * p * (1.0 - p) * of_row : w * p * (of_row - mean)).store(sums.slopes(k) + r);
            }
        }
        sums.add_slopes(x);
    }
    sums.write();
}
