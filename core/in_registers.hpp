// Sixteen rows of a few classes that never leave the registers: 2 to 16 classes on AVX-512, where thirty-two registers
// hold them all. The arithmetic is that of the kernels for tiles, so the bits are too; what is saved are the tile's loads and
// stores (in cache, ns an element by way of a tile and so: 2 classes 1.7 and 0.63, 3 1.5 and 0.6, 10 0.68 and 0.55, 16 0.56 and 0.48).
//
// Blocks of 16 bytes are laid into a register by masked broadcasts, which are loads, not shuffles. The last block of a row
// overlaps the one before it, so that no row needs a partial load or store; rows shorter than a block are done by permutations.
// Included once per level, hence no include guard.

#if SIGMAX_BYTES == 64
// The same 16 bytes of four rows, `square` apart.
SIGMAX_INLINE Register gather_blocks(const char* p, std::ptrdiff_t square) {
    auto at = [&](std::ptrdiff_t i) SIGMAX_LAMBDA { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * square)); };
    Register r = _mm512_castsi128_si512(at(0));
    r = _mm512_mask_broadcast_i32x4(r, 0x00f0, at(1));
    r = _mm512_mask_broadcast_i32x4(r, 0x0f00, at(2));
    return _mm512_mask_broadcast_i32x4(r, 0xf000, at(3));
}
SIGMAX_INLINE void scatter_blocks(char* p, std::ptrdiff_t square, Register r) {
    auto put = [&](std::ptrdiff_t i, Block b) SIGMAX_LAMBDA { _mm_storeu_si128(reinterpret_cast<__m128i*>(p + i * square), b); };
    put(0, block<0>(r));
    put(1, block<1>(r));
    put(2, block<2>(r));
    put(3, block<3>(r));
}

// Classes `first` and the following ones, a block's worth.
template <class T, int classes>
SIGMAX_INLINE void load_classes(const char* x, std::ptrdiff_t row, int first, Pack<T> (&to)[classes]) {
    constexpr int side = 16 / sizeof(T);
    for (int p = 0; p < Pack<T>::parts; ++p) {
        Register r[side];
        for (int s = 0; s < side; ++s) r[s] = gather_blocks(x + (p * blocks * side + s) * row + first * sizeof(T), side * row);
        transpose_blocks<sizeof(T)>(r);
        for (int s = 0; s < side; ++s) to[first + s].v[p] = (typename Pack<T>::vector)r[s];
    }
}
template <class T, int classes>
SIGMAX_INLINE void store_classes(const Pack<T> (&from)[classes], int first, char* y, std::ptrdiff_t row) {
    constexpr int side = 16 / sizeof(T);
    for (int p = 0; p < Pack<T>::parts; ++p) {
        Register r[side];
        for (int s = 0; s < side; ++s) r[s] = (Register)from[first + s].v[p];
        transpose_blocks<sizeof(T)>(r);
        for (int s = 0; s < side; ++s) scatter_blocks(y + (p * blocks * side + s) * row + first * sizeof(T), side * row, r[s]);
    }
}

// Sixteen rows of two or three floats, end to end: where each lane's number is among them, and back.
template <int classes>
struct Interleaved {
    alignas(64) std::int32_t upright[classes][lanes], flat[classes][lanes];  // of the first two registers, or of the third
    __mmask16 from_third[classes], third_class[classes];
    constexpr Interleaved() : upright(), flat(), from_third(), third_class() {
        for (int k = 0; k < classes; ++k)
            for (int i = 0; i < lanes; ++i) {
                const int source = classes * i + k, place = lanes * k + i;
                upright[k][i] = source % 32;
                from_third[k] |= (source >= 32) << i;
                flat[k][i] = place / classes + place % classes % 2 * lanes;
                third_class[k] |= (place % classes == 2) << i;
            }
    }
};
template <int classes>
inline constexpr Interleaved<classes> interleaved;

// Each register of `to` from those of `from`: by `index` from the first two, where `other` is set from the third.
template <int classes>
SIGMAX_INLINE void interleave(const f32 (&from)[classes], const std::int32_t (&index)[classes][lanes], const __mmask16 (&other)[classes],
                              f32 (&to)[classes]) {
    f32 r[classes];
#pragma GCC unroll 3
    for (int k = 0; k < classes; ++k) {
        const __m512i where = _mm512_load_si512(index[k]);
        r[k].v[0] = _mm512_permutex2var_ps(from[0].v[0], where, from[1].v[0]);
        if constexpr (classes == 3) r[k].v[0] = _mm512_mask_permutexvar_ps(r[k].v[0], other[k], where, from[2].v[0]);
    }
    for (int k = 0; k < classes; ++k) to[k] = r[k];
}

template <class T, int classes>
inline constexpr bool shorter_than_a_block = classes * sizeof(T) < 16;

template <class T, int classes>
SIGMAX_INLINE void load_rows_upright(const char* x, std::ptrdiff_t row, Pack<T> (&to)[classes]) {
    constexpr int side = 16 / sizeof(T);
    if constexpr (shorter_than_a_block<T, classes>) {
        for (int k = 0; k < classes; ++k) to[k] = f32::load(reinterpret_cast<const float*>(x) + lanes * k);
        interleave(to, interleaved<classes>.upright, interleaved<classes>.from_third, to);
    } else {
#pragma GCC unroll 16
        for (int k = 0; k + side <= classes; k += side) load_classes(x, row, k, to);
        if constexpr (classes % side != 0) load_classes(x, row, classes - side, to);
    }
}
template <class T, int classes>
SIGMAX_INLINE void store_rows_upright(Pack<T> (&from)[classes], char* y, std::ptrdiff_t row) {
    constexpr int side = 16 / sizeof(T);
    if constexpr (shorter_than_a_block<T, classes>) {
        interleave(from, interleaved<classes>.flat, interleaved<classes>.third_class, from);
        for (int k = 0; k < classes; ++k) from[k].store(reinterpret_cast<float*>(y) + lanes * k);
    } else {
#pragma GCC unroll 16
        for (int k = 0; k + side <= classes; k += side) store_classes(from, k, y, row);
        if constexpr (classes % side != 0) store_classes(from, classes - side, y, row);
    }
}

// Full tiles from `row` on, up to one that F leaves to others; the row after the last of them.
template <class F, class T, int classes>
[[gnu::noinline]] std::ptrdiff_t rows_in_registers(const RowBatch& b, std::ptrdiff_t row) {
    for (; b.rows - row >= lanes; row += lanes) {
        Pack<T> x[classes];
        load_rows_upright(b.x.data + row * b.x.row, b.x.row, x);
        if (!F::in_registers(x)) break;
        if constexpr (F::per_class)
            store_rows_upright(x, b.y.data + row * b.y.row, b.y.row);
        else
            x[0].store(reinterpret_cast<T*>(b.results[0].data + row * b.results[0].row));
    }
    return row;
}
template <class F, class T, int... k>
SIGMAX_INLINE std::ptrdiff_t rows_in_registers(const RowBatch& b, std::ptrdiff_t row, std::integer_sequence<int, k...>) {
    using Loop = std::ptrdiff_t (*)(const RowBatch&, std::ptrdiff_t);
    static constexpr Loop loops[] = {rows_in_registers<F, T, k + 2>...};
    return loops[b.classes - 2](b, row);
}

// As many of the rows from `row` on as can be done here; the row after them.
template <class F, class T>
SIGMAX_INLINE std::ptrdiff_t rows_in_registers(const RowBatch& b, std::ptrdiff_t row) {
    constexpr int most = 16;
    if (b.classes < 2 || b.classes > most || b.mask.data || b.temperature.data) return row;
    const std::ptrdiff_t size = sizeof(T), length = b.classes * size;
    auto lies_along = [&](const auto& o)
                          SIGMAX_LAMBDA { return o.dtype == dtype_of<T> && o.step == size && (length >= 16 || o.row == length); };
    if (!lies_along(b.x)) return row;
    if (F::per_class ? !lies_along(b.y) : b.results[0].dtype != dtype_of<T> || b.results[0].row != size) return row;
    return rows_in_registers<F, T>(b, row, std::make_integer_sequence<int, most - 1>{});
}
#endif
