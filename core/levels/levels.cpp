// The table of CPU levels, each joined from its parts.
#include "api.hpp"

#include <cstring>

namespace sigmax {

#define SIGMAX_TEXT(word) #word
#define SIGMAX_LEVEL(name, is_supported)                                                               \
    namespace name {                                                                                   \
    extern const Table<Link> links;                                                                    \
    extern const Table<RowFunction> rows, more_rows;                                                   \
    extern const FeatureLoops features;                                                                \
    bool are_probabilities(const char*, std::ptrdiff_t, std::ptrdiff_t, Dtype);                        \
    static constexpr Level level = {SIGMAX_TEXT(name), [] { return bool(is_supported); }, &links, {&rows, &more_rows}, &features, \
                                    are_probabilities};                                                \
    }

// What a level asks of the CPU. Every one with AVX2 converts float16 too, which clang 14 has no name for.
#define SIGMAX_RUNS_baseline true
#define SIGMAX_RUNS_v3 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
#define SIGMAX_RUNS_v4                                                                                                \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && \
     __builtin_cpu_supports("avx512vl"))
#define SIGMAX_JOINED(a, b) a##b
#define SIGMAX_RUNS(name) SIGMAX_JOINED(SIGMAX_RUNS_, name)

#if defined(SIGMAX_ONLY)
SIGMAX_LEVEL(SIGMAX_ONLY, SIGMAX_RUNS(SIGMAX_ONLY))
const Level* const levels[] = {&SIGMAX_ONLY::level};
#elif defined(__x86_64__)
SIGMAX_LEVEL(baseline, SIGMAX_RUNS_baseline)
SIGMAX_LEVEL(v3, SIGMAX_RUNS_v3)
SIGMAX_LEVEL(v4, SIGMAX_RUNS_v4)
const Level* const levels[] = {&baseline::level, &v3::level, &v4::level};
#else
SIGMAX_LEVEL(baseline, SIGMAX_RUNS_baseline)
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
