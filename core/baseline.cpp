// The kernels for every CPU: SSE2 on x86-64, NEON on arm64.
#include "level.hpp"

namespace sigmax {
namespace baseline {
#define SIGMAX_BYTES 16
#include "kernels.hpp"
}  // namespace baseline

extern const Level baseline_level = {"baseline",           [] { return true; },     baseline::links,
                                     baseline::link_count, baseline::row_functions, baseline::row_function_count};
}  // namespace sigmax
