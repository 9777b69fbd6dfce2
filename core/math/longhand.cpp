#include "longhand.hpp"

#include <cmath>
#include <cstring>

namespace sigmax {
namespace {

using Number = Longhand::Number;
using Wide = unsigned __int128;
constexpr int limbs = Longhand::limbs, places = 64 * (limbs - 1);

constexpr Number ln2 = {0x40f343267298b62d, 0xc9e3b39803f2f6af, 0xb17217f7d1cf79ab, 0};
constexpr Number one = {0, 0, 0, 1};

void accumulate(Number a, const Number b) {
    Wide carry = 0;
    for (int i = 0; i < limbs; ++i) {
        carry += Wide(a[i]) + b[i];
        a[i] = static_cast<std::uint64_t>(carry);
        carry >>= 64;
    }
}
void subtract(Number a, const Number b) {  // a >= b
    std::uint64_t borrow = 0;
    for (int i = 0; i < limbs; ++i) {
        const Wide difference = Wide(a[i]) - b[i] - borrow;
        a[i] = static_cast<std::uint64_t>(difference);
        borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
    }
}
bool less(const Number a, const Number b) {
    for (int i = limbs - 1; i >= 0; --i)
        if (a[i] != b[i]) return a[i] < b[i];
    return false;
}
void multiply(Number a, const Number b) {
    std::uint64_t product[2 * limbs] = {};
    for (int i = 0; i < limbs; ++i) {
        Wide carry = 0;
        for (int j = 0; j < limbs; ++j) {
            carry += Wide(a[i]) * b[j] + product[i + j];
            product[i + j] = static_cast<std::uint64_t>(carry);
            carry >>= 64;
        }
        product[i + limbs] = static_cast<std::uint64_t>(carry);
    }
    std::memcpy(a, product + limbs - 1, sizeof(Number));
}
void multiply(Number a, std::uint64_t factor) {
    Wide carry = 0;
    for (int i = 0; i < limbs; ++i) {
        carry += Wide(a[i]) * factor;
        a[i] = static_cast<std::uint64_t>(carry);
        carry >>= 64;
    }
}
constexpr void divide(Number a, std::uint64_t divisor) {
    Wide rest = 0;
    for (int i = limbs - 1; i >= 0; --i) {
        rest = rest << 64 | a[i];
        a[i] = static_cast<std::uint64_t>(rest / divisor);
        rest %= divisor;
    }
}
void shift_right(Number a, int by) {
    for (; by >= 64; by -= 64) {
        std::memmove(a, a + 1, sizeof(Number) - sizeof *a);
        a[limbs - 1] = 0;
    }
    if (by > 0)
        for (int i = 0; i < limbs; ++i) a[i] = a[i] >> by | (i + 1 < limbs ? a[i + 1] << (64 - by) : 0);
}
void shift_left(Number a, int by) {
    for (; by >= 64; by -= 64) {
        std::memmove(a + 1, a, sizeof(Number) - sizeof *a);
        a[0] = 0;
    }
    if (by > 0)
        for (int i = limbs - 1; i >= 0; --i) a[i] = a[i] << by | (i > 0 ? a[i - 1] >> (64 - by) : 0);
}
// |x|, less than 2^60, without what lies beyond the places.
void set(Number a, double x) {
    std::memset(a, 0, sizeof(Number));
    int exponent;
    const double mantissa = std::frexp(std::fabs(x), &exponent);
    a[limbs - 1] = static_cast<std::uint64_t>(std::ldexp(mantissa, 53));
    if (exponent > 53)
        shift_left(a, exponent - 53);
    else if (53 - exponent < 64 * limbs)
        shift_right(a, 53 - exponent);
    else
        a[limbs - 1] = 0;
}

// 1 / i!
constexpr int terms = 19;
struct Factorials {
    Number inverse[terms] = {};
    constexpr Factorials() {
        Number f = {0, 0, 0, 1};
        for (int i = 0; i < terms; ++i) {
            if (i > 0) divide(f, static_cast<std::uint64_t>(i));
            for (int j = 0; j < limbs; ++j) inverse[i][j] = f[j];
        }
    }
};
constexpr Factorials factorials;

// e^a, or e^-a, for a < 2^11
void exponential(Number a, bool of_minus) {
    const double size = static_cast<double>(a[limbs - 1]) + std::ldexp(static_cast<double>(a[limbs - 2]), -64);
    int n = static_cast<int>(size * 1.4426950408889634) + of_minus;
    Number r;
    std::memcpy(r, ln2, sizeof r);
    multiply(r, static_cast<std::uint64_t>(n));
    if (of_minus) {  // 2^-n e^r, r = n ln 2 - a
        if (less(r, a)) {
            accumulate(r, ln2);
            ++n;
        }
        subtract(r, a);
    } else {  // 2^n e^r, r = a - n ln 2
        if (less(a, r)) {
            subtract(r, ln2);
            --n;
        }
        subtract(a, r);
        std::memcpy(r, a, sizeof r);
    }
    constexpr int halvings = 8;
    shift_right(r, halvings);
    std::memcpy(a, factorials.inverse[terms - 1], sizeof(Number));
    for (int i = terms - 2; i >= 0; --i) {
        multiply(a, r);
        accumulate(a, factorials.inverse[i]);
    }
    for (int i = 0; i < halvings; ++i) {
        Number same;
        std::memcpy(same, a, sizeof same);
        multiply(a, same);
    }
    if (of_minus)
        shift_right(a, n);
    else
        shift_left(a, n);
}

// Rounded once.
double value(const Number a) {
    int top = limbs - 1;
    while (top > 0 && a[top] == 0) --top;
    if (a[top] == 0) return 0;
    const int leading = __builtin_clzll(a[top]);
    std::uint64_t bits = a[top] << leading;
    std::uint64_t below = 0;
    if (top > 0) {
        if (leading > 0) bits |= a[top - 1] >> (64 - leading);
        below = a[top - 1] << leading;
    }
    for (int i = 0; i < top - 1; ++i) below |= a[i];
    return std::ldexp(static_cast<double>(bits | (below != 0)), 64 * top - leading - places);
}

}  // namespace

void Longhand::add(double x, double weight) {
    const double hi = shift_ - x, t = hi - shift_, lo = (shift_ - (hi - t)) - (x + t);  // exactly shift - x
    const double size = hi / temperature_;
    if (weight == 0 || size > 192) return;  // a term below the last place
    beyond_ = beyond_ || !(size > -20 && std::fabs(weight) < 1024 && temperature_ >= 0x1p-30 && temperature_ <= 0x1p30);
    if (beyond_) return;
    Number z, rest;
    set(z, hi);
    set(rest, lo);
    if ((lo < 0) == (hi < 0))
        accumulate(z, rest);
    else
        subtract(z, rest);
    if (temperature_ != 1) {
        int exponent;
        const double mantissa = std::frexp(temperature_, &exponent);
        divide(z, static_cast<std::uint64_t>(std::ldexp(mantissa, 53)));
        exponent -= 53;
        if (exponent < 0)
            shift_left(z, -exponent);
        else
            shift_right(z, exponent);
    }
    if (hi == 0)  // and lo, which is less: e^0, to the last place
        std::memcpy(z, one, sizeof z);
    else
        exponential(z, hi >= 0);
    if (std::fabs(weight) != 1) {
        set(rest, weight);
        multiply(z, rest);
    }
    accumulate(weight < 0 ? negative_ : positive_, z);
}

double Longhand::log() const {
    Number sum, d, power, total = {}, less_than_one = {};
    const bool swapped = less(positive_, negative_);
    std::memcpy(sum, swapped ? negative_ : positive_, sizeof sum);
    subtract(sum, swapped ? positive_ : negative_);
    const bool negative = less(sum, one);
    std::memcpy(d, negative ? one : sum, sizeof d);
    subtract(d, negative ? sum : one);
    Number near = {0, 0, std::uint64_t(1) << 34, 0};  // 2^-30
    if (beyond_ || !less(d, near)) return std::nan("");
    std::memcpy(power, d, sizeof d);
    for (std::uint64_t i = 1; i <= 7; ++i) {  // d - d^2/2 + d^3/3 ..., or all terms of one sign
        Number term;
        std::memcpy(term, power, sizeof term);
        divide(term, i);
        accumulate(!negative && i % 2 == 0 ? less_than_one : total, term);
        multiply(power, d);
    }
    subtract(total, less_than_one);
    return negative ? -value(total) : value(total);
}

}  // namespace sigmax
