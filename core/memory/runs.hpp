// Numbers of any dtype and stride <-> contiguous floats or doubles, the types that the kernels work in.
// Included once per level, hence no include guard.

// Calls f with a value of the type that `dtype` stands for.
template <class F>
SIGMAX_INLINE void with_dtype(Dtype dtype, F f) {
    switch (dtype) {
        case Dtype::float16:
            return f(float16{});
        case Dtype::bfloat16:
            return f(bfloat16{});
        case Dtype::float32:
            return f(float{});
        case Dtype::float64:
            return f(double{});
    }
}

template <class T>
SIGMAX_INLINE void gather(const char* p, std::ptrdiff_t step, std::ptrdiff_t n, T* to) {
    for (std::ptrdiff_t i = 0; i < n; ++i) std::memcpy(to + i, p + i * step, sizeof(T));
}
template <class T>
SIGMAX_INLINE void scatter(const T* from, char* p, std::ptrdiff_t step, std::ptrdiff_t n) {
    for (std::ptrdiff_t i = 0; i < n; ++i) std::memcpy(p + i * step, from + i, sizeof(T));
}

// `value` takes the place of the numbers whose byte in a mask is 0. Without a branch: a mask need not be one that a CPU foresees.
template <class W>
SIGMAX_SHARED void hide(const char* mask, std::ptrdiff_t step, std::ptrdiff_t n, W value, W* to) {
    if (step == 1)
        for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = mask[i] ? to[i] : value;
    else
        for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = mask[i * step] ? to[i] : value;
}

// Neither reads nor writes beyond the n numbers on either side.
template <class W>
SIGMAX_SHARED void load_run(const char* p, std::ptrdiff_t step, std::ptrdiff_t n, Dtype dtype, W* to) {
    with_dtype(dtype, [&](auto kind) SIGMAX_LAMBDA {
        using T = decltype(kind);
        std::ptrdiff_t i = 0;
        if (step == sizeof(T))
            for (; i + float_lanes <= n; i += float_lanes) load_as<W, float_lanes>(reinterpret_cast<const T*>(p) + i).store(to + i);
        for (; i < n; i += float_lanes) {
            const std::ptrdiff_t count = n - i < float_lanes ? n - i : float_lanes;
            T some[float_lanes] = {};
            W wide[float_lanes];
            gather(p + i * step, step, count, some);
            load_as<W, float_lanes>(some).store(wide);
            std::memcpy(to + i, wide, count * sizeof(W));
        }
    });
}
template <class W>
SIGMAX_SHARED void store_run(const W* from, char* p, std::ptrdiff_t step, std::ptrdiff_t n, Dtype dtype) {
    with_dtype(dtype, [&](auto kind) SIGMAX_LAMBDA {
        using T = decltype(kind);
        std::ptrdiff_t i = 0;
        if (step == sizeof(T))
            for (; i + float_lanes <= n; i += float_lanes) store_as(reinterpret_cast<T*>(p) + i, Pack<W, float_lanes>::load(from + i));
        for (; i < n; i += float_lanes) {
            const std::ptrdiff_t count = n - i < float_lanes ? n - i : float_lanes;
            W wide[float_lanes] = {};
            T some[float_lanes];
            std::memcpy(wide, from + i, count * sizeof(W));
            store_as(some, Pack<W, float_lanes>::load(wide));
            scatter(some, p + i * step, step, count);
        }
    });
}
