// Every kernel, compiled once for each CPU level from the same text, and the table of levels.
//
// The regions below set the target of all that is defined in them, so no build system needs to know of levels. The kernels
// use explicit fma only (the build passes -ffp-contract=off): all levels return the same bits.
#include "levels.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define SIGMAX_INLINE [[gnu::always_inline]] inline
#define SIGMAX_LAMBDA __attribute__((always_inline))

namespace sigmax {
namespace {
constexpr int lanes = 16;
}

#if defined(__clang__)
#define SIGMAX_REGION(level) _Pragma(SIGMAX_STRING(clang attribute push(__attribute__((target(level))), apply_to = function)))
#define SIGMAX_END_REGION _Pragma("clang attribute pop")
#else
#define SIGMAX_REGION(level) _Pragma("GCC push_options") _Pragma(SIGMAX_STRING(GCC target(level)))
#define SIGMAX_END_REGION _Pragma("GCC pop_options")
#endif
#define SIGMAX_STRING(...) #__VA_ARGS__

namespace baseline {
#define SIGMAX_BYTES 16
#include "kernels.hpp"
#undef SIGMAX_BYTES
}  // namespace baseline

#if defined(__x86_64__)
SIGMAX_REGION("arch=x86-64-v3")
namespace v3 {
#define SIGMAX_BYTES 32
#include "kernels.hpp"
#undef SIGMAX_BYTES
}  // namespace v3
SIGMAX_END_REGION

SIGMAX_REGION("arch=x86-64-v4")
namespace v4 {
#define SIGMAX_BYTES 64
#include "kernels.hpp"
#undef SIGMAX_BYTES
}  // namespace v4
SIGMAX_END_REGION
#endif

const Level levels[] = {
    {"baseline", [] { return true; }, baseline::links, baseline::link_count, baseline::row_functions, baseline::row_function_count},
#if defined(__x86_64__)
    {"v3", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"); }, v3::links,
     v3::link_count, v3::row_functions, v3::row_function_count},
    {"v4",
     [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl");
     },
     v4::links, v4::link_count, v4::row_functions, v4::row_function_count},
#endif
};
const int level_count = sizeof levels / sizeof *levels;

}  // namespace sigmax
