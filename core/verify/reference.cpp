// The judge of the elementwise functions: compares results with a reference that decides their rounding.
//
// Every formula below is well conditioned and stands once, for three types R. In double (the C library's exp, expm1, log, log1p,
// each within 1 ulp) it is right to 2^-50: enough to know the correctly rounded float or half, unless the value is that close to
// the middle of two of them. Those few, and float64 results, which are judged in the 64 bits of long double, go on to
// __float128 (113 bits); on arm64 long double has those already. What even that leaves open is counted as undecided.
//
// Shares no code with the kernels. Compiled and called by benchmarks/verify.py.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#if defined(__x86_64__)
#include <quadmath.h>
#include <xmmintrin.h>
#endif

namespace {

#if defined(__x86_64__)
using Quad = __float128;
Quad exponential(Quad x) { return expq(x); }
Quad exponential_less_one(Quad x) { return expm1q(x); }
Quad logarithm(Quad x) { return logq(x); }
Quad logarithm_of_one_more(Quad x) { return log1pq(x); }
Quad scaled(Quad x, int by) { return ldexpq(x, by); }
Quad nearest_whole(Quad x) { return nearbyintq(x); }
#else
using Quad = long double;
Quad scaled(Quad x, int by) { return ldexpl(x, by); }
Quad nearest_whole(Quad x) { return nearbyintl(x); }
#endif
Quad absolute(Quad x) { return x < 0 ? -x : x; }

double exponential(double x) { return std::exp(x); }
long double exponential(long double x) { return expl(x); }
double exponential_less_one(double x) { return std::expm1(x); }
long double exponential_less_one(long double x) { return expm1l(x); }
double logarithm(double x) { return std::log(x); }
long double logarithm(long double x) { return logl(x); }
double logarithm_of_one_more(double x) { return std::log1p(x); }
long double logarithm_of_one_more(long double x) { return log1pl(x); }

enum Function { sigmoid, logit, odds, from_odds, log_sigmoid, softplus, log1mexp, logitexp };
// Each of them by its public name, and where it is defined.
struct Domain {
    const char* name;
    double lowest, highest;
};
const Domain domains[] = {{"sigmoid", -HUGE_VAL, HUGE_VAL},
                          {"logit", 0, 1},
                          {"odds", 0, 1},
                          {"from_odds", 0, HUGE_VAL},
                          {"log_sigmoid", -HUGE_VAL, HUGE_VAL},
                          {"softplus", -HUGE_VAL, HUGE_VAL},
                          {"log1mexp", -HUGE_VAL, 0},
                          {"logitexp", -HUGE_VAL, 0}};
int number_of(const char* name) {
    int function = 0;
    for (const Domain& domain : domains) {
        if (std::strcmp(domain.name, name) == 0) return function;
        ++function;
    }
    return -1;
}

// ln 2 = high + low + what is below R
const double ln2_high = 0x1.62e42fefa39efp-1;
const Quad ln2_low = Quad(0x1.abc9e3b39803fp-56) + Quad(0x1.7b57a079a1934p-111);

template <class R>
R soft_plus(R x) {
    return x > 0 ? x + logarithm_of_one_more(exponential(-x)) : logarithm_of_one_more(exponential(x));
}
template <class R>
R log_of_complement(R l) {
    return l > R(-0.6931) ? logarithm(-exponential_less_one(l)) : logarithm_of_one_more(-exponential(l));
}

template <class R>
R value(int function, double input) {
    const R nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity(), x = input;
    if (!(input >= domains[function].lowest && input <= domains[function].highest)) return nan;
    switch (function) {
        case sigmoid:
            return x < 0 ? exponential(x) / (1 + exponential(x)) : 1 / (1 + exponential(-x));
        case logit:
            if (x == 0 || x == 1) return x == 0 ? -infinity : infinity;
            return x > R(0.25) && x < R(0.75) ? logarithm_of_one_more((2 * x - 1) / (1 - x))
                   : x < R(0.5)               ? logarithm(x) - logarithm_of_one_more(-x)
                                              : logarithm(x / (1 - x));
        case odds:
            return x == 1 ? infinity : x / (1 - x);
        case from_odds:
            return x == infinity ? R(1) : x / (1 + x);
        case log_sigmoid:
            return input == -infinity ? -infinity : -soft_plus(-x);
        case softplus:
            return x == infinity ? infinity : soft_plus(x);
        case log1mexp:
            return x == 0 ? -infinity : x == -infinity ? R(-0.0) : log_of_complement(x);
        case logitexp: {
            if (x == 0 || x == -infinity) return x == 0 ? infinity : -infinity;
            if (x < -1 || x > R(-0.5)) return x - log_of_complement(x);
            const R s = exponential_less_one((x + R(ln2_high)) + R(ln2_low));  // 2 e^x - 1
            return logarithm_of_one_more(2 * s / (1 - s));
        }
        default:
            return nan;
    }
}

struct Format {
    int digits, smallest;  // digits after the leading one, exponent of the smallest normal number
    double largest;        // all of this size and above is infinite
};
const Format formats[] = {{10, -14, 65520.0}, {7, -126, 0x1.ffp127}, {23, -126, 0x1.ffffffp127}, {52, -1022, HUGE_VAL}};

double read(int format, const void* data, std::size_t i) {
    if (format == 3) return static_cast<const double*>(data)[i];
    if (format == 2) return static_cast<const float*>(data)[i];
    const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[i];
    if (format == 1) {
        const std::uint32_t word = std::uint32_t(bits) << 16;
        float f;
        std::memcpy(&f, &word, sizeof f);
        return f;
    }
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double infinite = fraction ? std::numeric_limits<double>::quiet_NaN() : HUGE_VAL;
    const double size = exponent == 31 ? infinite : std::ldexp(exponent ? 1024 + fraction : fraction, (exponent ? exponent : 1) - 25);
    return bits >> 15 ? -size : size;
}

// The exponent of the last digit at |v|.
int last_digit(const Format& f, double v) {
    int exponent;
    std::frexp(v, &exponent);
    exponent -= 1;
    return (exponent > f.smallest ? exponent : f.smallest) - f.digits;
}

double rounded(int format, double v) {
    if (format == 2) return static_cast<float>(v);
    const Format& f = formats[format];
    if (v == 0 || std::isinf(v)) return v;
    if (std::fabs(v) >= f.largest) return std::copysign(HUGE_VAL, v);
    const int digit = last_digit(f, v);
    return std::ldexp(std::nearbyint(std::ldexp(v, -digit)), digit);
}

double rounded(int format, Quad v) {
    if (v == 0) return static_cast<double>(v);
    const Format& f = formats[format];
    if (absolute(v) >= f.largest) return std::copysign(HUGE_VAL, static_cast<double>(v));
    const int digit = last_digit(f, static_cast<double>(v));
    return static_cast<double>(scaled(nearest_whole(scaled(v, -digit)), digit));
}

// Differences below a double's range, of subnormal float64 results, survive in the wider types.
template <class R>
double error_of(int format, double got, R truth) {
    const double near = static_cast<double>(truth);
    if (std::isinf(got) || std::isinf(near)) return got == near ? 0 : HUGE_VAL;
    const int digit = near == 0 ? formats[format].smallest - formats[format].digits : last_digit(formats[format], near);
    const R difference = R(got) - truth, unit = R(std::ldexp(1.0, digit / 2)) * R(std::ldexp(1.0, digit - digit / 2));
    return static_cast<double>((difference < 0 ? -difference : difference) / unit);
}

}  // namespace

extern "C" {

// A floating-point state that a caller may be in, and the kernels must not: subnormal numbers are 0, and rounding goes upwards. Returns
// the old state; `leave` gives it back.
unsigned long enter_strange_state() {
#if defined(__x86_64__)
    const unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040 | 0x4000);
    return old;
#elif defined(__aarch64__)
    unsigned long old;
    asm volatile("mrs %0, fpcr" : "=r"(old));
    asm volatile("msr fpcr, %0" : : "r"(old | 1ul << 24 | 1ul << 22));
    return old;
#endif
}
void leave(unsigned long state) {
#if defined(__x86_64__)
    _mm_setcsr(static_cast<unsigned>(state));
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(state));
#endif
}

struct Verdict {
    std::int64_t inputs, wrong, undecided;  // wrong: not the correctly rounded result (not counted for float64)
    double worst, input, result;            // the largest error in ulp, where, and what was found there
};

// Judges results[i] = function(inputs[i]) of one format (float16, bfloat16, float32, float64), and adds to the verdict. False, and nothing
// done, for a function that it does not know.
bool judge(const char* name, int format, const void* inputs, const void* results, std::size_t count, Verdict* verdict) {
    const int function = number_of(name);
    if (function < 0) return false;
    for (std::size_t i = 0; i < count; ++i) {
        const double x = read(format, inputs, i), got = read(format, results, i);
        ++verdict->inputs;
        double error;
        if (format == 3) {
            const long double near = value<long double>(function, x);
            if (near != near || got != got) {
                error = near != near && got != got ? 0 : HUGE_VAL;
            } else {
                error = error_of(format, got, near);
                if (error > verdict->worst * 0.99 && error < HUGE_VAL) error = error_of(format, got, value<Quad>(function, x));
            }
        } else {
            const double near = value<double>(function, x);
            if (near != near || got != got || std::isinf(near)) {
                error = got == near || (near != near && got != got) ? 0 : HUGE_VAL;
                verdict->wrong += error != 0;
            } else {
                const double slack = 0x1p-50 * std::fabs(near), low = rounded(format, near - slack), high = rounded(format, near + slack);
                error = error_of(format, got, near);
                bool right = got == low;
                if (low != high) {
                    const Quad exact = value<Quad>(function, x), rest = absolute(exact) * Quad(0x1p-106);
                    const double below = rounded(format, exact - rest), above = rounded(format, exact + rest);
                    verdict->undecided += below != above;
                    right = got == below || got == above;
                    error = error_of(format, got, exact);
                }
                verdict->wrong += !right;
            }
        }
        if (error > verdict->worst) {
            verdict->worst = error;
            verdict->input = x;
            verdict->result = got;
        }
    }
    return true;
}
}
