// What the parts of the CPU levels are compiled with. The text of the kernels is compiled once for each level inside a namespace and a
// target region of its own, so that no build system needs to know of levels; in four parts, so that several cores share the work:
// links, the functions over rows that work in the type of their scores, those that work in doubles, and the sums of features. It uses explicit fma only (the
// build passes -ffp-contract=off): all levels return the same bits.
#pragma once

#include "api.hpp"
#include "math/longhand.hpp"

#include <algorithm>
#include <array>
#include <bit>
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
#define SIGMAX_SHARED [[gnu::noinline]] inline
#define SIGMAX_RARE [[gnu::noinline, gnu::cold]] inline
#define SIGMAX_LAMBDA __attribute__((always_inline))

namespace sigmax {
inline constexpr int lanes = 16;  // of the reduction tree of a row that lies flat, at every level
}

#define SIGMAX_STRING(...) #__VA_ARGS__
#if defined(__clang__)
#define SIGMAX_REGION(level) _Pragma(SIGMAX_STRING(clang attribute push(__attribute__((target(level))), apply_to = function)))
#define SIGMAX_END_REGION _Pragma("clang attribute pop")
#else
#define SIGMAX_REGION(level) _Pragma("GCC push_options") _Pragma(SIGMAX_STRING(GCC target(level)))
#define SIGMAX_END_REGION _Pragma("GCC pop_options")
#endif

// Declares and defines the table of a part, as sigmax::LEVEL::PART.
#define SIGMAX_TABLE(F, part, list) \
    extern const Table<F> part;     \
    const Table<F> part = {list.data(), static_cast<int>(list.size())};
