// Whether what is given as labels are probabilities. Included once per level, hence no include guard.

// Rows without gaps: every number in [0, 1], and sums of 1 up to 0.0099, a little less than the contract allows. Of rows that this turns down
// the contract's own check, which is of doubles, has the last word.
template <class T>
SIGMAX_SHARED bool are_probabilities_of(const T* q, std::ptrdiff_t rows, std::ptrdiff_t classes) {
    using P = Pack<T>;
    constexpr int n = natural<T>, together = 4;
    constexpr std::ptrdiff_t block = 64 * together * n;  // whose sum is right to 2^-16 also in floats
    for (const T* const end = q + rows * classes; q < end; q += classes) {
        P least = 0, most = 0;  // a NaN is in the sum
        Pack<double, n> sum = 0;
        for (std::ptrdiff_t begin = 0; begin < classes; begin += block) {
            const std::ptrdiff_t stop = std::min(begin + block, classes);
            P sums[together] = {0, 0, 0, 0};
            std::ptrdiff_t k = begin;
            auto add = [&](int s, P x) SIGMAX_LAMBDA {
                sums[s] = sums[s] + x;
                least = min(least, x);
                most = max(most, x);
            };
            for (; k + together * n <= stop; k += together * n)
                for (int s = 0; s < together; ++s) add(s, P::load(q + k + s * n));
            for (; k + n <= stop; k += n) add(0, P::load(q + k));
            if (k < stop) {
                T rest[n] = {};
                std::memcpy(rest, q + k, static_cast<std::size_t>(stop - k) * sizeof(T));
                add(1, P::load(rest));
            }
            sum = sum + convert<double>((sums[0] + sums[1]) + (sums[2] + sums[3]));
        }
        tree<n / 2, double, n>([&](auto moved) SIGMAX_LAMBDA { sum = sum + moved(sum); });
        if (any((least < T(0)) | (most > T(1))) || !(std::fabs(first_lane(sum) - 1) <= 0.0099)) return false;
    }
    return true;
}
bool are_probabilities(const char* q, std::ptrdiff_t rows, std::ptrdiff_t classes, Dtype dtype) {
    return dtype == Dtype::float64 ? are_probabilities_of(reinterpret_cast<const double*>(q), rows, classes)
                                   : are_probabilities_of(reinterpret_cast<const float*>(q), rows, classes);
}
