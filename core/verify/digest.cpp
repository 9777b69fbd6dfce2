// The bits of every function, in one line for each function, pair of dtypes and kind of input.
//
//     digest [LEVEL [STRIDE]]   by the kernels of one CPU level; the highest one that this CPU runs if none is named.
//                               Every STRIDE-th line alone, where a CPU is emulated
//
// What it prints is the same at every level, by every compiler and on every CPU (digest.txt, which tests compare): inputs are made
// in integers, NaNs count as one. Kinds of rows: `usual` finite scores; `options` these with masks, temperatures, labels and smoothing;
// `cancelling` rows whose logsumexp is nearly 0; `layouts` the same rows lying differently, which changes no bit of a result;
// `special` NaN and infinite scores, and rows without a possible class; `limits` temperatures of 0, inf and near both; `edges`
// scores near the largest number.
#include "api.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace {

using namespace sigmax;

constexpr double infinity = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();

class Random {  // splitmix64
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t word() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    double uniform() { return static_cast<double>(word() >> 11) * 0x1p-53; }
    double spread() { return uniform() + uniform() + uniform() - uniform() - uniform() - uniform(); }  // -3 to 3, most in -1 to 1
    bool one_in(int n) { return word() % n == 0; }

private:
    std::uint64_t state_;
};

class Digest {
public:
    void add(std::uint64_t word) {
        state_ = (state_ ^ word) * 0x9fb21c651e98df25;
        state_ ^= state_ >> 29;
    }
    std::uint64_t value() const { return state_; }

private:
    std::uint64_t state_ = 0xcbf29ce484222325;
};

const char* name_of(Dtype dtype) {
    const char* const names[] = {"float16", "bfloat16", "float32", "float64"};
    return names[static_cast<int>(dtype)];
}
int size_of(Dtype dtype) { return dtype == Dtype::float64 ? 8 : dtype == Dtype::float32 ? 4 : 2; }
double largest_of(Dtype dtype) {
    const double largest[] = {65504, 0x1.fep127, 0x1.fffffep127, 0x1.fffffffffffffp1023};
    return largest[static_cast<int>(dtype)];
}

// The bits of x in `dtype`, the digits that do not fit cut off.
std::uint64_t bits_of(double x, Dtype dtype) {
    std::uint64_t word;
    std::memcpy(&word, &x, sizeof word);
    if (dtype == Dtype::float64) return word;
    const std::uint64_t sign = word >> 63, magnitude = word & ~(std::uint64_t(1) << 63);
    const int bias = dtype == Dtype::float16 ? 15 : 127, digits = dtype == Dtype::float16 ? 10 : dtype == Dtype::float32 ? 23 : 7;
    const int width = 8 * size_of(dtype);
    std::uint64_t narrow;
    const std::int64_t exponent = static_cast<std::int64_t>(magnitude >> 52) - 1023 + bias;
    const std::uint64_t all = (std::uint64_t(1) << (width - 1 - digits)) - 1;
    if (x != x)
        narrow = all << digits | std::uint64_t(1) << (digits - 1);
    else if (exponent >= static_cast<std::int64_t>(all))
        narrow = all << digits;
    else if (exponent <= 0)
        narrow = 0;
    else
        narrow = static_cast<std::uint64_t>(exponent) << digits | (magnitude & ((std::uint64_t(1) << 52) - 1)) >> (52 - digits);
    return sign << (width - 1) | narrow;
}

// Numbers of one dtype in memory, `step` numbers apart.
class Numbers {
public:
    Numbers(Dtype dtype, std::ptrdiff_t count) : dtype_(dtype), bytes_(count * size_of(dtype)) {}
    void set_bits(std::ptrdiff_t i, std::uint64_t bits) {
        const std::uint32_t four = static_cast<std::uint32_t>(bits);
        const std::uint16_t two = static_cast<std::uint16_t>(bits);
        char* const p = bytes_.data() + i * size_of(dtype_);
        std::memcpy(p,
                    size_of(dtype_) == 8   ? static_cast<const void*>(&bits)
                    : size_of(dtype_) == 4 ? static_cast<const void*>(&four)
                                           : &two,
                    size_of(dtype_));
    }
    void set(std::ptrdiff_t i, double x) { set_bits(i, bits_of(x, dtype_)); }
    // The bits of a number; a NaN has those of none.
    std::uint64_t bits(std::ptrdiff_t i) const {
        std::uint64_t word = 0;
        std::uint32_t four;
        std::uint16_t two;
        const char* const p = bytes_.data() + i * size_of(dtype_);
        if (size_of(dtype_) == 8) std::memcpy(&word, p, sizeof word);
        if (size_of(dtype_) == 4) std::memcpy(&four, p, sizeof four), word = four;
        if (size_of(dtype_) == 2) std::memcpy(&two, p, sizeof two), word = two;
        const std::uint64_t sign = std::uint64_t(1) << (8 * size_of(dtype_) - 1), endless = bits_of(infinity, dtype_);
        return (word & ~sign) > endless ? bits_of(none, dtype_) : word;
    }
    char* data() { return bytes_.data(); }
    Dtype dtype() const { return dtype_; }

private:
    Dtype dtype_;
    std::vector<char> bytes_;
};

std::uint64_t everything = 0;
int stride = 1, lines = 0;
bool next_line_is_due() { return lines++ % stride == 0; }

void print(const char* name, Dtype x, Dtype y, const char* kind, const Digest& digest) {
    std::printf("%-30s %-8s %-8s %-10s %016llx\n", name, name_of(x), name_of(y), kind, static_cast<unsigned long long>(digest.value()));
    Digest next;
    next.add(everything);
    next.add(digest.value());
    everything = next.value();
}

// ---- elementwise ----

std::vector<double> link_inputs() {
    Random random(1);
    std::vector<double> x = {infinity, -infinity, none, 0.0, -0.0, 1.0, -1.0, 0.5, 0x1p-1022, 0x1p-1074, 0x1p-126, 0x1p-149};
    for (const double y : {largest_of(Dtype::float64), largest_of(Dtype::float32), 87.0, 88.8, 103.9, 700.0, 709.8, 745.2}) {
        x.push_back(y);
        x.push_back(-y);
    }
    for (int i = 0; i < 3000; ++i) {
        x.push_back(10 * random.spread());
        x.push_back(random.uniform());
        x.push_back(-random.uniform());
        x.push_back(250 * random.spread());
        x.push_back(0.5 + 1e-9 * random.spread());
        x.push_back(1 - 1e-3 * random.uniform());
        x.push_back(-0x1.62e42fefa39efp-1 + 1e-9 * random.spread());
    }
    return x;
}

void digest_link(const Link& f, Dtype in, Dtype out) {
    static const std::vector<double> usual = link_inputs();
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(usual.size()), patterns = size_of(in) == 2 ? 65536 : 20000;
    const std::ptrdiff_t count = size + patterns;
    for (const std::ptrdiff_t step : {1, 3}) {
        if (!next_line_is_due()) continue;
        Random random(2);
        Numbers x(in, count * step), labels(Dtype::float64, count * step);
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            if (i < size)
                x.set(i * step, usual[i]);
            else
                x.set_bits(i * step, size_of(in) == 2 ? i - size : random.word());
            labels.set(i * step, random.one_in(4) ? double(random.one_in(2)) : random.uniform());
        }
        Numbers y[2] = {{out, count * step}, {out, count * step}};
        Digest digest;
        std::ptrdiff_t begin = 0, length = 1;  // runs of many lengths
        while (begin < count) {
            const std::ptrdiff_t n = count - begin < length ? count - begin : length;
            LinkBatch batch{};
            batch.count = n;
            const std::ptrdiff_t in_step = step * size_of(in), out_step = step * size_of(out);
            batch.x[0] = {x.data() + begin * in_step, 0, in_step, in};
            batch.x[1] = {labels.data() + begin * step * 8, 0, step * 8, Dtype::float64};
            for (int j = 0; j < f.outputs; ++j) batch.y[j] = {y[j].data() + begin * out_step, 0, out_step, out};
            digest.add(f.loop(batch));
            for (std::ptrdiff_t i = begin; i < begin + n; ++i)
                for (int j = 0; j < f.outputs; ++j) digest.add(y[j].bits(i * step));
            begin += n;
            length = length < 70 ? length + 1 : 4096;
        }
        print(f.name, in, out, step == 1 ? "usual" : "layouts", digest);
    }
}

// ---- over rows ----

enum Kind { usual, options, cancelling, layouts, special, limits, edges };
const char* const kind_names[] = {"usual", "options", "cancelling", "layouts", "special", "limits", "edges"};
enum Layout { along, upright, strided, overlaid };  // `overlaid`: the results take the place of the scores

struct Problem {
    std::ptrdiff_t rows, classes;
    std::vector<double> x, w, temperature, smoothing;
    std::vector<char> mask;
    std::vector<std::int64_t> label;
};

double temperature_of(Kind kind, Random& random) {
    if (kind != limits) return 0.01 + 20 * random.uniform() * random.uniform();
    const double extreme[] = {0, infinity, 0x1p-1074, 1e-300, 0x1p-61, 1e-10, 1e10, 0x1p61, 1e300, 0x1p901, 1};
    return extreme[random.word() % 11];
}

Problem problem(Kind kind, std::ptrdiff_t rows, std::ptrdiff_t classes, Dtype dtype, double scale, const Level& level, Random& random) {
    Problem p{rows, classes, {}, {}, {}, {}, {}, {}};
    const std::ptrdiff_t count = rows * classes;
    const bool masked = (kind == options || kind == special || kind == limits) && random.one_in(2);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        double x = scale * random.spread();
        if (kind == edges) x = largest_of(dtype) * (random.one_in(3) ? 1 : random.uniform()) * (random.one_in(2) ? 1 : -1);
        if (kind == special && random.one_in(40)) x = random.one_in(3) ? none : random.one_in(2) ? infinity : -infinity;
        if (kind == special && (i / classes) % 7 == 3) x = -infinity;
        if (kind == usual && random.one_in(50)) x = -infinity;
        p.x.push_back(x);
        p.w.push_back(random.one_in(10) ? 0 : random.spread());
        p.mask.push_back(!masked || !random.one_in(5));
    }
    if (!masked) p.mask.clear();
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
        p.temperature.push_back(kind == options || kind == limits || kind == edges ? temperature_of(kind, random) : 1);
        p.smoothing.push_back(kind == options && random.one_in(2) ? random.uniform() : 0);
        p.label.push_back(random.word() % classes);
    }
    if (kind != cancelling) return p;
    // log-probabilities in float64, which cancel to the last bit
    RowBatch batch{};
    batch.rows = rows;
    batch.classes = classes;
    batch.x = {reinterpret_cast<const char*>(p.x.data()), 8 * classes, 8, Dtype::float64};
    std::vector<double> y(count);
    batch.y = {reinterpret_cast<char*>(y.data()), 8 * classes, 8, Dtype::float64};
    find_row_function(level, "log_softmax")->on_double(batch);
    p.x = y;
    return p;
}

void digest_rows(const RowFunction& f, const Problem& p, Dtype in, Dtype out, Layout layout, Digest& digest) {
    const std::ptrdiff_t spaced = layout == strided ? 2 : 1;
    const std::ptrdiff_t row = layout == upright ? 1 : p.classes * spaced + (layout == strided), step = layout == upright ? p.rows : spaced;
    const std::ptrdiff_t room = p.rows * (p.classes * 2 + 1);
    Numbers x(in, room), w(in, room), y(out, room);
    Numbers results[2] = {{out, p.rows}, {out, p.rows}};
    std::vector<char> mask(p.mask.empty() ? 0 : room);
    for (std::ptrdiff_t i = 0; i < p.rows; ++i)
        for (std::ptrdiff_t k = 0; k < p.classes; ++k) {
            x.set(i * row + k * step, p.x[i * p.classes + k]);
            w.set(i * row + k * step, p.w[i * p.classes + k]);
            if (!mask.empty()) mask[i * row + k * step] = p.mask[i * p.classes + k];
        }
    RowBatch batch{};
    batch.rows = p.rows;
    batch.classes = p.classes;
    const std::ptrdiff_t wide = size_of(in), narrow = size_of(out);
    batch.x = {x.data(), row * wide, step * wide, in};
    if (f.weighted) batch.weights = {w.data(), row * wide, step * wide, in};
    if (!mask.empty()) batch.mask = {mask.data(), row, step, Dtype::float64};
    if (f.labelled) batch.label = {reinterpret_cast<const char*>(p.label.data()), 8, 0, Dtype::float64};
    bool unit = true;
    for (const double t : p.temperature) unit = unit && t == 1;
    if (f.tempered && !unit) batch.temperature = {reinterpret_cast<const char*>(p.temperature.data()), 8, 0, Dtype::float64};
    if (f.smoothed) batch.smoothing = {reinterpret_cast<const char*>(p.smoothing.data()), 8, 0, Dtype::float64};
    Numbers& to = layout == overlaid ? x : y;
    if (f.per_class) batch.y = {to.data(), row * narrow, step * narrow, out};
    for (int j = 0; j < f.results; ++j) batch.results[j] = {results[j].data(), narrow, 0, out};
    digest.add((in == Dtype::float64 || out == Dtype::float64 ? f.on_double : f.on_float)(batch));
    for (std::ptrdiff_t i = 0; i < p.rows; ++i) {
        for (int j = 0; j < f.results; ++j) digest.add(results[j].bits(i));
        if (f.per_class)
            for (std::ptrdiff_t k = 0; k < p.classes; ++k) digest.add(to.bits(i * row + k * step));
    }
}

void digest_row_function(const Level& level, const RowFunction& f, Dtype in, Dtype out) {
    const std::ptrdiff_t lengths[] = {1,  2,  3,  4,  5,  6,  7,   8,   9,   10,  12,  13,   15,  16,
                                      17, 24, 31, 40, 41, 67, 100, 192, 193, 256, 333, 1027, 4100};
    for (const Kind kind : {usual, options, cancelling, layouts, special, limits, edges}) {
        if (!next_line_is_due()) continue;
        Digest digest;
        Random random(100 + kind);
        for (const std::ptrdiff_t classes : lengths) {
            if (kind != usual && kind != layouts && classes > 333) continue;
            const std::ptrdiff_t rows = classes < 13 ? 75 : classes <= 192 ? 37 : classes < 1000 ? 5 : 2;
            const double scales[] = {0.1, 3, 40, 5000};
            const Problem p = problem(kind, rows, classes, in, scales[random.word() % 4], level, random);
            digest_rows(f, p, in, out, along, digest);
            if (kind != layouts) continue;
            digest_rows(f, p, in, out, upright, digest);
            digest_rows(f, p, in, out, strided, digest);
            if (in == out) digest_rows(f, p, in, out, overlaid, digest);
        }
        print(f.name, in, out, kind_names[kind], digest);
    }
}

}  // namespace

int main(int count, char** arguments) {
    const Level* level = nullptr;
    for (int i = 0; i < level_count && levels[i]->supported(); ++i)
        if (count < 2 || levels[i]->name == std::string(arguments[1])) level = levels[i];
    if (!level) return std::fprintf(stderr, "this CPU has no level %s\n", arguments[1]), 1;
    if (count > 2) stride = std::atoi(arguments[2]);
    if (stride < 1) return std::fprintf(stderr, "a stride of %s\n", arguments[2]), 1;
    const Dtype all[] = {Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::float64};
    for (const Link& f : *level->links)
        for (const Dtype out : all) {
            digest_link(f, out, out);
            if (out != Dtype::float64) digest_link(f, Dtype::float64, out);
        }
    for (const auto* table : level->rows)
        for (const RowFunction& f : *table) {
            for (const Dtype dtype : all) digest_row_function(*level, f, dtype, dtype);
            digest_row_function(*level, f, Dtype::float16, Dtype::float32);
            digest_row_function(*level, f, Dtype::float32, Dtype::float64);
        }
    if (stride == 1) std::printf("%-30s %-8s %-8s %-10s %016llx\n", "all", "-", "-", "-", static_cast<unsigned long long>(everything));
}
