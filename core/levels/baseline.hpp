// Every CPU: SSE2 on x86-64, NEON on arm64. A part of its kernels; see level.hpp.
#include "levels/level.hpp"

namespace sigmax {
namespace baseline {
#if defined(__x86_64__)
#include "isa/sse2.hpp"
#elif defined(__aarch64__)
#include "isa/neon.hpp"
#else
#error "sigmax has kernels for x86-64 and arm64"
#endif
#include "levels/kernels.hpp"
}  // namespace baseline
}  // namespace sigmax
