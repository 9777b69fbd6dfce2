// The elementwise functions over arrays of any dtype and stride, with as few digits as the results need: the ways in formulas.hpp, one
// after the other. Each result depends on its own input only, so the way an array is cut is of no matter.
// Included once per level, hence no include guard.

template <class F>
constexpr int inputs_of = requires(f64 x) { F::of60(x, x); } || requires(f64 x, Pair<double>* r) { F::of60(x, x, r); } ? 2 : 1;
template <class F>
constexpr int results_of = [] {
    if constexpr (requires { F::results; }) return F::results;
    return 1;
}();
template <class F>
constexpr bool has57 = requires(f64 x) { F::of57(x); };
template <class F>
constexpr bool has38 = fast_fma && requires(f32 x) { F::template of38<double>(x); };

template <class F>
constexpr bool has35 = fast_fma && requires(f32 x) { F::of35(x); };

// Numbers that are worked on in step, four registers of the type: the chain of operations behind a result is so long (25 for a sigmoid)
// that a CPU does not see far enough to fill its pipes with the next one. One register, of floats, or two, of doubles, against four, ns
// an element, v3 and v4: softplus of floats 1.92 and 1.31 against 1.54 and 1.02, of doubles 3.38 and 1.93 against 2.69 and 1.69; logit
// of doubles 1.83 and 1.28 against 1.70 and 1.14; sigmoid of bfloat16 0.57 and 0.38 against 0.51 and 0.32.
template <class T>
inline constexpr int link_together = 4 * natural<T>;
inline constexpr std::ptrdiff_t link_block = 256;  // numbers, so that a block stays in the L1 cache

// What NumPy is to hear of: results that are NaN where the input is not, and infinite ones of finite inputs.
template <class F>
struct Trouble {
    Pack<std::int64_t> invalid, pole;
    SIGMAX_INLINE Trouble() : invalid(0), pole(0) {}
    SIGMAX_INLINE void see(f64 x, f64 y) {
        if constexpr (F::has_domain) {
            constexpr double infinity = std::numeric_limits<double>::infinity();
            invalid = invalid | ((y != y) & (x == x));
            pole = pole | ((abs(y) == infinity) & (abs(x) != infinity));
        }
    }
    SIGMAX_INLINE unsigned status() const {
        return (any(invalid) ? unsigned(Status::invalid) : 0u) | (any(pole) ? unsigned(Status::divide_by_zero) : 0u);
    }
};

// ---- 60 bits: whole packs of doubles. `to_narrow`: the results will be rounded once more, to a narrower type ----

template <class F>
struct Exactly {
    const double* x[2];
    double* y[2];
};
template <class F>
SIGMAX_SHARED unsigned link_exactly(const Exactly<F>& on, std::ptrdiff_t count, bool to_narrow) {
    Trouble<F> trouble;
    for (std::ptrdiff_t i = 0; i < count; i += double_lanes) {
        f64 value = f64::load(on.x[0] + i);
        Pair<double> r[results_of<F>];
        if constexpr (inputs_of<F> == 1)
            r[0] = F::of60(value);
        else if constexpr (results_of<F> == 1)
            r[0] = F::of60(value, f64::load(on.x[1] + i));
        else
            F::of60(value, f64::load(on.x[1] + i), r);
        for (int j = 0; j < results_of<F>; ++j)
            select(r[j].hi == 0.0, r[j].hi, to_narrow ? to_odd(r[j]) : r[j].hi + r[j].lo).store(on.y[j] + i);  // -0 stays -0
        trouble.see(value, r[0].hi);
    }
    return trouble.status();
}

// ---- 38 bits, for results of 24 and fewer ----

// One pack whose results the first try leaves in doubt: halves by way of double, and at last with 60 bits.
template <class F, class T>
SIGMAX_RARE unsigned link_in_doubt(const T* x, T* y) {
    if constexpr (Format<T>::is_half) {
        Doubts<T, true> doubts;
        f32 r = doubts.settle(F::template of38<float>(load_as<float, float_lanes>(x)));
        if (!doubts.any()) return store_settled(y, r), 0;
    }
    f32 r;
    if (settled<T>(F::template of38<double>(load_as<float, float_lanes>(x)), r)) return store_as(y, r), 0;
    double wide[float_lanes], result[float_lanes];
    load_as<double, float_lanes>(x).store(wide);
    const unsigned status = link_exactly<F>({{wide, nullptr}, {result, nullptr}}, float_lanes, true);
    store_as(y, Pack<double, float_lanes>::load(result));
    return status;
}
template <class F, int n, class T>
SIGMAX_INLINE unsigned link_at_38(const T* x, T* y) {
    Doubts<T, false> doubts;
    const auto r = doubts.settle(F::template of38<ShortWork<T>>(load_as<float, n>(x)));
    if (doubts.any()) [[unlikely]] {
        unsigned status = 0;
        for (int j = 0; j < n; j += float_lanes) status |= link_in_doubt<F>(x + j, y + j);
        return status;
    }
    store_settled(y, r);
    return 0;
}
template <class F, class T>
SIGMAX_SHARED unsigned link_one_pack(const T* x, T* y) {
    return link_at_38<F, float_lanes>(x, y);
}
template <class F, class T>
unsigned link_38(const T* x, T* y, std::ptrdiff_t count) {
    unsigned status = 0;
    std::ptrdiff_t i = 0;
    for (; i + link_together<float> <= count; i += link_together<float>) status |= link_at_38<F, link_together<float>>(x + i, y + i);
    for (; i < count; i += float_lanes) status |= link_one_pack<F>(x + i, y + i);
    return status;
}

// ---- 57 bits, for doubles ----

// One pack that has a lane out of reach.
template <class F>
SIGMAX_RARE unsigned link_beyond(const double* x, double* y) {
    double far[float_lanes];
    const unsigned status = link_exactly<F>({{x, nullptr}, {far, nullptr}}, float_lanes, false);
    using P = Pack<double, float_lanes>;
    const P value = P::load(x);
    select(F::within57(value), F::of57(value), P::load(far)).store(y);
    return status;
}
template <class F, int n>
SIGMAX_INLINE unsigned link_at_57(const double* x, double* y) {
    const auto value = Pack<double, n>::load(x);
    if (any(F::within57(value) == std::int64_t(0))) [[unlikely]] {
        unsigned status = 0;
        for (int j = 0; j < n; j += float_lanes) status |= link_beyond<F>(x + j, y + j);
        return status;
    }
    F::of57(value).store(y);
    return 0;
}
template <class F>
unsigned link_57(const double* x, double* y, std::ptrdiff_t count) {
    unsigned status = 0;
    std::ptrdiff_t i = 0;
    for (; i + link_together<double> <= count; i += link_together<double>) status |= link_at_57<F, link_together<double>>(x + i, y + i);
    for (; i < count; i += float_lanes) status |= link_at_57<F, float_lanes>(x + i, y + i);
    return status;
}

// ---- 35 bits, in two-term floats, for results of 24 ----

// One number in a hundred and thirty is in doubt: they are put by, and done a pack at a time.
template <class F>
class PutBy {
public:
    static constexpr int at_once = 32;  // as many lanes as the doubts of a step have bits

    // Those of `which`, of a step that begins at x and at y. The first without a branch, which would wait for the end of a long chain of
    // operations and be foreseen wrongly in every fourth step (v4, 8 million numbers: 0.73 ns an element, 0.56 so).
    SIGMAX_INLINE void keep(std::uint32_t which, const float* x, float* y) {
        keep_one(which, x, y);
        while (which &= which - 1) keep_one(which, x, y);
    }
    SIGMAX_INLINE bool full() const { return many_ >= float_lanes; }
    SIGMAX_RARE unsigned settle() {
        unsigned status = 0;
        float y[float_lanes];
        for (int i = many_; i % float_lanes != 0; ++i) x_[i] = 0;
        for (int i = 0; i < many_; i += float_lanes) {
            status |= link_in_doubt<F>(x_ + i, y);
            for (int j = 0; j < float_lanes && i + j < many_; ++j) *to_[i + j] = y[j];
        }
        many_ = 0;
        return status;
    }

private:
    SIGMAX_INLINE void keep_one(std::uint32_t which, const float* x, float* y) {
        const int i = std::countr_zero(which) % at_once;
        x_[many_] = x[i];
        to_[many_] = y + i;
        many_ += which != 0;
    }

    float x_[float_lanes + at_once];
    float* to_[float_lanes + at_once];
    int many_ = 0;
};
template <class F, int n>
SIGMAX_INLINE unsigned link_at_35(const float* x, float* y, PutBy<F>& later) {
    const auto value = Pack<float, n>::load(x);
    isa::Flags doubts[value.parts];
    const auto r = settle35(F::of35(value), doubts);
    std::uint32_t doubtful = 0;
    for (int i = 0; i < value.parts; ++i) {
        doubts[i].below(value.v[i], -reach35);
        doubtful |= doubts[i].lanes() << (i * float_lanes);
    }
    later.keep(doubtful, x, y);
    r.store(y);
    return later.full() ? later.settle() : 0;
}
template <class F>
unsigned link_35(const float* x, float* y, std::ptrdiff_t count) {
    constexpr int at_once = PutBy<F>::at_once;
    PutBy<F> later;
    unsigned status = 0;
    std::ptrdiff_t i = 0;
    for (; i + at_once <= count; i += at_once) status |= link_at_35<F, at_once>(x + i, y + i, later);
    for (; i < count; i += float_lanes) status |= link_at_35<F, float_lanes>(x + i, y + i, later);
    return status | later.settle();
}

// ---- arrays ----

// Of one type, for any strides and counts.
template <class F, class T>
unsigned link_alike(const LinkBatch& b) {
    auto packs = [](const T* x, T* y, std::ptrdiff_t count) {
        if constexpr (sizeof(T) == 8)
            return link_57<F>(x, y, count);
        else if constexpr (sizeof(T) == 4 && has35<F>)
            return link_35<F>(x, y, count);
        else
            return link_38<F>(x, y, count);
    };
    const Input& in = b.x[0];
    const Output& out = b.y[0];
    std::ptrdiff_t i = 0;
    unsigned status = 0;
    if (in.step == sizeof(T) && out.step == sizeof(T)) {
        i = b.count / float_lanes * float_lanes;
        status = packs(reinterpret_cast<const T*>(in.data), reinterpret_cast<T*>(out.data), i);
    }
    alignas(64) T x[link_block], y[link_block];
    for (; i < b.count; i += link_block) {
        const std::ptrdiff_t n = b.count - i < link_block ? b.count - i : link_block;
        gather(in.data + i * in.step, in.step, n, x);
        for (std::ptrdiff_t k = n; k % float_lanes != 0; ++k) x[k] = x[n - 1];
        status |= packs(x, y, n);
        scatter(y, out.data + i * out.step, out.step, n);
    }
    return status;
}
// Of any types.
template <class F>
unsigned link_unlike(const LinkBatch& b) {
    alignas(64) double x[inputs_of<F>][link_block], y[results_of<F>][link_block];
    Exactly<F> on{};
    for (int j = 0; j < inputs_of<F>; ++j) on.x[j] = x[j];
    for (int j = 0; j < results_of<F>; ++j) on.y[j] = y[j];
    unsigned status = 0;
    for (std::ptrdiff_t i = 0; i < b.count; i += link_block) {
        const std::ptrdiff_t n = b.count - i < link_block ? b.count - i : link_block;
        for (int j = 0; j < inputs_of<F>; ++j) {
            load_run(b.x[j].data + i * b.x[j].step, b.x[j].step, n, b.x[j].dtype, x[j]);
            for (std::ptrdiff_t k = n; k % double_lanes != 0; ++k) x[j][k] = x[j][n - 1];
        }
        status |= link_exactly<F>(on, n, b.y[0].dtype != Dtype::float64);
        for (int j = 0; j < results_of<F>; ++j) store_run(y[j], b.y[j].data + i * b.y[j].step, b.y[j].step, n, b.y[j].dtype);
    }
    return status;
}

template <class F>
unsigned link_loop(const LinkBatch& b) {
    const Dtype dtype = b.y[0].dtype;
    if (b.x[0].dtype != dtype || !(dtype == Dtype::float64 ? has57<F> : has38<F>)) return link_unlike<F>(b);
    unsigned status = 0;
    with_dtype(dtype, [&](auto kind) SIGMAX_LAMBDA {
        if constexpr (sizeof(kind) == 8 ? has57<F> : has38<F>) status = link_alike<F, decltype(kind)>(b);
    });
    return status;
}
