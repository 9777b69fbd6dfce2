// Softmax over an axis across memory: the rows lie side by side, so their scores are read and written where they are.
//
// Lanes are rows, and nothing needs transposing. The order of a sum is that of the same row lying along memory, so that the
// layout changes no bit: one sum over up to `most_upright` classes, else one for each sixteenth class, joined in the tree of a flat row.
// A strip of rows is read for its maximum, which leaves it in the L2 cache, then for its numerators.
// Included once per level, hence no include guard.

template <class T, int n>
struct Columns {
    using P = Pack<T, n>;
    const char* x;
    char* y;
    std::ptrdiff_t x_step, y_step, classes;

    SIGMAX_INLINE P score(std::ptrdiff_t k) const { return P::load(reinterpret_cast<const T*>(x + k * x_step)); }
    SIGMAX_INLINE T* result(std::ptrdiff_t k) const { return reinterpret_cast<T*>(y + k * y_step); }

    // Of the classes first, first + stride ... below `end`; those beyond the row are impossible.
    SIGMAX_INLINE Sum<T, n> sum(std::ptrdiff_t first, std::ptrdiff_t stride, std::ptrdiff_t end, const Shift<T, n>& shift) const {
        const Temperature<T, n> unit{};
        Sum<T, n> total;
        for (std::ptrdiff_t begin = first; begin < end; begin += stride * RowConstants<T>::block) {
            const std::ptrdiff_t stop = begin + stride * RowConstants<T>::block < end ? begin + stride * RowConstants<T>::block : end;
            Terms<T, n> terms;
            std::ptrdiff_t k = begin;
            for (; k < stop && k < classes; k += stride) {
                Part<T, n> p = shift.template part<false>(score(k), unit);
                p.g.store(result(k));
                terms.add(p);
            }
            for (; k < stop; k += stride) terms.add(shift.template part<false>(P(-std::numeric_limits<T>::infinity()), unit));
            terms.into(total);
        }
        return total;
    }

    [[gnu::noinline]] Sum<T, n> sum_of_sixteen(const Shift<T, n>& shift) const {
        Sum<T, n> sums[lanes];
        for (int l = 0; l < lanes; ++l) sums[l] = sum(l, lanes, padded_length(classes), shift);
        for (int by = lanes / 2; by >= 1; by /= 2)
            for (int l = 0; l < by; ++l) sums[l].add(sums[l + by].total);
        return sums[0];
    }

    // False, and nothing written, if a row is special.
    SIGMAX_INLINE bool softmax() const {
        P m = -std::numeric_limits<T>::infinity();
        for (std::ptrdiff_t k = 0; k < classes; ++k) m = max(score(k), m);
        if (any_infinite(m)) return false;
        const auto shift = Shift<T, n>::template to<false>(m, Temperature<T, n>{});
        const Share<T, n> share((classes <= most_upright ? sum(0, 1, classes, shift) : sum_of_sixteen(shift)).value());
        for (std::ptrdiff_t k = 0; k < classes; ++k) {
            const P scale = shift.template part<false>(score(k), Temperature<T, n>{}).scale;
            share.of({scale, P::load(result(k))}).store(result(k));
        }
        return true;
    }
};

// Strips of n rows from `row` on, up to one that has a special row; the row after the last of them. The last strip may overlap the one
// before it.
template <class T, int n>
SIGMAX_SHARED std::ptrdiff_t strips(const RowBatch& b, std::ptrdiff_t row, bool to_the_end) {
    while (row < b.rows && b.rows >= n && (to_the_end || b.rows - row >= n)) {
        const std::ptrdiff_t first = row + n <= b.rows ? row : b.rows - n, begin = first * sizeof(T);
        if (!Columns<T, n>{b.x.data + begin, b.y.data + begin, b.x.step, b.y.step, b.classes}.softmax()) break;
        row = first + n;
    }
    return row;
}
template <class T>
std::ptrdiff_t softmax_columns(const RowBatch& b, std::ptrdiff_t row) {
    auto side_by_side = [](const auto& o) SIGMAX_LAMBDA { return o.dtype == dtype_of<T> && o.row == sizeof(T); };
    if (b.x.data == b.y.data) return row;  // the scores are read again
    if (b.mask.data || b.temperature.data || !side_by_side(b.x) || !side_by_side(b.y)) return row;
    return strips<T, natural<T>>(b, strips<T, 2 * natural<T>>(b, row, false), true);
}
