// x86-64-v4: AVX-512. A part of its kernels; see level.hpp.
#include "levels/level.hpp"

#if defined(__x86_64__)
namespace sigmax {
SIGMAX_REGION("arch=x86-64-v4")
namespace v4 {
#include "isa/avx512.hpp"
#include "levels/kernels.hpp"
}  // namespace v4
SIGMAX_END_REGION
}  // namespace sigmax
#endif
