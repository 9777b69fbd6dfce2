// Rows in memory <-> tiles: sixteen rows side by side, class k of all of them at tile + pitch k.
//
// Rows whose classes lie next to each other are transposed in registers: a vector takes the same 16 bytes of as many rows
// as it has 16-byte blocks, and blocks are transposed in place by unpacking (3 inserts and 2 shuffles for 16 floats). Rows that
// lie side by side already (softmax along axis 0) are copied; all else goes one by one.
// Tried and lost: asking for all lines of the next tile at once (they wait for each other; see Scores::fetch).
// Included once per level, hence no include guard.

typedef std::int64_t Words __attribute__((vector_size(16)));
typedef std::int32_t HalfWords __attribute__((vector_size(16)));
typedef std::int64_t WordsAnywhere __attribute__((vector_size(16), aligned(1), may_alias));
template <class T>
SIGMAX_INLINE T load_word(const char* p) {
    T w;
    std::memcpy(&w, p, sizeof w);
    return w;
}
template <class T>
SIGMAX_INLINE void store_word(char* p, T w) {
    std::memcpy(p, &w, sizeof w);
}

#if SIGMAX_BYTES == 64
using Block = __m128i;
SIGMAX_INLINE __m512i join(const Block* b) {
    return _mm512_inserti32x4(_mm512_inserti32x4(_mm512_inserti32x4(_mm512_castsi128_si512(b[0]), b[1], 1), b[2], 2), b[3], 3);
}
template <int i>
SIGMAX_INLINE Block block(__m512i v) {
    return _mm512_extracti32x4_epi32(v, i);
}
SIGMAX_INLINE __m512i low4(__m512i a, __m512i b) { return _mm512_unpacklo_epi32(a, b); }
SIGMAX_INLINE __m512i high4(__m512i a, __m512i b) { return _mm512_unpackhi_epi32(a, b); }
SIGMAX_INLINE __m512i low8(__m512i a, __m512i b) { return _mm512_unpacklo_epi64(a, b); }
SIGMAX_INLINE __m512i high8(__m512i a, __m512i b) { return _mm512_unpackhi_epi64(a, b); }
using Register = __m512i;
#elif SIGMAX_BYTES == 32
using Block = __m128i;
SIGMAX_INLINE __m256i join(const Block* b) { return _mm256_inserti128_si256(_mm256_castsi128_si256(b[0]), b[1], 1); }
template <int i>
SIGMAX_INLINE Block block(__m256i v) {
    return _mm256_extracti128_si256(v, i);
}
SIGMAX_INLINE __m256i low4(__m256i a, __m256i b) { return _mm256_unpacklo_epi32(a, b); }
SIGMAX_INLINE __m256i high4(__m256i a, __m256i b) { return _mm256_unpackhi_epi32(a, b); }
SIGMAX_INLINE __m256i low8(__m256i a, __m256i b) { return _mm256_unpacklo_epi64(a, b); }
SIGMAX_INLINE __m256i high8(__m256i a, __m256i b) { return _mm256_unpackhi_epi64(a, b); }
using Register = __m256i;
#else
using Block = HalfWords;
using Register = Block;
SIGMAX_INLINE Register join(const Block* b) { return b[0]; }
template <int i>
SIGMAX_INLINE Block block(Register v) {
    return v;
}
SIGMAX_INLINE Register low4(Register a, Register b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
SIGMAX_INLINE Register high4(Register a, Register b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
SIGMAX_INLINE Register low8(Register a, Register b) { return (Register)__builtin_shufflevector((Words)a, (Words)b, 0, 2); }
SIGMAX_INLINE Register high8(Register a, Register b) { return (Register)__builtin_shufflevector((Words)a, (Words)b, 1, 3); }
#endif
inline constexpr int blocks = SIGMAX_BYTES / 16;
inline constexpr std::ptrdiff_t half_columns = 64;  // of rows in 16 bits, converted at a time

// The first `bytes` of a block, zeros behind them; and back to memory. Never touches what lies beyond.
template <int bytes>
SIGMAX_INLINE Block load_block(const char* p) {
    if constexpr (bytes == 16) {
        return (Block) * reinterpret_cast<const WordsAnywhere*>(p);
    } else if constexpr (bytes == 8) {
        return (Block)Words{load_word<std::int64_t>(p), 0};
    } else if constexpr (bytes == 4) {
        return (Block)HalfWords{load_word<std::int32_t>(p), 0, 0, 0};
    } else {
        return (Block)(Words{load_word<std::int64_t>(p), std::int64_t(load_word<std::uint32_t>(p + 8))});
    }
}
template <int bytes>
SIGMAX_INLINE void store_block(char* p, Block b) {
    if constexpr (bytes == 16) *reinterpret_cast<WordsAnywhere*>(p) = (WordsAnywhere)(Words)b;
    if constexpr (bytes == 8 || bytes == 12) store_word(p, ((Words)b)[0]);
    if constexpr (bytes == 4 || bytes == 12) store_word(p + bytes - 4, ((HalfWords)b)[bytes / 4 - 1]);
}

// Each block of the registers r[0..side) is a square of elements of `size` bytes: transpose it. Its own inverse.
template <int size>
SIGMAX_INLINE void transpose_blocks(Register* r) {
    if constexpr (size == 4) {
        Register a = low4(r[0], r[1]), b = high4(r[0], r[1]), c = low4(r[2], r[3]), d = high4(r[2], r[3]);
        r[0] = low8(a, c);
        r[1] = high8(a, c);
        r[2] = low8(b, d);
        r[3] = high8(b, d);
    } else {
        Register a = low8(r[0], r[1]), b = high8(r[0], r[1]);
        r[0] = a;
        r[1] = b;
    }
}

// p + i square, from the few multiples that x86 addresses and a register hold.
SIGMAX_INLINE const char* row_of(const char* p, int i, std::ptrdiff_t square, std::ptrdiff_t triple) {
    p += i / 4 * 4 * square;
    return i % 4 == 3 ? p + triple : p + i % 4 * square;
}

// `columns` neighbouring classes of sixteen rows, at most a block's worth; `pitch` is the tile's step from class to class.
template <int columns, int pitch, class T, class W>
SIGMAX_INLINE void load_columns(const char* x, std::ptrdiff_t row, W* tile) {
    constexpr int side = 16 / sizeof(T);
    const std::ptrdiff_t square = side * row, triple = 3 * square;
    Pack<T> out[side];
    for (int p = 0; p < Pack<T>::parts; ++p) {
        Register r[side];
        for (int s = 0; s < side; ++s) {
            Block b[blocks];
            for (int i = 0; i < blocks; ++i) b[i] = load_block<columns * sizeof(T)>(row_of(x + s * row, p * blocks + i, square, triple));
            r[s] = join(b);
        }
        transpose_blocks<sizeof(T)>(r);
        for (int s = 0; s < side; ++s) out[s].v[p] = (typename Pack<T>::vector)r[s];
    }
    for (int s = 0; s < columns; ++s) convert<W>(out[s]).store(tile + s * pitch);
}

template <int columns, int pitch, class T, class W>
SIGMAX_INLINE void store_columns(const W* tile, char* y, std::ptrdiff_t row) {
    constexpr int side = 16 / sizeof(T);
    const std::ptrdiff_t square = side * row, triple = 3 * square;
    Pack<T> in[side];
    for (int s = 0; s < side; ++s) in[s] = s < columns ? convert<T>(Pack<W>::load(tile + s * pitch)) : Pack<T>(0);
    for (int p = 0; p < Pack<T>::parts; ++p) {
        Register r[side];
        for (int s = 0; s < side; ++s) r[s] = (Register)in[s].v[p];
        transpose_blocks<sizeof(T)>(r);
        auto put = [&](int i, int s, Block b) SIGMAX_LAMBDA {
            store_block<columns * sizeof(T)>(const_cast<char*>(row_of(y + s * row, p * blocks + i, square, triple)), b);
        };
        for (int s = 0; s < side; ++s) {
            put(0, s, block<0>(r[s]));
            if constexpr (blocks > 1) put(1, s, block<1>(r[s]));
            if constexpr (blocks > 2) put(2, s, block<2>(r[s]));
            if constexpr (blocks > 2) put(3, s, block<3>(r[s]));
        }
    }
}

#if SIGMAX_BYTES == 64
// A square as wide as a register: each row takes one load and one store, where blocks take four of each (32 classes in cache:
// 0.44 ns an element, 0.48 by blocks).
template <class T>
inline constexpr int square_side = 64 / sizeof(T);

// Blocks are transposed in groups of rows, then as the elements of a square of 4 x 4 themselves. Its own inverse.
template <class T>
SIGMAX_INLINE void transpose_square(Register* r) {
    constexpr int side = 16 / sizeof(T);
    for (int g = 0; g < 4; ++g) transpose_blocks<sizeof(T)>(r + side * g);
    for (int s = 0; s < side; ++s) {
        Register &a = r[s], &b = r[side + s], &c = r[2 * side + s], &d = r[3 * side + s];
        Register ab_even = _mm512_shuffle_i32x4(a, b, 0x88), ab_odd = _mm512_shuffle_i32x4(a, b, 0xdd);
        Register cd_even = _mm512_shuffle_i32x4(c, d, 0x88), cd_odd = _mm512_shuffle_i32x4(c, d, 0xdd);
        // block j of the four goes to row j of its group of classes
        a = _mm512_shuffle_i32x4(ab_even, cd_even, 0x88);
        b = _mm512_shuffle_i32x4(ab_odd, cd_odd, 0x88);
        c = _mm512_shuffle_i32x4(ab_even, cd_even, 0xdd);
        d = _mm512_shuffle_i32x4(ab_odd, cd_odd, 0xdd);
    }
}
template <int pitch, class T, class W>
SIGMAX_INLINE void load_square(const char* x, std::ptrdiff_t row, W* tile) {
    constexpr int n = square_side<T>;
    Pack<T> out[n];
    for (int p = 0; p < Pack<T>::parts; ++p) {
        Register r[n];
        for (int i = 0; i < n; ++i) r[i] = _mm512_loadu_si512(x + (p * n + i) * row);
        transpose_square<T>(r);
        for (int k = 0; k < n; ++k) out[k].v[p] = (typename Pack<T>::vector)r[k];
    }
    for (int k = 0; k < n; ++k) convert<W>(out[k]).store(tile + k * pitch);
}
template <int pitch, class T, class W>
SIGMAX_INLINE void store_square(const W* tile, char* y, std::ptrdiff_t row) {
    constexpr int n = square_side<T>;
    Pack<T> in[n];
    for (int k = 0; k < n; ++k) in[k] = convert<T>(Pack<W>::load(tile + k * pitch));
    for (int p = 0; p < Pack<T>::parts; ++p) {
        Register r[n];
        for (int k = 0; k < n; ++k) r[k] = (Register)in[k].v[p];
        transpose_square<T>(r);
        for (int i = 0; i < n; ++i) _mm512_storeu_si512(y + (p * n + i) * row, r[i]);
    }
}
#endif

// `rows` rows (at most sixteen) of `classes` scores of type T at x.
template <int pitch, class T, class W>
SIGMAX_INLINE void load_tile(const char* x, std::ptrdiff_t row, std::ptrdiff_t step, std::ptrdiff_t rows, std::ptrdiff_t classes, W* tile) {
    if (rows == lanes && step == sizeof(T)) {
        if constexpr (is_half<T>) {  // converted row by row, or all at once where they lie end to end, then transposed
            alignas(64) W flat[half_columns * lanes];
            for (std::ptrdiff_t k = 0; k < classes; k += half_columns) {
                const std::ptrdiff_t n = classes - k < half_columns ? classes - k : half_columns;
                if (row == std::ptrdiff_t(classes * sizeof(T)) && n == classes)
                    load_run(x, step, lanes * n, dtype_of<T>, flat);
                else
                    for (std::ptrdiff_t i = 0; i < lanes; ++i) load_run(x + i * row + k * step, step, n, dtype_of<T>, flat + i * n);
                load_tile<pitch, W>(reinterpret_cast<const char*>(flat), n * sizeof(W), sizeof(W), lanes, n, tile + k * pitch);
            }
        } else {
            constexpr int side = 16 / sizeof(T);
            std::ptrdiff_t k = 0;
#if SIGMAX_BYTES == 64
            if (constexpr int n = square_side<T>; classes >= n) {  // the last square may overlap the one before it
                for (; k < classes - n; k += n) load_square<pitch, T>(x + k * step, row, tile + k * pitch);
                k = classes - n;
                return load_square<pitch, T>(x + k * step, row, tile + k * pitch);
            }
#endif
            for (; k + side <= classes; k += side) load_columns<side, pitch, T>(x + k * step, row, tile + k * pitch);
            if (classes - k == 1) load_columns<1, pitch, T>(x + k * step, row, tile + k * pitch);
            if constexpr (side == 4) {
                if (classes - k == 2) load_columns<2, pitch, T>(x + k * step, row, tile + k * pitch);
                if (classes - k == 3) load_columns<3, pitch, T>(x + k * step, row, tile + k * pitch);
            }
        }
    } else if (rows == lanes && row == sizeof(T)) {
        for (std::ptrdiff_t k = 0; k < classes; ++k) load_as<W>(reinterpret_cast<const T*>(x + k * step)).store(tile + k * pitch);
    } else {
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            T some[lanes] = {};
            gather(x + k * step, row, rows, some);
            load_as<W>(some).store(tile + k * pitch);
        }
    }
}

template <int pitch, class T, class W>
SIGMAX_INLINE void store_tile(const W* tile, char* y, std::ptrdiff_t row, std::ptrdiff_t step, std::ptrdiff_t rows,
                              std::ptrdiff_t classes) {
    if (rows == lanes && step == sizeof(T)) {
        if constexpr (is_half<T>) {
            alignas(64) W flat[half_columns * lanes];
            for (std::ptrdiff_t k = 0; k < classes; k += half_columns) {
                const std::ptrdiff_t n = classes - k < half_columns ? classes - k : half_columns;
                store_tile<pitch, W>(tile + k * pitch, reinterpret_cast<char*>(flat), n * sizeof(W), sizeof(W), lanes, n);
                if (row == std::ptrdiff_t(classes * sizeof(T)) && n == classes)
                    store_run(flat, y, step, lanes * n, dtype_of<T>);
                else
                    for (std::ptrdiff_t i = 0; i < lanes; ++i) store_run(flat + i * n, y + i * row + k * step, step, n, dtype_of<T>);
            }
        } else {
            constexpr int side = 16 / sizeof(T);
            std::ptrdiff_t k = 0;
#if SIGMAX_BYTES == 64
            if (constexpr int n = square_side<T>; classes >= n) {
                for (; k < classes - n; k += n) store_square<pitch, T>(tile + k * pitch, y + k * step, row);
                k = classes - n;
                return store_square<pitch, T>(tile + k * pitch, y + k * step, row);
            }
#endif
            for (; k + side <= classes; k += side) store_columns<side, pitch, T>(tile + k * pitch, y + k * step, row);
            if (classes - k == 1) store_columns<1, pitch, T>(tile + k * pitch, y + k * step, row);
            if constexpr (side == 4) {
                if (classes - k == 2) store_columns<2, pitch, T>(tile + k * pitch, y + k * step, row);
                if (classes - k == 3) store_columns<3, pitch, T>(tile + k * pitch, y + k * step, row);
            }
        }
    } else if (rows == lanes && row == sizeof(T)) {
        for (std::ptrdiff_t k = 0; k < classes; ++k) store_as(reinterpret_cast<T*>(y + k * step), Pack<W>::load(tile + k * pitch));
    } else {
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            T some[lanes];
            store_as(some, Pack<W>::load(tile + k * pitch));
            scatter(some, y + k * step, row, rows);
        }
    }
}

// The types that work in W meets: double only with double.
template <class W, class T>
inline constexpr bool meets = sizeof(T) <= sizeof(W);

template <int pitch, class W>
void load_tile(const Input& in, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes, W* tile) {
    with_dtype(in.dtype, [&](auto kind) SIGMAX_LAMBDA {
        using T = decltype(kind);
        if constexpr (meets<W, T>) load_tile<pitch, T>(in.data + first * in.row, in.row, in.step, rows, classes, tile);
    });
}
template <int pitch, class W>
void store_tile(const W* tile, const Output& out, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes) {
    with_dtype(out.dtype, [&](auto kind) SIGMAX_LAMBDA {
        using T = decltype(kind);
        if constexpr (meets<W, T>) store_tile<pitch, T>(tile, out.data + first * out.row, out.row, out.step, rows, classes);
    });
}

// Sixteen rows at most to rows of W that lie end to end, `pitch` apart, and back. Rows that run across memory go by way of tiles.
inline constexpr std::ptrdiff_t move_columns = 64;
inline std::ptrdiff_t size_of(Dtype dtype) { return dtype == Dtype::float64 ? 8 : dtype == Dtype::float32 ? 4 : 2; }

template <class W>
void load_rows(const Input& in, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes, W* to, std::ptrdiff_t pitch) {
    if (in.step == size_of(in.dtype)) {
        for (std::ptrdiff_t i = 0; i < rows; ++i) load_run(in.data + (first + i) * in.row, in.step, classes, in.dtype, to + i * pitch);
        return;
    }
    alignas(64) W tile[move_columns * lanes];
    for (std::ptrdiff_t k = 0; k < classes; k += move_columns) {
        const std::ptrdiff_t n = classes - k < move_columns ? classes - k : move_columns;
        load_tile<lanes>({in.data + k * in.step, in.row, in.step, in.dtype}, first, rows, n, tile);
        store_tile<lanes, W>(tile, reinterpret_cast<char*>(to + k), pitch * sizeof(W), sizeof(W), rows, n);
    }
}
template <class W>
void store_rows(const W* from, std::ptrdiff_t pitch, const Output& out, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes) {
    if (out.step == size_of(out.dtype)) {
        for (std::ptrdiff_t i = 0; i < rows; ++i)
            store_run(from + i * pitch, out.data + (first + i) * out.row, out.step, classes, out.dtype);
        return;
    }
    alignas(64) W tile[move_columns * lanes];
    for (std::ptrdiff_t k = 0; k < classes; k += move_columns) {
        const std::ptrdiff_t n = classes - k < move_columns ? classes - k : move_columns;
        load_tile<lanes, W>(reinterpret_cast<const char*>(from + k), pitch * sizeof(W), sizeof(W), rows, n, tile);
        store_tile<lanes>(tile, {out.data + k * out.step, out.row, out.step, out.dtype}, first, rows, n);
    }
}
