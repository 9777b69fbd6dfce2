// What the core offers to its callers: one table of kernels per CPU level, and the choice among them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace sigmax {

enum class Status : unsigned { ok = 0, invalid = 1, divide_by_zero = 2, no_memory = 4 };

enum class Dtype : unsigned char { float16, bfloat16, float32, float64 };
// Sixteen bits in memory; all arithmetic on them is done in float or double.
struct float16 {
    std::uint16_t bits;
};
struct bfloat16 {
    std::uint16_t bits;
};
template <class T>
inline constexpr Dtype dtype_of = Dtype::float64;
template <>
inline constexpr Dtype dtype_of<float> = Dtype::float32;
template <>
inline constexpr Dtype dtype_of<bfloat16> = Dtype::bfloat16;
template <>
inline constexpr Dtype dtype_of<float16> = Dtype::float16;

// Numbers in memory, with byte strides from row to row and from one number of a row to the next. No data: not given.
template <class Byte>
struct Operand {
    Byte* data;
    std::ptrdiff_t row, step;
    Dtype dtype;
};
using Input = Operand<const char>;
using Output = Operand<char>;

// One or two inputs and results, `count` of each.
struct LinkBatch {
    Input x[2];
    Output y[2];
    std::ptrdiff_t count;
};

// Rows of class scores x. A function takes those of the others that its RowFunction lists.
struct RowBatch {
    std::ptrdiff_t rows, classes;
    Input x;
    Input mask;         // bytes, 0 for an impossible class; without it every class counts
    Input weights;      // one for each score: the weights of a sum, or the probabilities of the labels
    Input label;        // int64, one a row
    Input temperature;  // double, one a row; 1 if not given
    Input smoothing;    // double, one a row
    Output y;           // one for each score
    Output results[2];  // one a row
};

// The rows [begin, end) of a batch.
inline RowBatch rows_of(RowBatch batch, std::ptrdiff_t begin, std::ptrdiff_t end) {
    batch.rows = end - begin;
    for (Input* in : {&batch.x, &batch.mask, &batch.weights, &batch.label, &batch.temperature, &batch.smoothing})
        if (in->data) in->data += begin * in->row;
    for (Output* out : {&batch.y, &batch.results[0], &batch.results[1]})
        if (out->data) out->data += begin * out->row;
    return batch;
}

template <class F>
struct Table {
    const F* functions;
    int count;
    const F* begin() const { return functions; }
    const F* end() const { return functions + count; }
};

// Both return a union of Status bits.
using LinkLoop = unsigned (*)(const LinkBatch&);
using RowLoop = unsigned (*)(const RowBatch&);

struct Link {
    const char* name;
    int inputs, outputs;
    LinkLoop loop;  // any dtypes
};
struct RowFunction {
    const char* name;
    bool weighted, labelled, tempered, smoothed;  // what it takes beside the scores and a mask
    int results;                                  // how many it gives a row
    bool per_class;                               // whether it gives one for each class
    RowLoop on_float, on_double;                  // where neither, or one of scores and results is float64
};

// Rows of features, scaled as (x - shift) * scale with a 1 behind them, in doubles, and what is asked of them; null for what is not.
struct FeatureBatch {
    std::ptrdiff_t rows, features, classes;  // one class: the second of two
    Input x;                                 // float32 or float64
    const double *shift, *scale;             // of each feature
    const double* theta;                     // coefficients, [features + 1][classes]
    const double* offset;                    // what is added to their scores, [rows][classes]
    const double* targets;                   // probabilities, [rows][classes]; or
    const std::int64_t* label;               // class numbers
    const double* slopes;                    // [rows][classes]
    const double *p, *weights;               // probabilities, [rows][classes], and what each row counts for
    double* z;                               // scores, or the probabilities of them, [rows][classes]
    double* pulled;                          // sums of the features with slopes, [features + 1][classes]
    double* hessian;                         // second derivatives of the sum of losses, a square of (features + 1) classes
    double* found;                           // weighted sums of losses, entropy, the offset times p; the least lead of a label
    bool diagonal;                           // whether of the second derivatives only the diagonal is there
    LinkLoop sigmoid, softplus;
    RowLoop softmax, logsumexp;
};

// Throw std::bad_alloc.
struct FeatureLoops {
    void (*scores)(const FeatureBatch&);   // of theta
    void (*sums)(const FeatureBatch&);     // of slopes; of p and weights, or of weights alone
    void (*moments)(const FeatureBatch&);  // of weights: sums of the features and of their squares
    void (*losses)(const FeatureBatch&);   // of theta, with all their derivatives
    void (*bent)(const FeatureBatch&);     // the second derivatives for p, times theta
};

struct Level {
    const char* name;
    bool (*supported)();
    const Table<Link>* links;
    const Table<RowFunction>* rows[2];
    const FeatureLoops* features;
    // Whether rows without gaps, of floats or doubles, hold probabilities that sum to 1 or nearly so; where not, who must know asks in full.
    bool (*are_probabilities)(const char* labels, std::ptrdiff_t rows, std::ptrdiff_t classes, Dtype);
};

// Lowest first; the first one runs everywhere.
extern const Level* const levels[];
extern const int level_count;

// Null if a level has none of that name.
const Link* find_link(const Level& level, const char* name);
const RowFunction* find_row_function(const Level& level, const char* name);

}  // namespace sigmax
