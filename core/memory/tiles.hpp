// Rows in memory <-> tiles: n rows side by side, class k of all of them at tile + pitch k.
//
// Rows whose classes lie next to each other are transposed in registers: a vector takes the same 16 bytes of as many rows
// as it has 16-byte blocks, and blocks are transposed in place by unpacking (for 16 floats, 3 masked broadcasts and 2 shuffles). Rows
// that lie side by side already (softmax along axis 0) are copied; all else goes one by one.
// Tried and lost: asking for all lines of the next tile at once (they wait for each other; see Scores::fetch).
// Included once per level, hence no include guard.

inline constexpr int blocks = register_bytes / 16;
inline constexpr std::ptrdiff_t half_columns = 64;  // of rows in a narrower type, converted at a time

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
typedef std::int64_t TwoLongs __attribute__((vector_size(16)));
typedef std::int32_t FourInts __attribute__((vector_size(16)));
typedef std::int64_t BlockAnywhere __attribute__((vector_size(16), aligned(1), may_alias));

// The first `bytes` of a block, zeros behind them; and back to memory. Never touches what lies beyond.
template <int bytes>
SIGMAX_INLINE isa::Block load_block(const char* p) {
    if constexpr (bytes == 16)
        return (isa::Block) * reinterpret_cast<const BlockAnywhere*>(p);
    else if constexpr (bytes == 8)
        return (isa::Block)TwoLongs{load_word<std::int64_t>(p), 0};
    else if constexpr (bytes == 4)
        return (isa::Block)FourInts{load_word<std::int32_t>(p), 0, 0, 0};
    else
        return (isa::Block)TwoLongs{load_word<std::int64_t>(p), std::int64_t(load_word<std::uint32_t>(p + 8))};
}
template <int bytes>
SIGMAX_INLINE void store_block(char* p, isa::Block b) {
    if constexpr (bytes == 16) *reinterpret_cast<BlockAnywhere*>(p) = (BlockAnywhere)(TwoLongs)b;
    if constexpr (bytes == 8 || bytes == 12) store_word(p, ((TwoLongs)b)[0]);
    if constexpr (bytes == 4 || bytes == 12) store_word(p + bytes - 4, ((FourInts)b)[bytes / 4 - 1]);
}

// Each block of the registers r[0..side) is a square of elements of `size` bytes: transpose it. Its own inverse.
template <int size>
SIGMAX_INLINE void transpose_in_blocks(Ints* r) {
    using namespace isa;
    if constexpr (size == 4) {
        Ints a = low4(r[0], r[1]), b = high4(r[0], r[1]), c = low4(r[2], r[3]), d = high4(r[2], r[3]);
        r[0] = low8(a, c);
        r[1] = high8(a, c);
        r[2] = low8(b, d);
        r[3] = high8(b, d);
    } else {
        Ints a = low8(r[0], r[1]), b = high8(r[0], r[1]);
        r[0] = a;
        r[1] = b;
    }
}

// p + i square, from the few multiples that x86 addresses and a register hold.
SIGMAX_INLINE const char* row_of(const char* p, int i, std::ptrdiff_t square, std::ptrdiff_t triple) {
    p += i / 4 * 4 * square;
    return i % 4 == 3 ? p + triple : p + i % 4 * square;
}

// `columns` neighbouring classes of n rows, at most a block's worth, as one pack a class; and back.
template <int columns, class T, int n>
SIGMAX_INLINE void load_columns(const char* x, std::ptrdiff_t row, Pack<T, n>* out) {
    constexpr int side = 16 / sizeof(T);
    const std::ptrdiff_t square = side * row, triple = 3 * square;
    for (int p = 0; p < Pack<T, n>::parts; ++p) {
        Ints r[side];
        for (int s = 0; s < side; ++s) {
            isa::Block b[blocks];
            for (int i = 0; i < blocks; ++i) b[i] = load_block<columns * sizeof(T)>(row_of(x + s * row, p * blocks + i, square, triple));
            r[s] = isa::join(b);
        }
        transpose_in_blocks<sizeof(T)>(r);
        for (int s = 0; s < columns; ++s) out[s].v[p] = (typename Pack<T, n>::vector)r[s];
    }
}
template <int columns, class T, int n>
SIGMAX_INLINE void store_columns(const Pack<T, n>* in, char* y, std::ptrdiff_t row) {
    constexpr int side = 16 / sizeof(T);
    const std::ptrdiff_t square = side * row, triple = 3 * square;
    for (int p = 0; p < Pack<T, n>::parts; ++p) {
        Ints r[side];
        for (int s = 0; s < side; ++s) r[s] = s < columns ? (Ints)in[s].v[p] : Ints{};
        transpose_in_blocks<sizeof(T)>(r);
        for (int s = 0; s < side; ++s)
            isa::for_blocks(r[s], [&](int i, isa::Block b) SIGMAX_LAMBDA {
                store_block<columns * sizeof(T)>(const_cast<char*>(row_of(y + s * row, p * blocks + i, square, triple)), b);
            });
    }
}

// A square as wide as a register, where there are registers for it: each row takes one load and one store, where blocks take four of
// each (32 classes in cache: 0.44 ns an element, 0.48 by blocks). Blocks are transposed in groups of rows, then as the elements of a
// square of 4 x 4 themselves. Its own inverse.
template <class T>
inline constexpr int square_side = isa::has_squares ? natural<T> : 0;
template <class T>
SIGMAX_INLINE void transpose_square(Ints* r) {
    if constexpr (isa::has_squares) {
        constexpr int side = 16 / sizeof(T);
        for (int g = 0; g < 4; ++g) transpose_in_blocks<sizeof(T)>(r + side * g);
        for (int s = 0; s < side; ++s) isa::transpose_blocks_of(r[s], r[side + s], r[2 * side + s], r[3 * side + s]);
    }
}
template <class T, int n>
SIGMAX_INLINE void load_square(const char* x, std::ptrdiff_t row, Pack<T, n>* out) {
    constexpr int side = square_side<T>;
    for (int p = 0; p < Pack<T, n>::parts; ++p) {
        Ints r[side];
        for (int i = 0; i < side; ++i) r[i] = *reinterpret_cast<const Register<std::int32_t>::anywhere*>(x + (p * side + i) * row);
        transpose_square<T>(r);
        for (int k = 0; k < side; ++k) out[k].v[p] = (typename Pack<T, n>::vector)r[k];
    }
}
template <class T, int n>
SIGMAX_INLINE void store_square(const Pack<T, n>* in, char* y, std::ptrdiff_t row) {
    constexpr int side = square_side<T>;
    for (int p = 0; p < Pack<T, n>::parts; ++p) {
        Ints r[side];
        for (int k = 0; k < side; ++k) r[k] = (Ints)in[k].v[p];
        transpose_square<T>(r);
        for (int i = 0; i < side; ++i) *reinterpret_cast<Register<std::int32_t>::anywhere*>(y + (p * side + i) * row) = r[i];
    }
}

// move<columns>(k) for squares and blocks of classes that cover `classes` of them; the last square may overlap the one before it.
template <class T, class Square, class Columns>
SIGMAX_INLINE void cover(std::ptrdiff_t classes, Square square, Columns columns) {
    constexpr int side = 16 / sizeof(T), large = square_side<T>;
    if constexpr (large > 0) {
        if (classes >= large) {
            for (std::ptrdiff_t k = 0; k < classes - large; k += large) square(k);
            return square(classes - large);
        }
    }
    std::ptrdiff_t k = 0;
    for (; k + side <= classes; k += side) columns.template operator()<side>(k);
    if (classes - k == 1) columns.template operator()<1>(k);
    if constexpr (side == 4) {
        if (classes - k == 2) columns.template operator()<2>(k);
        if (classes - k == 3) columns.template operator()<3>(k);
    }
}

// Types that are converted row by row, or all at once where rows lie end to end, before they are transposed.
template <class T, int n>
inline constexpr bool converted_first = Format<T>::is_half || n < natural<T>;

// `rows` rows (at most n) of `classes` scores of type T at x.
template <int n, int pitch, class T, class W>
SIGMAX_INLINE void load_tile(const char* x, std::ptrdiff_t row, std::ptrdiff_t step, std::ptrdiff_t rows, std::ptrdiff_t classes, W* tile) {
    if (rows == n && step == sizeof(T)) {
        if constexpr (converted_first<T, n>) {
            alignas(64) W flat[half_columns * n];
            for (std::ptrdiff_t k = 0; k < classes; k += half_columns) {
                const std::ptrdiff_t some = classes - k < half_columns ? classes - k : half_columns;
                if (row == std::ptrdiff_t(classes * sizeof(T)) && some == classes)
                    load_run(x, step, n * some, dtype_of<T>, flat);
                else
                    for (std::ptrdiff_t i = 0; i < n; ++i) load_run(x + i * row + k * step, step, some, dtype_of<T>, flat + i * some);
                load_tile<n, pitch, W>(reinterpret_cast<const char*>(flat), some * sizeof(W), sizeof(W), n, some, tile + k * pitch);
            }
        } else {
            cover<T>(
                classes,
                [&](std::ptrdiff_t k) SIGMAX_LAMBDA {
                    Pack<T, n> out[square_side<T> + 1];
                    load_square(x + k * step, row, out);
                    for (int s = 0; s < square_side<T>; ++s) convert<W>(out[s]).store(tile + (k + s) * pitch);
                },
                [&]<int columns>(std::ptrdiff_t k) SIGMAX_LAMBDA {
                    Pack<T, n> out[columns];
                    load_columns<columns>(x + k * step, row, out);
                    for (int s = 0; s < columns; ++s) convert<W>(out[s]).store(tile + (k + s) * pitch);
                });
        }
    } else if (rows == n && row == sizeof(T)) {
        for (std::ptrdiff_t k = 0; k < classes; ++k) load_as<W, n>(reinterpret_cast<const T*>(x + k * step)).store(tile + k * pitch);
    } else {
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            T some[n] = {};
            gather(x + k * step, row, rows, some);
            load_as<W, n>(some).store(tile + k * pitch);
        }
    }
}
template <int n, int pitch, class T, class W>
SIGMAX_INLINE void store_tile(const W* tile, char* y, std::ptrdiff_t row, std::ptrdiff_t step, std::ptrdiff_t rows,
                              std::ptrdiff_t classes) {
    auto lane = [&](std::ptrdiff_t k) SIGMAX_LAMBDA { return Pack<W, n>::load(tile + k * pitch); };
    if (rows == n && step == sizeof(T)) {
        if constexpr (converted_first<T, n>) {
            alignas(64) W flat[half_columns * n];
            for (std::ptrdiff_t k = 0; k < classes; k += half_columns) {
                const std::ptrdiff_t some = classes - k < half_columns ? classes - k : half_columns;
                store_tile<n, pitch, W>(tile + k * pitch, reinterpret_cast<char*>(flat), some * sizeof(W), sizeof(W), n, some);
                if (row == std::ptrdiff_t(classes * sizeof(T)) && some == classes)
                    store_run(flat, y, step, n * some, dtype_of<T>);
                else
                    for (std::ptrdiff_t i = 0; i < n; ++i) store_run(flat + i * some, y + i * row + k * step, step, some, dtype_of<T>);
            }
        } else {
            cover<T>(
                classes,
                [&](std::ptrdiff_t k) SIGMAX_LAMBDA {
                    Pack<T, n> in[square_side<T> + 1];
                    for (int s = 0; s < square_side<T>; ++s) in[s] = convert<T>(lane(k + s));
                    store_square(in, y + k * step, row);
                },
                [&]<int columns>(std::ptrdiff_t k) SIGMAX_LAMBDA {
                    Pack<T, n> in[columns];
                    for (int s = 0; s < columns; ++s) in[s] = convert<T>(lane(k + s));
                    store_columns<columns>(in, y + k * step, row);
                });
        }
    } else if (rows == n && row == sizeof(T)) {
        for (std::ptrdiff_t k = 0; k < classes; ++k) store_as(reinterpret_cast<T*>(y + k * step), lane(k));
    } else {
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            T some[n];
            store_as(some, lane(k));
            scatter(some, y + k * step, row, rows);
        }
    }
}

// The types that work in W meet: double only with double.
template <class W, class T>
inline constexpr bool meets = sizeof(T) <= sizeof(W);

template <int n, int pitch, class W>
SIGMAX_SHARED void load_tile(const Input& in, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes, W* tile) {
    with_dtype(in.dtype, [&](auto kind) SIGMAX_LAMBDA {
        using T = decltype(kind);
        if constexpr (meets<W, T>) load_tile<n, pitch, T>(in.data + first * in.row, in.row, in.step, rows, classes, tile);
    });
}
template <int n, int pitch, class W>
SIGMAX_SHARED void store_tile(const W* tile, const Output& out, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes) {
    with_dtype(out.dtype, [&](auto kind) SIGMAX_LAMBDA {
        using T = decltype(kind);
        if constexpr (meets<W, T>) store_tile<n, pitch, T>(tile, out.data + first * out.row, out.row, out.step, rows, classes);
    });
}

// Some rows to rows of W that lie end to end, `pitch` apart, and back. Rows that run across memory go by way of tiles of n.
inline constexpr std::ptrdiff_t move_columns = 64;
inline std::ptrdiff_t size_of(Dtype dtype) { return dtype == Dtype::float64 ? 8 : dtype == Dtype::float32 ? 4 : 2; }

template <int n, class W>
SIGMAX_SHARED void load_rows(const Input& in, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t classes, W* to,
                             std::ptrdiff_t pitch) {
    if (in.step == size_of(in.dtype)) {
        if (in.row == classes * in.step && pitch == classes)
            return load_run(in.data + first * in.row, in.step, rows * classes, in.dtype, to);
        for (std::ptrdiff_t i = 0; i < rows; ++i) load_run(in.data + (first + i) * in.row, in.step, classes, in.dtype, to + i * pitch);
        return;
    }
    alignas(64) W tile[move_columns * n];
    for (std::ptrdiff_t i = 0; i < rows; i += n) {
        const std::ptrdiff_t some = rows - i < n ? rows - i : n;
        for (std::ptrdiff_t k = 0; k < classes; k += move_columns) {
            const std::ptrdiff_t width = classes - k < move_columns ? classes - k : move_columns;
            load_tile<n, n>({in.data + k * in.step, in.row, in.step, in.dtype}, first + i, some, width, tile);
            store_tile<n, n, W>(tile, reinterpret_cast<char*>(to + i * pitch + k), pitch * sizeof(W), sizeof(W), some, width);
        }
    }
}
template <int n, class W>
SIGMAX_SHARED void store_rows(const W* from, std::ptrdiff_t pitch, const Output& out, std::ptrdiff_t first, std::ptrdiff_t rows,
                              std::ptrdiff_t classes) {
    if (out.step == size_of(out.dtype)) {
        for (std::ptrdiff_t i = 0; i < rows; ++i)
            store_run(from + i * pitch, out.data + (first + i) * out.row, out.step, classes, out.dtype);
        return;
    }
    alignas(64) W tile[move_columns * n];
    for (std::ptrdiff_t i = 0; i < rows; i += n) {
        const std::ptrdiff_t some = rows - i < n ? rows - i : n;
        for (std::ptrdiff_t k = 0; k < classes; k += move_columns) {
            const std::ptrdiff_t width = classes - k < move_columns ? classes - k : move_columns;
            load_tile<n, n, W>(reinterpret_cast<const char*>(from + i * pitch + k), pitch * sizeof(W), sizeof(W), some, width, tile);
            store_tile<n, n>(tile, {out.data + k * out.step, out.row, out.step, out.dtype}, first + i, some, width);
        }
    }
}
