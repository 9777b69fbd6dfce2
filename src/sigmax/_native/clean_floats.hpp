// Floating-point arithmetic as the kernels are proved in, whatever the program has set: subnormal numbers are numbers (PyTorch's
// set_flush_denormal makes them 0, on the thread that calls), and results are rounded to nearest. The caller's settings come back
// afterwards, with the exceptions that were raised meanwhile.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sigmax {

class CleanFloats {
public:
    CleanFloats() : saved_(read()) {
        if ((saved_ & controls) != usual) write((saved_ & ~controls) | usual);
    }
    ~CleanFloats() {
        if ((saved_ & controls) != usual) write((read() & ~controls) | (saved_ & controls));
    }
    CleanFloats(const CleanFloats&) = delete;
    CleanFloats& operator=(const CleanFloats&) = delete;

private:
#if defined(__x86_64__)
    // Flush to zero, the direction of rounding, the masks of exceptions (all set: none traps), denormals are zero.
    static constexpr std::uint64_t controls = 0xffc0, usual = 0x1f80;
    static std::uint64_t read() { return _mm_getcsr(); }
    static void write(std::uint64_t state) { _mm_setcsr(static_cast<unsigned>(state)); }
#elif defined(__aarch64__)
    // FPCR: alternative halves, default NaNs, flush to zero, the direction of rounding, flush of halves, traps. Exceptions lie elsewhere.
    static constexpr std::uint64_t controls = 0x07c89f00, usual = 0;
    static std::uint64_t read() {
        std::uint64_t state;
        asm volatile("mrs %0, fpcr" : "=r"(state));
        return state;
    }
    static void write(std::uint64_t state) { asm volatile("msr fpcr, %0" : : "r"(state)); }
#else
    static constexpr std::uint64_t controls = 0, usual = 0;
    static std::uint64_t read() { return 0; }
    static void write(std::uint64_t) {}
#endif
    std::uint64_t saved_;
};

}  // namespace sigmax
