// The kernels for x86-64-v4: AVX-512.
#include "level.hpp"

#if defined(__x86_64__)
namespace sigmax {
SIGMAX_REGION("arch=x86-64-v4")
namespace v4 {
#define SIGMAX_BYTES 64
#include "kernels.hpp"
}  // namespace v4
SIGMAX_END_REGION

extern const Level v4_level = {"v4",
                               [] {
                                   return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
                               },
                               v4::links,
                               v4::link_count,
                               v4::row_functions,
                               v4::row_function_count};
}  // namespace sigmax
#endif
