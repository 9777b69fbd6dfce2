// The core without NumPy's machinery, for the usual call: a contiguous array, its last axis, no other argument.
#pragma once

#include <cmath>
#include <vector>

#include "ufuncs.hpp"

namespace {

const char* const direct_name = "sigmax.row_function";

// All rows of a batch without the interpreter, which runs on if there are many; the flags of the floats stay as they were.
template <class Run>
unsigned run_released(const sigmax::RowFunction& f, const sigmax::RowBatch& batch, Run run) {
    const FloatStatus kept;
    const Released released(batch.rows * batch.classes * cost_of(f));
    return in_parts_of_rows(f, batch, run);
}
unsigned run_released(const sigmax::RowFunction& f, const sigmax::RowBatch& batch) { return run_released(f, batch, loop_of(f, batch)); }

// `count` scores without gaps between them, and the results likewise.
sigmax::RowBatch without_gaps(const sigmax::RowFunction& f, const char* x, char* y, npy_intp count, npy_intp classes, npy_intp size,
                              sigmax::Dtype dtype) {
    sigmax::RowBatch batch{};
    batch.classes = classes;
    batch.rows = count / classes;
    batch.x = {x, classes * size, size, dtype};
    if (f.per_class)
        batch.y = {y, classes * size, size, dtype};
    else
        batch.results[0] = {y, size, 0, dtype};
    return batch;
}

// A function of an array along its last axis, into `out` or a new one (None): the result, or None where it takes the long way.
PyObject* rows_directly(const sigmax::RowFunction& f, PyArrayObject* x, PyObject* out) {
    const int ndim = PyArray_NDIM(x), out_ndim = f.per_class ? ndim : ndim - 1;
    if (out == Py_None) out = nullptr;
    sigmax::Dtype dtype;
    if (!as_it_lies(x, dtype) || (out && !takes_result_of(x, out_ndim, out, f.per_class))) Py_RETURN_NONE;
    PyArrayObject* const y = result_of(x, out_ndim, out);
    if (!y) return nullptr;
    if (run_released(f, without_gaps(f, PyArray_BYTES(x), PyArray_BYTES(y), PyArray_SIZE(x), PyArray_DIM(x, ndim - 1), PyArray_ITEMSIZE(x),
                                     dtype))) {
        Py_DECREF(y);
        return PyErr_NoMemory();
    }
    return out ? reinterpret_cast<PyObject*>(y) : PyArray_Return(y);
}

// (x, out or None) -> the same.
PyObject* call_directly(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    const auto* f = static_cast<const sigmax::RowFunction*>(PyCapsule_GetPointer(self, direct_name));
    if (!f || count != 2 || !PyArray_CheckExact(args[0])) Py_RETURN_NONE;
    return rows_directly(*f, reinterpret_cast<PyArrayObject*>(args[0]), args[1]);
}

const char* const direct_link_name = "sigmax.link";

// The same of an elementwise function; what np.errstate would hear of is not said.
PyObject* call_link_directly(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    const auto* f = static_cast<const sigmax::Link*>(PyCapsule_GetPointer(self, direct_link_name));
    sigmax::Dtype dtype;
    if (!f || count != 2 || args[1] != Py_None || !PyArray_CheckExact(args[0]) ||
        !as_it_lies(reinterpret_cast<PyArrayObject*>(args[0]), dtype))
        Py_RETURN_NONE;
    unsigned status = 0;
    return link_directly(*f, reinterpret_cast<PyArrayObject*>(args[0]), nullptr, dtype, status);
}
PyMethodDef direct_link_method = {"direct", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_link_directly)), METH_FASTCALL,
                                  nullptr};
PyMethodDef direct_method = {"direct", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_directly)), METH_FASTCALL, nullptr};

// A sum of doubles that loses nothing to their number (Neumaier).
class Sum {
public:
    void add(double x) {
        const double sum = sum_ + x;
        rest_ += std::fabs(sum_) >= std::fabs(x) ? (sum_ - sum) + x : (x - sum) + sum_;
        sum_ = sum;
    }
    double value() const { return std::isfinite(rest_) ? sum_ + rest_ : sum_; }

private:
    double sum_ = 0, rest_ = 0;
};

bool are_labels(const std::int64_t* label, npy_intp rows, npy_intp classes) {
    return std::all_of(label, label + rows, [&](std::int64_t one) { return one >= 0 && one < classes; });
}
// Class numbers, or probabilities of the type of the scores.
struct Labels {
    const std::int64_t* numbers;
    const char* soft;
};
// Rows of floats or doubles, all without gaps: the mean of their losses, with the gradient of each in `slopes` if that is given. Not where a
// label is no class, or no probability.
enum class Found { mean, no_label, no_memory };
Found mean_loss(const char* x, npy_intp rows, npy_intp classes, sigmax::Dtype dtype, Labels labels, double smoothing, char* slopes,
                double& mean) {
    if (labels.numbers && !are_labels(labels.numbers, rows, classes)) return Found::no_label;
    const char* const names[2][2] = {{"cross_entropy", "cross_entropy_and_grad"},
                                     {"target_cross_entropy", "target_cross_entropy_and_grad"}};
    const auto* f = sigmax::find_row_function(*level, names[labels.soft != nullptr][slopes != nullptr]);
    const npy_intp size = dtype == sigmax::Dtype::float64 ? 8 : 4;
    std::vector<char> losses(static_cast<std::size_t>(rows * size));
    sigmax::RowBatch batch{};
    batch.rows = rows;
    batch.classes = classes;
    batch.x = {x, classes * size, size, dtype};
    if (labels.numbers)
        batch.label = {reinterpret_cast<const char*>(labels.numbers), 8, 0, sigmax::Dtype::float64};
    else
        batch.weights = {labels.soft, classes * size, size, dtype};
    batch.smoothing = {reinterpret_cast<const char*>(&smoothing), 0, 0, sigmax::Dtype::float64};
    batch.results[0] = {losses.data(), size, 0, dtype};
    if (slopes) batch.y = {slopes, classes * size, size, dtype};
    std::atomic<bool> fit{true};
    const sigmax::RowLoop loop = loop_of(*f, batch);
    const bool failed = run_released(*f, batch, [&](const sigmax::RowBatch& part) {
        if (labels.soft && !level->are_probabilities(part.weights.data, part.rows, classes, dtype)) fit = false;
        return fit ? loop(part) : 0;
    });
    if (failed) return Found::no_memory;
    if (!fit) return Found::no_label;
    Sum sum;
    for (npy_intp i = 0; i < rows; ++i) {
        if (size == 4) {
            float loss;
            std::memcpy(&loss, losses.data() + i * size, sizeof loss);
            sum.add(loss);
        } else {
            double loss;
            std::memcpy(&loss, losses.data() + i * size, sizeof loss);
            sum.add(loss);
        }
    }
    mean = sum.value() / static_cast<double>(rows);
    return Found::mean;
}

// (x [rows][classes], labels [rows] or like x, smoothing, slopes like x or None) -> the mean cross-entropy, with the gradients of the losses
// in `slopes`; None where a label is no class or no probability, or an array does not lie as the core takes it.
PyObject* mean_cross_entropy(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 4 || !PyArray_CheckExact(args[0]) || !PyArray_CheckExact(args[1])) Py_RETURN_NONE;
    auto *x = reinterpret_cast<PyArrayObject*>(args[0]), *labels = reinterpret_cast<PyArrayObject*>(args[1]);
    auto* slopes = args[3] == Py_None ? nullptr : reinterpret_cast<PyArrayObject*>(args[3]);
    const double smoothing = PyFloat_AsDouble(args[2]);
    if (smoothing == -1 && PyErr_Occurred()) return nullptr;
    sigmax::Dtype dtype, of_labels, of_slopes;
    if (PyArray_NDIM(x) != 2 || !as_it_lies(x, dtype) || PyArray_ITEMSIZE(x) < 4)  // halves: each loss would be rounded before it is added
        Py_RETURN_NONE;
    const bool soft = PyArray_NDIM(labels) == 2;
    if (soft ? !as_it_lies(labels, of_labels) || of_labels != dtype || !PyArray_CompareLists(PyArray_DIMS(labels), PyArray_DIMS(x), 2)
             : PyArray_NDIM(labels) != 1 || PyArray_TYPE(labels) != NPY_INT64 || !PyArray_IS_C_CONTIGUOUS(labels) ||
                   !PyArray_ISBEHAVED_RO(labels) || PyArray_DIM(labels, 0) != PyArray_DIM(x, 0))
        Py_RETURN_NONE;
    if (slopes && (!PyArray_CheckExact(args[3]) || !as_it_lies(slopes, of_slopes) || of_slopes != dtype || !PyArray_ISWRITEABLE(slopes) ||
                   PyArray_NDIM(slopes) != 2 || !PyArray_CompareLists(PyArray_DIMS(slopes), PyArray_DIMS(x), 2)))
        Py_RETURN_NONE;
    double mean = 0;
    const Labels given = {soft ? nullptr : static_cast<const std::int64_t*>(PyArray_DATA(labels)), soft ? PyArray_BYTES(labels) : nullptr};
    const Found found = mean_loss(PyArray_BYTES(x), PyArray_DIM(x, 0), PyArray_DIM(x, 1), dtype, given, smoothing,
                                  slopes ? PyArray_BYTES(slopes) : nullptr, mean);
    if (found == Found::no_memory) return PyErr_NoMemory();
    if (found == Found::no_label) Py_RETURN_NONE;
    return PyFloat_FromDouble(mean);
}

// A function of one array by its name, over rows or elementwise; neither, with an error, where there is none.
struct OfOneArray {
    const sigmax::RowFunction* rows;
    const sigmax::Link* link;
    explicit operator bool() const { return rows || link; }
};
OfOneArray of_one_array(const char* name) {
    if (const auto* rows = sigmax::find_row_function(*level, name)) return {rows, nullptr};
    const sigmax::Link* link = sigmax::find_link(*level, name);
    if (link && link->inputs == 1 && link->outputs == 1) return {nullptr, link};
    PyErr_Format(PyExc_LookupError, "the core has no function of one array %s", name);
    return {};
}

PyObject* direct(PyObject*, PyObject* args) {
    const char* name;
    if (!PyArg_ParseTuple(args, "s", &name)) return nullptr;
    const OfOneArray found = of_one_array(name);
    if (!found) return nullptr;
    const void *f = found.rows, *link = found.link;
    PyObject* self = PyCapsule_New(const_cast<void*>(f ? f : link), f ? direct_name : direct_link_name, nullptr);
    PyObject* function = self ? PyCFunction_NewEx(f ? &direct_method : &direct_link_method, self, nullptr) : nullptr;
    Py_XDECREF(self);
    return function;
}

}  // namespace
