// What a CPU level is made from: baseline.cpp, v3.cpp and v4.cpp include kernels.hpp once each, inside a namespace and a target
// region of their own, so no build system needs to know of levels. The kernels use explicit fma only (the build passes
// -ffp-contract=off): all levels return the same bits.
#pragma once

#include "levels.hpp"
#include "longhand.hpp"

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
#define SIGMAX_SHARED [[gnu::noinline]] static
#define SIGMAX_LAMBDA __attribute__((always_inline))

namespace sigmax {
inline constexpr int lanes = 16;
}

#define SIGMAX_STRING(...) #__VA_ARGS__
#if defined(__clang__)
#define SIGMAX_REGION(level) _Pragma(SIGMAX_STRING(clang attribute push(__attribute__((target(level))), apply_to = function)))
#define SIGMAX_END_REGION _Pragma("clang attribute pop")
#else
#define SIGMAX_REGION(level) _Pragma("GCC push_options") _Pragma(SIGMAX_STRING(GCC target(level)))
#define SIGMAX_END_REGION _Pragma("GCC pop_options")
#endif
