// The logarithm of a sum of exponentials that is all but 1, in 192 binary places: for the rows where even 100 bits cancel.
//
// logsumexp of log-probabilities is such a row, and the logit of a class that is exactly as likely as all others. Few rows come
// here; a term takes about 0.4 microseconds.
#pragma once

#include <cstdint>

namespace sigmax {

class Longhand {
public:
    static constexpr int limbs = 4;
    // A number of at least 0 and less than 2^64: its limbs, lowest first; the last one is the whole part.
    using Number = std::uint64_t[limbs];

    // The terms are weight e^((x - shift) / temperature).
    Longhand(double shift, double temperature) : shift_(shift), temperature_(temperature) {}
    void add(double x, double weight = 1);
    // log |sum|. Not a number if the sum is not within 2^-30 of 1 or -1, or a term was beyond the places: a temperature outside
    // 2^-30 ... 2^30, an exponent above 20, a weight above 2^10.
    double log() const;

private:
    double shift_, temperature_;
    Number positive_ = {}, negative_ = {};
    bool beyond_ = false;
};

}  // namespace sigmax
