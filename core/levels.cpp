// The table of CPU levels.
#include "levels.hpp"

namespace sigmax {

extern const Level baseline_level;
#if defined(SIGMAX_ONLY)
extern const Level SIGMAX_ONLY;
const Level* const levels[] = {&SIGMAX_ONLY};
#elif defined(__x86_64__)
extern const Level v3_level, v4_level;
const Level* const levels[] = {&baseline_level, &v3_level, &v4_level};
#else
const Level* const levels[] = {&baseline_level};
#endif
const int level_count = sizeof levels / sizeof *levels;

}  // namespace sigmax
