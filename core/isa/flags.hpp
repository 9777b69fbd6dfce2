// Whether any lane seen so far was of some kind, without masks. Included by the file of an instruction set, hence no include guard.

namespace isa {

class Flags {
public:
    SIGMAX_INLINE void no_bit_of(Longs v, std::int64_t mask) { wide_ |= (Longs)((v & mask) == 0); }
    SIGMAX_INLINE void no_bit_of(Ints v, std::int32_t mask) { seen_ |= (Ints)((v & mask) == 0); }
    SIGMAX_INLINE void not_above(Floats x, float least) {  // |x|; NaN too
        seen_ |= ~(Ints)((Floats)((Ints)x & 0x7fffffff) >= least);
    }
    SIGMAX_INLINE void below(Floats x, float least) { seen_ |= ~(Ints)(x >= least); }  // NaN too
    SIGMAX_INLINE void unlike(Floats a, Floats b) { seen_ |= (Ints)(a != b); }
    SIGMAX_INLINE bool any() const { return isa::any(wide_ | (Longs)seen_); }
    SIGMAX_INLINE unsigned lanes() const { return isa::lanes(seen_); }  // of one register of floats, a bit each

private:
    Longs wide_ = {};
    Ints seen_ = {};
};

}  // namespace isa
