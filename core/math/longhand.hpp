// The logarithm of a sum of exponentials that is all but 1, in fixed point: for the rows where even 100 bits cancel.
//
// logsumexp of log-probabilities is such a row, and the logit of a class that is exactly as likely as all others. Few rows come
// here; in 192 binary places a term takes about 0.4 microseconds. A result that leaves too few of them asks for 448 (3 microseconds), and
// at last for 1,216 (30), which hold the last place of the smallest double and 140 more.
#pragma once

#include <cstdint>

namespace sigmax {

// A number of at least 0 and less than 2^64: its limbs, lowest first; the last one is the whole part.
template <int limbs>
struct FixedPoint {
    static constexpr int places = 64 * (limbs - 1);
    std::uint64_t limb[limbs] = {};
};

template <int limbs>
class Longhand {
public:
    // The terms are weight e^((x - shift) / temperature).
    Longhand(double shift, double temperature) : shift_(shift), temperature_(temperature) {}
    void add(double x, double weight = 1);
    // log |sum|. Not a number if the sum is not within 2^-30 of 1 or -1, or a term was beyond the places: a temperature outside
    // 2^-30 ... 2^30, an exponent above 20, a weight above 2^10.
    double log() const;
    // A result below this has fewer digits than a double; a division by the temperature costs 53 places.
    double least() const;

private:
    double shift_, temperature_;
    FixedPoint<limbs> positive_, negative_;
    bool beyond_ = false;
};

extern template class Longhand<4>;
extern template class Longhand<8>;
extern template class Longhand<20>;

}  // namespace sigmax
