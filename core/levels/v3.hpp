// x86-64-v3: AVX2 and FMA. A part of its kernels; see level.hpp.
#include "levels/level.hpp"

#if defined(__x86_64__)
namespace sigmax {
SIGMAX_REGION("arch=x86-64-v3")
namespace v3 {
#include "isa/avx2.hpp"
#include "levels/kernels.hpp"
}  // namespace v3
SIGMAX_END_REGION
}  // namespace sigmax
#endif
