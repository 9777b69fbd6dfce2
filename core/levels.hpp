// What the core offers to its callers: one table of kernels per CPU level, and the choice among them.
#pragma once

#include <cstddef>

namespace sigmax {

enum class Status : unsigned { ok = 0, invalid = 1, divide_by_zero = 2, no_memory = 4 };

// A batch of rows of class scores, with byte strides. Without a mask every class counts; without a temperature it is 1.
struct RowBatch {
    const char* x;
    std::ptrdiff_t x_row, x_class;
    const char* mask;
    std::ptrdiff_t mask_row, mask_class;
    const char* temperature;
    std::ptrdiff_t temperature_row;
    char* y;
    std::ptrdiff_t y_row, y_class;
    std::ptrdiff_t rows, classes;
};

// Both return a union of Status bits.
using LinkLoop = unsigned (*)(const char* x, std::ptrdiff_t x_stride, char* y, std::ptrdiff_t y_stride, std::ptrdiff_t n);
using RowLoop = unsigned (*)(const RowBatch&);

struct Link {
    const char* name;
    LinkLoop on_float, on_double;
};
struct RowFunction {
    const char* name;
    bool reduces;   // one result a row instead of one a class
    bool tempered;  // takes a temperature
    RowLoop on_float, on_double;
};

struct Level {
    const char* name;
    bool (*supported)();
    const Link* links;
    int link_count;
    const RowFunction* row_functions;
    int row_function_count;
};

// Lowest first; the first one runs everywhere.
extern const Level levels[];
extern const int level_count;

}  // namespace sigmax
