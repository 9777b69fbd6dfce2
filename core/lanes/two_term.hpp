// Two-term arithmetic: hi + lo carries about twice the digits of T. (Dekker 1971; Knuth, TAOCP 2, 4.2.2.)
// Included once per level, hence no include guard.

template <class T, int n = natural<T>>
struct Pair {
    Pack<T, n> hi, lo;
};
template <class T, int n>
SIGMAX_INLINE Pair<T, n> fast_two_sum(Pack<T, n> a, Pack<T, n> b) {  // exact if |a| >= |b|
    Pack<T, n> s = a + b;
    return {s, (a - s) + b};
}
template <class T, int n>
SIGMAX_INLINE Pair<T, n> two_sum(Pack<T, n> a, Pack<T, n> b) {  // exact
    Pack<T, n> s = a + b, t = s - a;
    return {s, (a - (s - t)) + (b - t)};
}
template <class T, int n>
SIGMAX_INLINE Pair<T, n> two_product(Pack<T, n> a, Pack<T, n> b) {  // exact
    Pack<T, n> p = a * b;
    return {p, fma(a, b, -p)};
}
// Each is right to about 2^-104 of its larger operand, or of the product.
template <class T, int n>
SIGMAX_BLOCK Pair<T, n> operator+(Pair<T, n> a, Pair<T, n> b) {
    Pair<T, n> s = two_sum(a.hi, b.hi), t = two_sum(a.lo, b.lo);
    s = fast_two_sum(s.hi, s.lo + t.hi);
    return fast_two_sum(s.hi, s.lo + t.lo);
}
template <class T, int n>
SIGMAX_INLINE Pair<T, n> operator-(Pair<T, n> a) {
    return {-a.hi, -a.lo};
}
template <class T, int n>
SIGMAX_INLINE Pair<T, n> operator-(Pair<T, n> a, Pair<T, n> b) {
    return a + -b;
}
template <class T, int n>
SIGMAX_BLOCK Pair<T, n> operator*(Pair<T, n> a, Pair<T, n> b) {
    Pair<T, n> p = two_product(a.hi, b.hi);
    return fast_two_sum(p.hi, fma(a.hi, b.lo, fma(a.lo, b.hi, p.lo)));
}
// Scaling by a power of two.
template <class T, int n>
SIGMAX_INLINE Pair<T, n> operator*(Pair<T, n> a, Pack<T, n> power) {
    return {a.hi * power, a.lo * power};
}
template <class T, int n>
SIGMAX_INLINE Pair<T, n> select(Pack<Int<T>, n> mask, std::type_identity_t<Pair<T, n>> yes, Pair<T, n> no) {
    return {select(mask, yes.hi, no.hi), select(mask, yes.lo, no.lo)};
}
// hi + lo rounded to one term, and to an odd last digit where it is inexact: a second rounding to fewer digits is then the
// correct one (Boldo & Melquiond, IEEE TC 57(4), 2008). |lo| must be at most half a unit of hi.
template <int n>
SIGMAX_INLINE Pack<double, n> to_odd(Pair<double, n> x) {
    auto step = ((x.lo < 0.0) | (x.lo > 0.0)) & ((bits(x.hi) & 1) ^ 1);
    auto inwards = shift_right_logical<63>(bits(x.hi) ^ bits(x.lo));
    return from_bits<double>(bits(x.hi) + step - shift_left<1>(step & inwards));
}
// (a.hi + a.lo) / (b.hi + b.lo) in two terms, one division.
template <class T, int n>
SIGMAX_BLOCK Pair<T, n> divide(Pair<T, n> a, Pair<T, n> b) {
    Pack<T, n> inverse = Pack<T, n>(1) / b.hi, q = a.hi * inverse;
    Pack<T, n> rest = fma(-q, b.hi, a.hi) + fma(-q, b.lo, a.lo);
    return fast_two_sum(q, rest * inverse);
}

// An infinite number has no second term.
template <int n>
SIGMAX_INLINE Pair<double, n> without_nan(Pair<double, n> z) {
    return {z.hi, select(abs(z.hi) == std::numeric_limits<double>::infinity(), 0.0, z.lo)};
}
template <class T, int n>
SIGMAX_INLINE Pair<T, n> one_term(Pack<T, n> x) {
    return {x, Pack<T, n>(0)};
}
