// The core as NumPy ufuncs and gufuncs. The loops are derived from the tables of core/api.hpp: nothing is listed twice.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "shared.hpp"

namespace {

// ---- elementwise ----

template <class C, int number>
struct Type {
    using c = C;
    static constexpr char code = number;
};
// Integers and bool are computed in double.
using Integers = std::tuple<Type<npy_bool, NPY_BOOL>, Type<npy_byte, NPY_BYTE>, Type<npy_ubyte, NPY_UBYTE>, Type<npy_short, NPY_SHORT>,
                            Type<npy_ushort, NPY_USHORT>, Type<npy_int, NPY_INT>, Type<npy_uint, NPY_UINT>, Type<npy_long, NPY_LONG>,
                            Type<npy_ulong, NPY_ULONG>, Type<npy_longlong, NPY_LONGLONG>, Type<npy_ulonglong, NPY_ULONGLONG>>;

struct LinkCall {
    const sigmax::Link* link;
    sigmax::Dtype x, y;  // of the scores and of the results; a second input holds doubles
};

void link_loop(char** args, const npy_intp* dimensions, const npy_intp* steps, void* data) {
    const LinkCall& call = *static_cast<const LinkCall*>(data);
    sigmax::LinkBatch batch{};
    batch.count = dimensions[0];
    for (int i = 0; i < call.link->inputs; ++i) batch.x[i] = {args[i], 0, steps[i], i == 0 ? call.x : sigmax::Dtype::float64};
    for (int i = 0; i < call.link->outputs; ++i) {
        const int j = call.link->inputs + i;
        batch.y[i] = {args[j], 0, steps[j], call.y};
    }
    FloatStatus status;
    std::atomic<unsigned> found{0};
    sigmax::threads::share(batch.count, 4096, batch.count, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        sigmax::LinkBatch part = batch;
        for (auto& x : part.x) x.data += begin * x.step;
        for (auto& y : part.y) y.data += begin * y.step;
        part.count = end - begin;
        found |= call.link->loop(part);
    });
    status.add(found);
}

// For functions of one number.
template <class T>
void integer_loop(char** args, const npy_intp* dimensions, const npy_intp* steps, void* data) {
    const LinkCall& call = *static_cast<const LinkCall*>(data);
    FloatStatus status;
    const sigmax::CleanFloats clean;
    constexpr npy_intp size = 1024;
    double buffer[size];
    for (npy_intp begin = 0; begin < dimensions[0]; begin += size) {
        npy_intp n = dimensions[0] - begin < size ? dimensions[0] - begin : size;
        for (npy_intp i = 0; i < n; ++i) {
            typename T::c value;
            std::memcpy(&value, args[0] + (begin + i) * steps[0], sizeof value);
            buffer[i] = static_cast<double>(value);
        }
        sigmax::LinkBatch batch{};
        batch.count = n;
        batch.x[0] = {reinterpret_cast<char*>(buffer), 0, sizeof(double), sigmax::Dtype::float64};
        batch.y[0] = {args[1] + begin * steps[1], 0, steps[1], call.y};
        status.add(call.link->loop(batch));
    }
}

// The loops of a ufunc as NumPy wants them; they live as long as it does, which is for ever.
class Loops {
public:
    explicit Loops(const sigmax::Link* link) : link_(link) {}
    void add(PyUFuncGenericFunction loop, char x, const NumberType& first, const NumberType& result) {
        loops_.push_back(loop);
        data_.push_back(new LinkCall{link_, first.dtype, result.dtype});
        types_.push_back(x);
        for (int i = 1; i < link_->inputs; ++i) types_.push_back(NPY_DOUBLE);
        for (int i = 0; i < link_->outputs; ++i) types_.push_back(static_cast<char>(result.number));
    }
    PyObject* make() {
        return PyUFunc_FromFuncAndData(loops_.data(), data_.data(), types_.data(), static_cast<int>(loops_.size()), link_->inputs,
                                       link_->outputs, PyUFunc_None, link_->name, "", 0);
    }

private:
    const sigmax::Link* link_;
    std::vector<PyUFuncGenericFunction> loops_;
    std::vector<void*> data_;
    std::vector<char> types_;
};

// NumPy's own complaint about a dtype without a loop names neither the dtype nor a remedy.
PyUFunc_TypeResolutionFunc* default_resolver = nullptr;
int bfloat16_number = -1;

int resolve_types(PyUFuncObject* ufunc, NPY_CASTING casting, PyArrayObject** operands, PyObject* type_tuple, PyArray_Descr** result) {
    for (int i = 0; i < ufunc->nin; ++i) {
        PyArray_Descr* descr = PyArray_DESCR(operands[i]);
        const int n = descr->type_num;
        if (PyTypeNum_ISBOOL(n) || PyTypeNum_ISINTEGER(n) || n == NPY_HALF || n == NPY_FLOAT || n == NPY_DOUBLE || n == bfloat16_number)
            continue;
        PyErr_Format(PyExc_TypeError, "%s: dtype %S is not supported; pass bool, integers, float16, bfloat16, float32 or float64",
                     ufunc->name, reinterpret_cast<PyObject*>(descr));
        return -1;
    }
    return default_resolver(ufunc, casting, operands, type_tuple, result);
}

// A ufunc is a ufunc also for arrays that are not NumPy's: they go to whoever has asked for them, by set_elsewhere, and only what is
// turned down there (by NotImplemented) goes the usual way.
vectorcallfunc usual_call = nullptr;
PyObject* elsewhere = nullptr;

bool is_plain(PyObject* x) {
    return PyArray_CheckExact(x) || PyFloat_CheckExact(x) || PyArray_IsScalar(x, Generic) || PyList_CheckExact(x) || PyLong_CheckExact(x) ||
           PyTuple_CheckExact(x) || PyBool_Check(x);
}

// The function of one tensor, or None where it takes the long way; see straight.hpp.
PyObject* straight_on_tensor(const sigmax::RowFunction* rows, const sigmax::Link* link, PyObject* x);
bool is_tensor(PyObject* x);

// Whether the core can work on an array's memory as it lies, and by which type.
bool as_it_lies(PyArrayObject* x, sigmax::Dtype& dtype) {
    const int type = PyArray_TYPE(x);
    if (type == NPY_FLOAT)
        dtype = sigmax::Dtype::float32;
    else if (type == NPY_DOUBLE)
        dtype = sigmax::Dtype::float64;
    else if (type == NPY_HALF)
        dtype = sigmax::Dtype::float16;
    else if (type == bfloat16_number)
        dtype = sigmax::Dtype::bfloat16;
    else
        return false;
    return PyArray_NDIM(x) >= 1 && PyArray_IS_C_CONTIGUOUS(x) && PyArray_ISBEHAVED_RO(x) && PyArray_SIZE(x) > 0;
}

// An elementwise function of `count` numbers of one type without the interpreter, which runs on if they are many; the status of the
// results, for the caller to report: the flags of the floats stay as they were.
unsigned link_released(const sigmax::Link& link, const char* x, char* y, npy_intp size, sigmax::Dtype dtype, npy_intp count) {
    std::atomic<unsigned> found{0};
    const FloatStatus kept;
    const Released released(count);
    sigmax::threads::share(count, 4096, count, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        sigmax::LinkBatch part{};
        part.count = end - begin;
        part.x[0] = {x + begin * size, 0, size, dtype};
        part.y[0] = {y + begin * size, 0, size, dtype};
        found |= link.loop(part);
    });
    return found;
}

// A new array for results of `x`, of its first `ndim` axes, or the user's `out`, as one's own. Null where memory is short.
PyArrayObject* result_of(PyArrayObject* x, int ndim, PyObject* out) {
    if (out) return reinterpret_cast<PyArrayObject*>(Py_NewRef(out));
    Py_INCREF(PyArray_DESCR(x));
    return reinterpret_cast<PyArrayObject*>(PyArray_Empty(ndim, PyArray_DIMS(x), PyArray_DESCR(x), 0));
}

// Whether such results can be written to the user's `out` as it lies: beside `x`, or where that is said in its very place.
bool takes_result_of(PyArrayObject* x, int ndim, PyObject* out, bool in_place) {
    if (!PyArray_CheckExact(out)) return false;
    auto* y = reinterpret_cast<PyArrayObject*>(out);
    const char *x_begin = PyArray_BYTES(x), *y_begin = PyArray_BYTES(y);
    return PyArray_TYPE(y) == PyArray_TYPE(x) && PyArray_NDIM(y) == ndim && PyArray_CompareLists(PyArray_DIMS(y), PyArray_DIMS(x), ndim) &&
           PyArray_IS_C_CONTIGUOUS(y) && PyArray_ISBEHAVED(y) &&
           (y_begin >= x_begin + PyArray_NBYTES(x) || x_begin >= y_begin + PyArray_NBYTES(y) || (in_place && y_begin == x_begin));
}

// The elementwise function of an array as it lies; the status of the results is the caller's to report. Null where memory is short.
PyObject* link_directly(const sigmax::Link& link, PyArrayObject* x, PyObject* out, sigmax::Dtype dtype, unsigned& status) {
    PyArrayObject* const y = result_of(x, PyArray_NDIM(x), out);
    if (!y) return nullptr;
    status = link_released(link, PyArray_BYTES(x), PyArray_BYTES(y), PyArray_ITEMSIZE(x), dtype, PyArray_SIZE(x));
    return reinterpret_cast<PyObject*>(y);
}

// A small array past NumPy's machinery, which takes longer than ten numbers do. Null, without an error, where there is something to
// report: NumPy does that, the second time.
constexpr npy_intp small = 2048;
PyObject* small_link(PyObject* ufunc, PyObject* x, PyObject* out) {
    const auto* call = static_cast<const LinkCall*>(reinterpret_cast<PyUFuncObject*>(ufunc)->data[0]);
    auto* array = reinterpret_cast<PyArrayObject*>(x);
    sigmax::Dtype dtype;
    if (call->link->inputs != 1 || call->link->outputs != 1 || !as_it_lies(array, dtype) || PyArray_SIZE(array) > small ||
        (out && !takes_result_of(array, PyArray_NDIM(array), out, false)))
        return nullptr;
    unsigned status = 0;
    PyObject* y = link_directly(*call->link, array, out, dtype, status);
    if (y && status) Py_CLEAR(y);
    return y;
}

PyObject* link_call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) {
    const Py_ssize_t count = PyVectorcall_NARGS(flags), inputs = reinterpret_cast<PyUFuncObject*>(self)->nin;
    static PyObject* const out = PyUnicode_InternFromString("out");
    const bool into = names && PyTuple_GET_SIZE(names) == 1 && PyTuple_GET_ITEM(names, 0) == out;
    if (count == 1 && (!names || into)) {
        if (PyArray_CheckExact(args[0])) {
            if (PyObject* y = small_link(self, args[0], into ? args[1] : nullptr)) return y;
            if (PyErr_Occurred()) return nullptr;
        } else if (!into && is_tensor(args[0])) {
            const auto* call = static_cast<const LinkCall*>(reinterpret_cast<PyUFuncObject*>(self)->data[0]);
            PyObject* y = straight_on_tensor(nullptr, call->link, args[0]);
            if (y != Py_None) return y;
            Py_DECREF(y);
        }
    }
    bool plain = true;
    for (Py_ssize_t i = 0; i < count && i < inputs; ++i) plain = plain && is_plain(args[i]);
    if (plain || !elsewhere) return usual_call(self, args, flags, names);
    PyObject *positional = PyTuple_New(count), *options = PyDict_New(), *result = nullptr;
    bool ready = positional && options;
    for (Py_ssize_t i = 0; ready && i < count; ++i) PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; ready && names && i < PyTuple_GET_SIZE(names); ++i)
        ready = PyDict_SetItem(options, PyTuple_GET_ITEM(names, i), args[count + i]) == 0;
    if (ready) result = PyObject_CallFunctionObjArgs(elsewhere, self, positional, options, nullptr);
    Py_XDECREF(positional);
    Py_XDECREF(options);
    if (result != Py_NotImplemented) return result;
    Py_DECREF(result);
    return usual_call(self, args, flags, names);
}

template <class... T>
PyObject* make_link(const sigmax::Link* link, PyArray_Descr* bfloat16, std::tuple<T...>) {
    Loops& loops = *new Loops(link);
    const NumberType& float64 = number_types[builtin_types - 1];
    if (link->inputs == 1) (loops.add(integer_loop<T>, T::code, float64, float64), ...);
    for (int i = 0; i < builtin_types; ++i)
        loops.add(link_loop, static_cast<char>(number_types[i].number), number_types[i], number_types[i]);
    PyObject* ufunc = loops.make();
    if (!ufunc) return nullptr;
    default_resolver = reinterpret_cast<PyUFuncObject*>(ufunc)->type_resolver;
    reinterpret_cast<PyUFuncObject*>(ufunc)->type_resolver = resolve_types;
    usual_call = reinterpret_cast<PyUFuncObject*>(ufunc)->vectorcall;
    reinterpret_cast<PyUFuncObject*>(ufunc)->vectorcall = link_call;
    bfloat16_number = bfloat16->type_num;
    // One more for bfloat16, registered before any call: NumPy remembers how it resolved a type.
    PyArray_Descr* types[4];
    PyArray_Descr* second = PyArray_DescrFromType(NPY_DOUBLE);
    for (int i = 0; i < link->inputs + link->outputs; ++i) types[i] = i == 1 && link->inputs == 2 ? second : bfloat16;
    void* call = new LinkCall{link, sigmax::Dtype::bfloat16, sigmax::Dtype::bfloat16};
    const int failed = PyUFunc_RegisterLoopForDescr(reinterpret_cast<PyUFuncObject*>(ufunc), bfloat16, link_loop, types, call);
    Py_DECREF(second);
    if (failed < 0) Py_CLEAR(ufunc);
    return ufunc;
}

// ---- over an axis ----

struct RowCall {
    const sigmax::RowFunction* function;
    bool masked;
    sigmax::Dtype x, weights, y;
};

// The operands are x, then those of mask, weights, label, temperature and smoothing that the function takes, then its results.
// The byte strides of the rows come first, then those of the classes.
template <class Visit>
void for_each_operand(const sigmax::RowFunction& f, bool masked, Visit visit) {
    visit(&sigmax::RowBatch::x, true);
    if (masked) visit(&sigmax::RowBatch::mask, true);
    if (f.weighted) visit(&sigmax::RowBatch::weights, true);
    if (f.labelled) visit(&sigmax::RowBatch::label, false);
    if (f.tempered) visit(&sigmax::RowBatch::temperature, false);
    if (f.smoothed) visit(&sigmax::RowBatch::smoothing, false);
}

void row_loop(char** args, const npy_intp* dimensions, const npy_intp* steps, void* data) {
    const RowCall& call = *static_cast<const RowCall*>(data);
    const sigmax::RowFunction& f = *call.function;
    sigmax::RowBatch batch{};
    batch.rows = dimensions[0];
    batch.classes = dimensions[1];
    const npy_intp* core = steps + 1 + call.masked + f.weighted + f.labelled + f.tempered + f.smoothed + f.results + f.per_class;
    int i = 0;
    for_each_operand(f, call.masked, [&](sigmax::Input sigmax::RowBatch::* operand, bool per_class) {
        batch.*operand = {args[i], steps[i], per_class ? *core++ : 0, sigmax::Dtype::float64};
        ++i;
    });
    batch.x.dtype = call.x;
    batch.weights.dtype = call.weights;
    for (int j = 0; j < f.results; ++j, ++i) batch.results[j] = {args[i], steps[i], 0, call.y};
    if (f.per_class) batch.y = {args[i], steps[i], *core, call.y};
    if (f.tempered && batch.temperature.row == 0 && batch.rows > 0) {
        double t;
        std::memcpy(&t, batch.temperature.data, sizeof t);
        if (t == 1) batch.temperature.data = nullptr;
    }
    FloatStatus status;
    report(run_rows(f, batch));
}

PyObject* make_row_function(const sigmax::RowFunction* f, bool masked, const NumberType& x, const NumberType& weights,
                            const NumberType& y) {
    static PyUFuncGenericFunction loops[] = {row_loop};
    std::string signature;
    std::vector<char>& types = *new std::vector<char>;  // never freed, like the ufunc
    for_each_operand(*f, masked, [&](sigmax::Input sigmax::RowBatch::* operand, bool per_class) {
        using B = sigmax::RowBatch;
        signature += std::string(signature.empty() ? "" : ",") + (per_class ? "(n)" : "()");
        types.push_back(operand == &B::x         ? static_cast<char>(x.number)
                        : operand == &B::weights ? static_cast<char>(weights.number)
                        : operand == &B::mask    ? char(NPY_BOOL)
                        : operand == &B::label   ? char(NPY_INT64)
                                                 : char(NPY_DOUBLE));
    });
    const int inputs = static_cast<int>(types.size());
    for (int j = 0; j < f->results + f->per_class; ++j) {
        signature += std::string(j ? "," : "->") + (j < f->results ? "()" : "(n)");
        types.push_back(static_cast<char>(y.number));
    }
    void** data = new void* {new RowCall{f, masked, x.dtype, weights.dtype, y.dtype}};
    return PyUFunc_FromFuncAndDataAndSignature(loops, data, types.data(), 1, inputs, f->results + f->per_class, PyUFunc_None, f->name,
                                               nullptr, 0, signature.c_str());
}

// ---- made for Python ----

const char* keep(PyObject* text) {  // a copy that lives as long as the process, for NumPy to point at
    Py_ssize_t size;
    const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    return utf8 ? strdup(utf8) : nullptr;
}

PyObject* link(PyObject*, PyObject* args) {
    const char* name;
    PyObject* bfloat16;
    if (!PyArg_ParseTuple(args, "sO!", &name, &PyArrayDescr_Type, &bfloat16)) return nullptr;
    if (const sigmax::Link* f = sigmax::find_link(*level, name))
        return make_link(f, reinterpret_cast<PyArray_Descr*>(bfloat16), Integers{});
    return PyErr_Format(PyExc_LookupError, "the core has no elementwise function %s", name);
}

PyObject* document(PyObject*, PyObject* args) {
    PyObject *ufunc, *doc;
    if (!PyArg_ParseTuple(args, "O!U", &PyUFunc_Type, &ufunc, &doc)) return nullptr;
    const char* text = keep(doc);
    if (!text) return nullptr;
    reinterpret_cast<PyUFuncObject*>(ufunc)->doc = text;
    Py_RETURN_NONE;
}

PyObject* row_function(PyObject*, PyObject* args) {
    const char *name, *x_name, *weights_name, *y_name;
    int masked;
    if (!PyArg_ParseTuple(args, "spsss", &name, &masked, &x_name, &weights_name, &y_name)) return nullptr;
    const NumberType *x = number_type(x_name), *weights = number_type(weights_name), *y = number_type(y_name);
    if (!x || !weights || !y) return nullptr;
    if (const sigmax::RowFunction* f = sigmax::find_row_function(*level, name)) return make_row_function(f, masked, *x, *weights, *y);
    return PyErr_Format(PyExc_LookupError, "the core has no row function %s", name);
}

PyObject* set_elsewhere(PyObject*, PyObject* function) {
    Py_XSETREF(elsewhere, Py_NewRef(function));
    Py_RETURN_NONE;
}

}  // namespace
