// The kernels for x86-64-v3: AVX2 and FMA.
#include "level.hpp"

#if defined(__x86_64__)
namespace sigmax {
SIGMAX_REGION("arch=x86-64-v3")
namespace v3 {
#define SIGMAX_BYTES 32
#include "kernels.hpp"
}  // namespace v3
SIGMAX_END_REGION

extern const Level v3_level = {"v3",
                               [] {
                                   return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                          __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c");
                               },
                               v3::links,
                               v3::link_count,
                               v3::row_functions,
                               v3::row_function_count};
}  // namespace sigmax
#endif
