#include "longhand.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace sigmax {
namespace {

using Wide = unsigned __int128;

template <int limbs>
void operator+=(FixedPoint<limbs>& a, const FixedPoint<limbs>& b) {
    Wide carry = 0;
    for (int i = 0; i < limbs; ++i) {
        carry += Wide(a.limb[i]) + b.limb[i];
        a.limb[i] = static_cast<std::uint64_t>(carry);
        carry >>= 64;
    }
}
template <int limbs>
void operator-=(FixedPoint<limbs>& a, const FixedPoint<limbs>& b) {  // a >= b
    std::uint64_t borrow = 0;
    for (int i = 0; i < limbs; ++i) {
        const Wide difference = Wide(a.limb[i]) - b.limb[i] - borrow;
        a.limb[i] = static_cast<std::uint64_t>(difference);
        borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
    }
}
template <int limbs>
bool operator<(const FixedPoint<limbs>& a, const FixedPoint<limbs>& b) {
    return std::lexicographical_compare(std::rbegin(a.limb), std::rend(a.limb), std::rbegin(b.limb), std::rend(b.limb));
}
template <int limbs>
void operator*=(FixedPoint<limbs>& a, const FixedPoint<limbs>& b) {
    std::uint64_t product[2 * limbs] = {};
    for (int i = 0; i < limbs; ++i) {
        Wide carry = 0;
        for (int j = 0; j < limbs; ++j) {
            carry += Wide(a.limb[i]) * b.limb[j] + product[i + j];
            product[i + j] = static_cast<std::uint64_t>(carry);
            carry >>= 64;
        }
        product[i + limbs] = static_cast<std::uint64_t>(carry);
    }
    std::copy_n(product + limbs - 1, limbs, a.limb);
}
template <int limbs>
void operator*=(FixedPoint<limbs>& a, std::uint64_t factor) {
    Wide carry = 0;
    for (auto& limb : a.limb) {
        carry += Wide(limb) * factor;
        limb = static_cast<std::uint64_t>(carry);
        carry >>= 64;
    }
}
template <int limbs>
constexpr void operator/=(FixedPoint<limbs>& a, std::uint64_t divisor) {
    Wide rest = 0;
    for (int i = limbs - 1; i >= 0; --i) {
        rest = rest << 64 | a.limb[i];
        a.limb[i] = static_cast<std::uint64_t>(rest / divisor);
        rest %= divisor;
    }
}
template <int limbs>
void operator>>=(FixedPoint<limbs>& a, int by) {
    const int whole = std::min(by / 64, limbs), part = by % 64;
    for (int i = 0; i < limbs; ++i) {
        const std::uint64_t low = i + whole < limbs ? a.limb[i + whole] : 0, high = i + whole + 1 < limbs ? a.limb[i + whole + 1] : 0;
        a.limb[i] = part ? low >> part | high << (64 - part) : low;
    }
}
template <int limbs>
void operator<<=(FixedPoint<limbs>& a, int by) {
    const int whole = std::min(by / 64, limbs), part = by % 64;
    for (int i = limbs - 1; i >= 0; --i) {
        const std::uint64_t high = i >= whole ? a.limb[i - whole] : 0, low = i > whole ? a.limb[i - whole - 1] : 0;
        a.limb[i] = part ? high << part | low >> (64 - part) : high;
    }
}

template <int limbs>
void scale(FixedPoint<limbs>& a, int exponent) {
    if (exponent < 0)
        a >>= -exponent;
    else
        a <<= exponent;
}
// |x|, less than 2^60, without what lies beyond the places.
template <int limbs>
FixedPoint<limbs> fixed(double x) {
    FixedPoint<limbs> a;
    int exponent;
    const double mantissa = std::frexp(std::fabs(x), &exponent);
    a.limb[limbs - 1] = static_cast<std::uint64_t>(std::ldexp(mantissa, 53));
    scale(a, exponent - 53);
    return a;
}
// Rounded once.
template <int limbs>
double rounded(const FixedPoint<limbs>& a) {
    int top = limbs - 1;
    while (top > 0 && a.limb[top] == 0) --top;
    if (a.limb[top] == 0) return 0;
    const int leading = __builtin_clzll(a.limb[top]);
    std::uint64_t bits = a.limb[top] << leading;
    std::uint64_t below = 0;
    if (top > 0) {
        if (leading > 0) bits |= a.limb[top - 1] >> (64 - leading);
        below = a.limb[top - 1] << leading;
    }
    for (int i = 0; i < top - 1; ++i) below |= a.limb[i];
    return std::ldexp(static_cast<double>(bits | (below != 0)), 64 * top - leading - FixedPoint<limbs>::places);
}

// ln 2 in 1,216 places, lowest limb first
constexpr std::uint64_t ln2_limbs[] = {0xee569d6dfc1efa15, 0x610d30f88fe551a2, 0x07f4ca11fb5bfb90, 0xda2d97c50f3fd5c6, 0x655fa1872f20e3a2,
                                       0xf5dfa6bd38303248, 0x72ce87b19d6548ca, 0x256fa0ec7657f74b, 0xb9ea9bc3b136603b, 0x1acbda11317c387e,
                                       0x3e96ca16224ae8c5, 0x27573b291169b825, 0xed2eae35c1382144, 0x559552fb4afa1b10, 0xe7b876206debac98,
                                       0x8a0d175b8baafa2b, 0x40f343267298b62d, 0xc9e3b39803f2f6af, 0xb17217f7d1cf79ab};

// e^r by the series of r / 2^halvings, squared so often; the terms after the last are below the last place.
template <int limbs>
struct Series {
    static constexpr int halvings = limbs == 4 ? 8 : limbs == 8 ? 10 : 16, terms = limbs == 4 ? 19 : limbs == 8 ? 34 : 61;
    FixedPoint<limbs> one, ln2, inverse_factorial[terms];
    constexpr Series() {
        one.limb[limbs - 1] = 1;
        for (int i = 1; i < limbs; ++i) ln2.limb[limbs - 1 - i] = ln2_limbs[std::size(ln2_limbs) - i];
        FixedPoint<limbs> inverse = one;
        for (int i = 0; i < terms; ++i) {
            if (i > 0) inverse /= static_cast<std::uint64_t>(i);
            inverse_factorial[i] = inverse;
        }
    }
};
template <int limbs>
constexpr Series<limbs> series;

// e^a, or e^-a, for a < 2^11
template <int limbs>
FixedPoint<limbs> exponential(const FixedPoint<limbs>& a, bool of_minus) {
    constexpr const Series<limbs>& s = series<limbs>;
    const double size = static_cast<double>(a.limb[limbs - 1]) + std::ldexp(static_cast<double>(a.limb[limbs - 2]), -64);
    int n = static_cast<int>(size * 1.4426950408889634) + of_minus;
    FixedPoint<limbs> r = s.ln2, power = a;
    r *= static_cast<std::uint64_t>(n);
    if (of_minus) {  // 2^-n e^r, r = n ln 2 - a
        if (r < a) {
            r += s.ln2;
            ++n;
        }
        r -= a;
    } else {  // 2^n e^r, r = a - n ln 2
        if (a < r) {
            r -= s.ln2;
            --n;
        }
        power -= r;
        r = power;
    }
    r >>= s.halvings;
    power = s.inverse_factorial[s.terms - 1];
    for (int i = s.terms - 2; i >= 0; --i) {
        power *= r;
        power += s.inverse_factorial[i];
    }
    for (int i = 0; i < s.halvings; ++i) power *= FixedPoint<limbs>(power);
    scale(power, of_minus ? -n : n);
    return power;
}

}  // namespace

template <int limbs>
void Longhand<limbs>::add(double x, double weight) {
    const double hi = shift_ - x, t = hi - shift_, lo = (shift_ - (hi - t)) - (x + t);  // exactly shift - x
    const double size = hi / temperature_;
    if (weight == 0 || size > FixedPoint<limbs>::places) return;  // a term below the last place
    beyond_ = beyond_ || !(size > -20 && std::fabs(weight) < 1024 && temperature_ >= 0x1p-30 && temperature_ <= 0x1p30);
    if (beyond_) return;
    FixedPoint<limbs> z = fixed<limbs>(hi);
    if ((lo < 0) == (hi < 0))
        z += fixed<limbs>(lo);
    else
        z -= fixed<limbs>(lo);
    if (temperature_ != 1) {
        int exponent;
        const double mantissa = std::frexp(temperature_, &exponent);
        z /= static_cast<std::uint64_t>(std::ldexp(mantissa, 53));
        scale(z, 53 - exponent);
    }
    z = hi == 0 ? series<limbs>.one : exponential(z, hi >= 0);  // of 0, whose lo is 0 too, to the last place
    if (std::fabs(weight) != 1) z *= fixed<limbs>(weight);
    (weight < 0 ? negative_ : positive_) += z;
}

template <int limbs>
double Longhand<limbs>::log() const {
    constexpr const FixedPoint<limbs>& one = series<limbs>.one;
    FixedPoint<limbs> sum = positive_, near;
    if (positive_ < negative_) {
        sum = negative_;
        sum -= positive_;
    } else {
        sum -= negative_;
    }
    const bool less_than_one = sum < one;
    FixedPoint<limbs> d = less_than_one ? one : sum;
    d -= less_than_one ? sum : one;
    near.limb[limbs - 2] = std::uint64_t(1) << 34;  // 2^-30
    if (beyond_ || !(d < near)) return std::nan("");
    FixedPoint<limbs> power = d, total, negative;
    for (std::uint64_t i = 1; i <= FixedPoint<limbs>::places / 30 + 1; ++i) {  // d - d^2/2 + d^3/3 ..., or all terms of one sign
        FixedPoint<limbs> term = power;
        term /= i;
        (!less_than_one && i % 2 == 0 ? negative : total) += term;
        power *= d;
    }
    total -= negative;
    return less_than_one ? -rounded(total) : rounded(total);
}

template <int limbs>
double Longhand<limbs>::least() const {
    return limbs == 20 ? 0 : std::ldexp(temperature_ == 1 ? 1 : 0x1p53, 72 - FixedPoint<limbs>::places);
}

template class Longhand<4>;
template class Longhand<8>;
template class Longhand<20>;

}  // namespace sigmax
