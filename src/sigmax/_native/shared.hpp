// What all ways into the core share: its level, the flags of floats, number types, rows shared out among threads.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#include <atomic>
#include <cfenv>
#include <cstring>

#include "api.hpp"
#include "threads.hpp"

namespace {

using sigmax::Level;
using sigmax::Status;

const Level* level = nullptr;

// The kernels raise floating-point flags that mean nothing to the caller. This puts the flags back as they were, and adds
// those that the result deserves, so that np.errstate hears of them.
class FloatStatus {
public:
#if defined(__x86_64__)  // the kernels leave the x87 flags alone, and those are slow to reach
    FloatStatus() : before_(_mm_getcsr()) {}
    ~FloatStatus() {
        _mm_setcsr(before_);
        raise();
    }
#else
    FloatStatus() { std::fegetexceptflag(&before_, FE_ALL_EXCEPT); }
    ~FloatStatus() {
        std::fesetexceptflag(&before_, FE_ALL_EXCEPT);
        raise();
    }
#endif
    void add(unsigned status) { status_ |= status; }

private:
    void raise() const {
        if (status_ & unsigned(Status::invalid)) std::feraiseexcept(FE_INVALID);
        if (status_ & unsigned(Status::divide_by_zero)) std::feraiseexcept(FE_DIVBYZERO);
    }
#if defined(__x86_64__)
    unsigned before_;
#else
    std::fexcept_t before_;
#endif
    unsigned status_ = 0;
};

// Lets the interpreter run on beside work on that many scores. To let it go and to take it again costs a tenth of a microsecond, as long as
// 300 scores take.
class Released {
public:
    explicit Released(std::ptrdiff_t scores) : state_(scores > 4096 ? PyEval_SaveThread() : nullptr) {}
    ~Released() {
        if (state_) PyEval_RestoreThread(state_);
    }
    Released(const Released&) = delete;
    Released& operator=(const Released&) = delete;

private:
    PyThreadState* state_;
};

void report(unsigned status) {
    if (!(status & unsigned(Status::no_memory))) return;
    PyGILState_STATE state = PyGILState_Ensure();
    PyErr_NoMemory();
    PyGILState_Release(state);
}

// The types of the core by their NumPy numbers. NumPy has no bfloat16: in a ufunc it has the number that ml_dtypes has
// registered, in a gufunc its bits travel as uint16.
struct NumberType {
    const char* name;
    sigmax::Dtype dtype;
    int number;
    npy_intp size;
};
const NumberType number_types[] = {{"float16", sigmax::Dtype::float16, NPY_HALF, 2},
                                   {"float32", sigmax::Dtype::float32, NPY_FLOAT, 4},
                                   {"float64", sigmax::Dtype::float64, NPY_DOUBLE, 8},
                                   {"bfloat16", sigmax::Dtype::bfloat16, NPY_UINT16, 2}};
constexpr int builtin_types = 3;

const NumberType* number_type(const char* name) {
    for (const NumberType& type : number_types)
        if (std::strcmp(type.name, name) == 0) return &type;
    PyErr_Format(PyExc_LookupError, "the core has no number type %s", name);
    return nullptr;
}

sigmax::RowLoop loop_of(const sigmax::RowFunction& f, const sigmax::RowBatch& batch) {
    const sigmax::Dtype y = f.per_class ? batch.y.dtype : batch.results[0].dtype;
    return batch.x.dtype == sigmax::Dtype::float64 || y == sigmax::Dtype::float64 ? f.on_double : f.on_float;
}

// What a score costs, in those of a softmax of floats: functions that work in doubles whatever their scores are take five to eight times as
// long (v4 and v3), the cross-entropy of floats twice, the pullbacks three times.
std::ptrdiff_t cost_of(const sigmax::RowFunction& f) { return f.on_float == f.on_double ? 8 : f.labelled ? 2 : f.weighted ? 3 : 1; }

// The rows of a batch in parts, on all threads if there are enough of them; the status of all.
template <class Run>
unsigned in_parts_of_rows(const sigmax::RowFunction& f, const sigmax::RowBatch& batch, Run run) {
    std::atomic<unsigned> status{0};
    const std::ptrdiff_t classes = batch.classes > 0 ? batch.classes : 1;
    const std::ptrdiff_t grain = classes > 4096 ? 1 : classes > 256 ? 8192 / classes : 64;  // rows: whole tiles, where there are some
    sigmax::threads::share(batch.rows, grain, batch.rows * classes * cost_of(f),
                           [&](std::ptrdiff_t begin, std::ptrdiff_t end) { status |= run(rows_of(batch, begin, end)); });
    return status;
}

unsigned run_rows(const sigmax::RowFunction& f, const sigmax::RowBatch& batch) { return in_parts_of_rows(f, batch, loop_of(f, batch)); }

}  // namespace
