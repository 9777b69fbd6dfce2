// A register's worth of rows, or two, of a few classes that never leave the registers. The arithmetic is that of the kernels for tiles, so the
// bits are too; what is saved are the tile's loads and stores (AVX-512, in cache, ns an element by way of a tile and so: 2 classes 1.7
// and 0.55, 3 1.5 and 0.52, 10 0.68 and 0.50, 16 0.56 and 0.48). Two registers of rows work in step up to ten classes, although many
// then go by way of the stack (one register and two: AVX2, ten floats 0.80 and 0.56, three doubles 2.08 and 1.80; AVX-512, ten floats
// 0.55 and 0.50).
//
// The last block of a row overlaps the one before it, so that no row needs a partial load or store; rows shorter than a block are
// done by permutations. Included once per level, hence no include guard.

template <class T, int classes>
inline constexpr bool shorter_than_a_block = classes * sizeof(T) < 16;

// Classes `first` and the following ones, a block's worth.
template <class T, int n, int classes>
SIGMAX_INLINE void load_classes(const char* x, std::ptrdiff_t row, int first, Pack<T, n> (&to)[classes]) {
    constexpr int side = 16 / sizeof(T);
    for (int p = 0; p < Pack<T, n>::parts; ++p) {
        Ints r[side];
        for (int s = 0; s < side; ++s) r[s] = isa::gather_blocks(x + (p * blocks * side + s) * row + first * sizeof(T), side * row);
        transpose_in_blocks<sizeof(T)>(r);
        for (int s = 0; s < side; ++s) to[first + s].v[p] = (typename Pack<T, n>::vector)r[s];
    }
}
template <class T, int n, int classes>
SIGMAX_INLINE void store_classes(const Pack<T, n> (&from)[classes], int first, char* y, std::ptrdiff_t row) {
    constexpr int side = 16 / sizeof(T);
    for (int p = 0; p < Pack<T, n>::parts; ++p) {
        Ints r[side];
        for (int s = 0; s < side; ++s) r[s] = (Ints)from[first + s].v[p];
        transpose_in_blocks<sizeof(T)>(r);
        for (int s = 0; s < side; ++s)
            isa::for_blocks(r[s], [&](int i, isa::Block b)
                                      SIGMAX_LAMBDA { store_block<16>(y + ((p * blocks + i) * side + s) * row + first * sizeof(T), b); });
    }
}

template <class T, int n, int classes>
SIGMAX_INLINE void load_upright(const char* x, std::ptrdiff_t row, Pack<T, n> (&to)[classes]) {
    constexpr int side = 16 / sizeof(T);
    if constexpr (shorter_than_a_block<T, classes>) {
        for (int p = 0; p < Pack<T, n>::parts; ++p) {
            Floats r[classes];
            for (int k = 0; k < classes; ++k) r[k] = f32::load(reinterpret_cast<const float*>(x) + float_lanes * (p * classes + k)).v[0];
            isa::deinterleave(r);
            for (int k = 0; k < classes; ++k) to[k].v[p] = r[k];
        }
    } else {
#pragma GCC unroll 16
        for (int k = 0; k + side <= classes; k += side) load_classes(x, row, k, to);
        if constexpr (classes % side != 0) load_classes(x, row, classes - side, to);
    }
}
template <class T, int n, int classes>
SIGMAX_INLINE void store_upright(const Pack<T, n> (&from)[classes], char* y, std::ptrdiff_t row) {
    constexpr int side = 16 / sizeof(T);
    if constexpr (shorter_than_a_block<T, classes>) {
        for (int p = 0; p < Pack<T, n>::parts; ++p) {
            Floats r[classes];
            for (int k = 0; k < classes; ++k) r[k] = from[k].v[p];
            isa::interleave(r);
            for (int k = 0; k < classes; ++k) *reinterpret_cast<Register<float>::anywhere*>(y + register_bytes * (p * classes + k)) = r[k];
        }
    } else {
#pragma GCC unroll 16
        for (int k = 0; k + side <= classes; k += side) store_classes(from, k, y, row);
        if constexpr (classes % side != 0) store_classes(from, classes - side, y, row);
    }
}

// Full registers of rows from `row` on, up to one that F leaves to others; the row after the last of them.
template <class F, class T, int classes>
SIGMAX_SHARED std::ptrdiff_t few_classes(const RowBatch& b, std::ptrdiff_t row) {
    constexpr int n = isa::rows_in_registers_of<T, classes>;
    for (; b.rows - row >= n; row += n) {
        Pack<T, n> x[classes];
        load_upright(b.x.data + row * b.x.row, b.x.row, x);
        if (!F::in_registers(x)) break;
        if constexpr (F::per_class)
            store_upright(x, b.y.data + row * b.y.row, b.y.row);
        else
            x[0].store(reinterpret_cast<T*>(b.results[0].data + row * b.results[0].row));
    }
    return row;
}

// As many of the rows from `row` on as can be done here; the row after them.
template <class F, class T>
SIGMAX_INLINE std::ptrdiff_t rows_in_registers(const RowBatch& b, std::ptrdiff_t row) {
    constexpr int most = isa::most_in_registers<T>;
    if (b.classes < 2 || b.classes > most || b.mask.data || b.temperature.data) return row;
    const std::ptrdiff_t size = sizeof(T), length = b.classes * size;
    auto lies_along = [&](const auto& o)
                          SIGMAX_LAMBDA { return o.dtype == dtype_of<T> && o.step == size && (length >= 16 || o.row == length); };
    if (!lies_along(b.x)) return row;
    if (F::per_class ? !lies_along(b.y) : b.results[0].dtype != dtype_of<T> || b.results[0].row != size) return row;
    return [&]<int... k>(std::integer_sequence<int, k...>) {
        using Loop = std::ptrdiff_t (*)(const RowBatch&, std::ptrdiff_t);
        static constexpr Loop loops[] = {few_classes<F, T, k + 2>...};
        return loops[b.classes - 2](b, row);
    }(std::make_integer_sequence<int, most - 1>{});
}
