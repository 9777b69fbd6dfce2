// Rows of features, for the fits: scores, sums, losses with all derivatives.
#pragma once

#include <algorithm>
#include <new>
#include <vector>

#include "shared.hpp"

namespace {

// An array of doubles, without gaps, of so many numbers; null for None.
double* doubles(PyObject* given, const char* name, npy_intp count, bool written) {
    if (given == Py_None) return nullptr;
    auto* array = reinterpret_cast<PyArrayObject*>(given);
    if (!PyArray_Check(given) || PyArray_TYPE(array) != NPY_DOUBLE || PyArray_SIZE(array) != count || !PyArray_IS_C_CONTIGUOUS(array) ||
        !(written ? PyArray_ISBEHAVED(array) : PyArray_ISBEHAVED_RO(array))) {
        PyErr_Format(PyExc_ValueError, "%s: %zd doubles in C order are needed", name, static_cast<Py_ssize_t>(count));
        return nullptr;
    }
    return static_cast<double*>(PyArray_DATA(array));
}

bool read_features(PyObject* given, PyObject* shift, PyObject* scale, Py_ssize_t classes, sigmax::FeatureBatch& batch) {
    auto* x = reinterpret_cast<PyArrayObject*>(given);
    if (!PyArray_Check(given) || PyArray_NDIM(x) != 2 || !PyArray_ISBEHAVED_RO(x) ||
        (PyArray_TYPE(x) != NPY_FLOAT && PyArray_TYPE(x) != NPY_DOUBLE)) {
        PyErr_SetString(PyExc_ValueError, "features: a matrix of float32 or float64 is needed");
        return false;
    }
    batch.rows = PyArray_DIM(x, 0);
    batch.features = PyArray_DIM(x, 1);
    batch.classes = classes;
    batch.x = {PyArray_BYTES(x), PyArray_STRIDE(x, 0), PyArray_STRIDE(x, 1),
               PyArray_TYPE(x) == NPY_FLOAT ? sigmax::Dtype::float32 : sigmax::Dtype::float64};
    batch.shift = doubles(shift, "shift", batch.features, false);
    batch.scale = doubles(scale, "scale", batch.features, false);
    return !PyErr_Occurred();
}

// Parts of the rows, shared out among threads, and their sums joined in a tree: the parts hang on the shape alone, and so do all bits.
void in_parts(void (*loop)(const sigmax::FeatureBatch&), const sigmax::FeatureBatch& whole) {
    constexpr std::ptrdiff_t most_parts = 1024, most_numbers = 1 << 25;
    const std::ptrdiff_t wide = (whole.features + 1) * whole.classes, square = !whole.hessian ? 0 : whole.diagonal ? wide : wide * wide;
    const std::ptrdiff_t part_rows = square > 10'000 ? 512 : 4096;
    std::ptrdiff_t parts = (whole.rows + part_rows - 1) / part_rows;
    parts = std::max<std::ptrdiff_t>(std::min({parts, most_parts, most_numbers / std::max<std::ptrdiff_t>(square, 1)}), 1);
    const std::ptrdiff_t size = wide + square + 4;
    std::vector<double> sums(parts > 1 ? std::size_t(parts * size) : 0);
    std::atomic<bool> failed{false};
    auto work = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            sigmax::FeatureBatch part = whole;
            const std::ptrdiff_t first = whole.rows * i / parts;
            part.rows = whole.rows * (i + 1) / parts - first;
            part.x.data += first * part.x.row;
            for (const double** of_row : {&part.offset, &part.targets, &part.slopes, &part.p})
                if (*of_row) *of_row += first * part.classes;
            if (part.weights) part.weights += first;
            if (part.label) part.label += first;
            if (part.z) part.z += first * part.classes;
            if (parts > 1) {
                double* at = sums.data() + i * size;
                if (part.pulled) part.pulled = at;
                if (part.hessian) part.hessian = at + wide;
                if (part.found) part.found = at + wide + square;
            }
            try {
                loop(part);
            } catch (const std::bad_alloc&) {
                failed = true;
            }
        }
    };
    sigmax::threads::share(parts, 1, whole.rows * whole.features * std::max<std::ptrdiff_t>(whole.classes, 4), work);
    if (failed) throw std::bad_alloc();
    if (parts == 1) return;
    auto join = [&](std::ptrdiff_t at, std::ptrdiff_t count, double* to) {
        for (std::ptrdiff_t step = 1; step < parts; step *= 2)
            for (std::ptrdiff_t i = 0; i + step < parts; i += 2 * step)
                for (std::ptrdiff_t j = 0; j < count; ++j) sums[i * size + at + j] += sums[(i + step) * size + at + j];
        std::copy(sums.data() + at, sums.data() + at + count, to);
    };
    if (whole.found) {
        double ahead = sums[wide + square + 3];
        for (std::ptrdiff_t i = 1; i < parts; ++i) ahead = std::min(ahead, sums[i * size + wide + square + 3]);
        join(wide + square, 3, whole.found);
        whole.found[3] = ahead;
    }
    if (whole.pulled) join(0, wide, whole.pulled);
    if (whole.hessian) join(wide, square, whole.hessian);
}

bool on_features(void (*loop)(const sigmax::FeatureBatch&), const sigmax::FeatureBatch& batch) {
    if (PyErr_Occurred()) return false;
    bool failed = false;
    {
        FloatStatus status;
        Py_BEGIN_ALLOW_THREADS;
        try {
            in_parts(loop, batch);
        } catch (const std::bad_alloc&) {
            failed = true;
        }
        Py_END_ALLOW_THREADS;
    }
    if (failed) PyErr_NoMemory();
    return !failed;
}

PyObject* feature_scores(PyObject*, PyObject* args) {
    PyObject *x, *shift, *scale, *theta, *z;
    Py_ssize_t classes;
    if (!PyArg_ParseTuple(args, "OOOnOO", &x, &shift, &scale, &classes, &theta, &z)) return nullptr;
    sigmax::FeatureBatch batch{};
    if (!read_features(x, shift, scale, classes, batch)) return nullptr;
    batch.theta = doubles(theta, "theta", (batch.features + 1) * classes, false);
    batch.z = doubles(z, "z", batch.rows * classes, true);
    if (!on_features(level->features->scores, batch)) return nullptr;
    Py_RETURN_NONE;
}

PyObject* feature_sums(PyObject*, PyObject* args) {
    PyObject *x, *shift, *scale, *slopes, *pulled, *p, *weights, *hessian;
    Py_ssize_t classes;
    if (!PyArg_ParseTuple(args, "OOOnOOOOO", &x, &shift, &scale, &classes, &slopes, &pulled, &p, &weights, &hessian)) return nullptr;
    sigmax::FeatureBatch batch{};
    if (!read_features(x, shift, scale, classes, batch)) return nullptr;
    const npy_intp wide = (batch.features + 1) * classes;
    batch.slopes = doubles(slopes, "slopes", batch.rows * classes, false);
    batch.pulled = doubles(pulled, "pulled", wide, true);
    batch.p = doubles(p, "p", batch.rows * classes, false);
    batch.weights = doubles(weights, "weights", batch.rows, false);
    batch.hessian = doubles(hessian, "hessian", wide * wide, true);
    if (!PyErr_Occurred() && (!batch.slopes != !batch.pulled || (batch.hessian && !batch.weights)))
        PyErr_SetString(PyExc_ValueError, "pulled needs slopes, hessian needs weights");
    if (!on_features(level->features->sums, batch)) return nullptr;
    Py_RETURN_NONE;
}

PyObject* feature_moments(PyObject*, PyObject* args) {
    PyObject *x, *shift, *scale, *weights, *first, *second;
    if (!PyArg_ParseTuple(args, "OOOOOO", &x, &shift, &scale, &weights, &first, &second)) return nullptr;
    sigmax::FeatureBatch batch{};
    if (!read_features(x, shift, scale, 1, batch)) return nullptr;
    batch.weights = doubles(weights, "weights", batch.rows, false);
    batch.pulled = doubles(first, "first", batch.features + 1, true);
    batch.hessian = doubles(second, "second", batch.features + 1, true);
    batch.diagonal = true;
    if (!PyErr_Occurred() && (!batch.weights || !batch.pulled || !batch.hessian))
        PyErr_SetString(PyExc_ValueError, "weights, first and second are needed");
    if (!on_features(level->features->moments, batch)) return nullptr;
    Py_RETURN_NONE;
}

PyObject* feature_losses(PyObject*, PyObject* args) {
    PyObject *x, *shift, *scale, *theta, *offset, *targets, *label, *weights, *p, *pulled, *hessian;
    Py_ssize_t classes;
    if (!PyArg_ParseTuple(args, "OOOnOOOOOOOO", &x, &shift, &scale, &classes, &theta, &offset, &targets, &label, &weights, &p, &pulled,
                          &hessian))
        return nullptr;
    sigmax::FeatureBatch batch{};
    if (!read_features(x, shift, scale, classes, batch)) return nullptr;
    const npy_intp wide = (batch.features + 1) * classes;
    batch.theta = doubles(theta, "theta", wide, false);
    batch.offset = doubles(offset, "offset", batch.rows * classes, false);
    batch.targets = doubles(targets, "targets", batch.rows * classes, false);
    batch.weights = doubles(weights, "weights", batch.rows, false);
    batch.z = doubles(p, "p", batch.rows * classes, true);
    batch.pulled = doubles(pulled, "pulled", wide, true);
    batch.hessian = doubles(hessian, "hessian", wide * wide, true);
    if (label != Py_None) {
        auto* of_rows = reinterpret_cast<PyArrayObject*>(label);
        if (!PyArray_Check(label) || PyArray_TYPE(of_rows) != NPY_INT64 || PyArray_SIZE(of_rows) != batch.rows ||
            !PyArray_IS_C_CONTIGUOUS(of_rows) || !PyArray_ISBEHAVED_RO(of_rows))
            return PyErr_Format(PyExc_ValueError, "label: %zd int64 are needed", static_cast<Py_ssize_t>(batch.rows));
        batch.label = static_cast<const std::int64_t*>(PyArray_DATA(of_rows));
    }
    if (!PyErr_Occurred() &&
        (!batch.theta || !batch.weights || !batch.pulled || (classes == 1 ? !batch.targets : !batch.targets == !batch.label)))
        PyErr_SetString(PyExc_ValueError, "losses need theta, weights, pulled, and targets or labels");
    batch.sigmoid = sigmax::find_link(*level, "sigmoid")->loop;
    batch.softplus = sigmax::find_link(*level, "softplus")->loop;
    batch.softmax = sigmax::find_row_function(*level, "softmax")->on_double;
    batch.logsumexp = sigmax::find_row_function(*level, "logsumexp")->on_double;
    double found[4];
    batch.found = found;
    if (!on_features(level->features->losses, batch)) return nullptr;
    return Py_BuildValue("dddd", found[0], found[1], found[2], found[3]);
}

PyObject* feature_bent(PyObject*, PyObject* args) {
    PyObject *x, *shift, *scale, *p, *weights, *theta, *pulled;
    Py_ssize_t classes;
    if (!PyArg_ParseTuple(args, "OOOnOOOO", &x, &shift, &scale, &classes, &p, &weights, &theta, &pulled)) return nullptr;
    sigmax::FeatureBatch batch{};
    if (!read_features(x, shift, scale, classes, batch)) return nullptr;
    batch.p = doubles(p, "p", batch.rows * classes, false);
    batch.weights = doubles(weights, "weights", batch.rows, false);
    batch.theta = doubles(theta, "theta", (batch.features + 1) * classes, false);
    batch.pulled = doubles(pulled, "pulled", (batch.features + 1) * classes, true);
    if (!PyErr_Occurred() && (!batch.p || !batch.weights || !batch.theta || !batch.pulled))
        PyErr_SetString(PyExc_ValueError, "p, weights, theta and pulled are needed");
    if (!on_features(level->features->bent, batch)) return nullptr;
    Py_RETURN_NONE;
}

}  // namespace
