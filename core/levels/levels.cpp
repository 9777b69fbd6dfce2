// The table of CPU levels, each joined from its parts.
#include "api.hpp"

#include <cstring>

namespace sigmax {

#define SIGMAX_TEXT(word) #word
#define SIGMAX_LEVEL(name, is_supported)                                                                                \
    namespace name {                                                                                                    \
    extern const Table<Link> links;                                                                                     \
    extern const Table<RowFunction> rows, more_rows;                                                                    \
    static constexpr Level level = {SIGMAX_TEXT(name), [] { return bool(is_supported); }, &links, {&rows, &more_rows}}; \
    }

#if defined(SIGMAX_ONLY)
SIGMAX_LEVEL(SIGMAX_ONLY, true)
const Level* const levels[] = {&SIGMAX_ONLY::level};
#elif defined(__x86_64__)
// Every CPU with AVX2 converts float16 too, which clang 14 has no name for.
SIGMAX_LEVEL(baseline, true)
SIGMAX_LEVEL(v3, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
SIGMAX_LEVEL(v4, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512vl"))
const Level* const levels[] = {&baseline::level, &v3::level, &v4::level};
#else
SIGMAX_LEVEL(baseline, true)
const Level* const levels[] = {&baseline::level};
#endif
const int level_count = sizeof levels / sizeof *levels;

const Link* find_link(const Level& level, const char* name) {
    for (const Link& f : *level.links)
        if (std::strcmp(f.name, name) == 0) return &f;
    return nullptr;
}
const RowFunction* find_row_function(const Level& level, const char* name) {
    for (const auto* table : level.rows)
        for (const RowFunction& f : *table)
            if (std::strcmp(f.name, name) == 0) return &f;
    return nullptr;
}

}  // namespace sigmax
