// The core as NumPy ufuncs and gufuncs. The loops are derived from the tables of core/api.hpp: nothing is listed twice.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#include <algorithm>
#include <cfenv>
#include <cstdlib>
#include <array>
#include <cstring>
#include <new>
#include <string>
#include <tuple>
#include <vector>

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

// Whose arrays have a quicker way: the type, and what is asked about one number of it; None turns it down.
PyObject *quick_type = nullptr, *quick_call = nullptr;

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

// The elementwise function of an array as it lies; the status of the results is the caller's to report. Null where memory is short.
PyObject* link_directly(const sigmax::Link& link, PyArrayObject* x, sigmax::Dtype dtype, unsigned& status) {
    Py_INCREF(PyArray_DESCR(x));
    auto* y = reinterpret_cast<PyArrayObject*>(PyArray_Empty(PyArray_NDIM(x), PyArray_DIMS(x), PyArray_DESCR(x), 0));
    if (!y) return nullptr;
    const npy_intp size = PyArray_ITEMSIZE(x), count = PyArray_SIZE(x);
    std::atomic<unsigned> found{0};
    {
        FloatStatus kept;
        NPY_BEGIN_THREADS_DEF;
        NPY_BEGIN_THREADS_THRESHOLDED(count);
        sigmax::threads::share(count, 4096, count, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            sigmax::LinkBatch part{};
            part.count = end - begin;
            part.x[0] = {PyArray_BYTES(x) + begin * size, 0, size, dtype};
            part.y[0] = {PyArray_BYTES(y) + begin * size, 0, size, dtype};
            found |= link.loop(part);
        });
        NPY_END_THREADS;
    }
    status = found;
    return reinterpret_cast<PyObject*>(y);
}

// A small array past NumPy's machinery, which takes longer than ten numbers do. Null, without an error, where there is something to
// report: NumPy does that, the second time.
constexpr npy_intp small = 2048;
PyObject* small_link(PyObject* ufunc, PyObject* x) {
    const auto* call = static_cast<const LinkCall*>(reinterpret_cast<PyUFuncObject*>(ufunc)->data[0]);
    auto* array = reinterpret_cast<PyArrayObject*>(x);
    sigmax::Dtype dtype;
    if (call->link->inputs != 1 || call->link->outputs != 1 || !as_it_lies(array, dtype) || PyArray_SIZE(array) > small) return nullptr;
    unsigned status = 0;
    PyObject* y = link_directly(*call->link, array, dtype, status);
    if (y && status) Py_CLEAR(y);
    return y;
}

PyObject* link_call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) {
    const Py_ssize_t count = PyVectorcall_NARGS(flags), inputs = reinterpret_cast<PyUFuncObject*>(self)->nin;
    if (count == 1 && !names) {
        if (PyArray_CheckExact(args[0])) {
            if (PyObject* y = small_link(self, args[0])) return y;
            if (PyErr_Occurred()) return nullptr;
        } else if (reinterpret_cast<PyObject*>(Py_TYPE(args[0])) == quick_type) {
            PyObject* name = PyUnicode_InternFromString(reinterpret_cast<PyUFuncObject*>(self)->name);
            if (!name) return nullptr;
            PyObject* asked[] = {name, args[0]};
            PyObject* y = PyObject_Vectorcall(quick_call, asked, 2, nullptr);
            Py_DECREF(name);
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

// All rows of a batch, on all threads if there are enough of them.
unsigned run_rows(const sigmax::RowFunction& f, const sigmax::RowBatch& batch) {
    const bool wide =
        batch.x.dtype == sigmax::Dtype::float64 || (f.per_class ? batch.y.dtype : batch.results[0].dtype) == sigmax::Dtype::float64;
    const sigmax::RowLoop loop = wide ? f.on_double : f.on_float;
    std::atomic<unsigned> status{0};
    const std::ptrdiff_t classes = batch.classes > 0 ? batch.classes : 1;
    const std::ptrdiff_t grain = classes > 4096 ? 1 : 64;  // rows: whole tiles
    sigmax::threads::share(batch.rows, grain, batch.rows * classes, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        sigmax::RowBatch part = batch;
        part.rows = end - begin;
        for (sigmax::Input* in : {&part.x, &part.mask, &part.weights, &part.label, &part.temperature, &part.smoothing})
            if (in->data) in->data += begin * in->row;
        for (sigmax::Output* out : {&part.y, &part.results[0], &part.results[1]})
            if (out->data) out->data += begin * out->row;
        status |= loop(part);
    });
    return status;
}

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

// ---- the same without NumPy's machinery, for the usual call: a contiguous array, its last axis, no other argument ----

const char* const direct_name = "sigmax.row_function";

// All rows of a batch without the interpreter, which runs on if there are many; the flags of the floats stay as they were.
unsigned run_released(const sigmax::RowFunction& f, const sigmax::RowBatch& batch) {
    FloatStatus status;
    NPY_BEGIN_THREADS_DEF;
    NPY_BEGIN_THREADS_THRESHOLDED(batch.rows * batch.classes);
    const unsigned failed = run_rows(f, batch);
    NPY_END_THREADS;
    return failed;
}

// (x, out or None) -> the result, or None where it takes the long way.
PyObject* call_directly(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    const auto* f = static_cast<const sigmax::RowFunction*>(PyCapsule_GetPointer(self, direct_name));
    if (!f || count != 2 || !PyArray_CheckExact(args[0])) Py_RETURN_NONE;
    auto* x = reinterpret_cast<PyArrayObject*>(args[0]);
    const int type = PyArray_TYPE(x), ndim = PyArray_NDIM(x);
    sigmax::Dtype dtype;
    if (!as_it_lies(x, dtype)) Py_RETURN_NONE;
    const int out_ndim = f->per_class ? ndim : ndim - 1;
    PyArrayObject* y;
    if (args[1] == Py_None) {
        Py_INCREF(PyArray_DESCR(x));
        y = reinterpret_cast<PyArrayObject*>(PyArray_Empty(out_ndim, PyArray_DIMS(x), PyArray_DESCR(x), 0));
        if (!y) return nullptr;
    } else {
        if (!PyArray_CheckExact(args[1])) Py_RETURN_NONE;
        y = reinterpret_cast<PyArrayObject*>(args[1]);
        const char *x_begin = PyArray_BYTES(x), *y_begin = PyArray_BYTES(y);
        if (PyArray_TYPE(y) != type || PyArray_NDIM(y) != out_ndim || !PyArray_CompareLists(PyArray_DIMS(y), PyArray_DIMS(x), out_ndim) ||
            !PyArray_IS_C_CONTIGUOUS(y) || !PyArray_ISBEHAVED(y) ||
            (y_begin < x_begin + PyArray_NBYTES(x) && x_begin < y_begin + PyArray_NBYTES(y) && (y_begin != x_begin || !f->per_class)))
            Py_RETURN_NONE;
        Py_INCREF(y);
    }
    const npy_intp size = PyArray_ITEMSIZE(x);
    sigmax::RowBatch batch{};
    batch.classes = PyArray_DIM(x, ndim - 1);
    batch.rows = PyArray_SIZE(x) / batch.classes;
    batch.x = {PyArray_BYTES(x), batch.classes * size, size, dtype};
    if (f->per_class)
        batch.y = {PyArray_BYTES(y), batch.classes * size, size, dtype};
    else
        batch.results[0] = {PyArray_BYTES(y), size, 0, dtype};
    if (run_released(*f, batch)) {
        Py_DECREF(y);
        return PyErr_NoMemory();
    }
    return args[1] == Py_None ? PyArray_Return(y) : reinterpret_cast<PyObject*>(y);
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
    return link_directly(*f, reinterpret_cast<PyArrayObject*>(args[0]), dtype, status);
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

// (x [rows][classes], labels [rows], smoothing, slopes like x or None) -> the mean cross-entropy, with the gradients of the losses in
// `slopes`; None where a label is no class, or an array does not lie as the core takes it.
PyObject* mean_cross_entropy(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 4 || !PyArray_CheckExact(args[0]) || !PyArray_CheckExact(args[1])) Py_RETURN_NONE;
    auto *x = reinterpret_cast<PyArrayObject*>(args[0]), *labels = reinterpret_cast<PyArrayObject*>(args[1]);
    auto* slopes = args[3] == Py_None ? nullptr : reinterpret_cast<PyArrayObject*>(args[3]);
    const double smoothing = PyFloat_AsDouble(args[2]);
    if (smoothing == -1 && PyErr_Occurred()) return nullptr;
    sigmax::Dtype dtype, of_slopes;
    if (PyArray_NDIM(x) != 2 || !as_it_lies(x, dtype) || PyArray_NDIM(labels) != 1 || PyArray_TYPE(labels) != NPY_INT64 ||
        !PyArray_IS_C_CONTIGUOUS(labels) || !PyArray_ISBEHAVED_RO(labels) || PyArray_DIM(labels, 0) != PyArray_DIM(x, 0))
        Py_RETURN_NONE;
    if (slopes && (!PyArray_CheckExact(args[3]) || !as_it_lies(slopes, of_slopes) || of_slopes != dtype || !PyArray_ISWRITEABLE(slopes) ||
                   PyArray_NDIM(slopes) != 2 || !PyArray_CompareLists(PyArray_DIMS(slopes), PyArray_DIMS(x), 2)))
        Py_RETURN_NONE;
    const npy_intp rows = PyArray_DIM(x, 0), classes = PyArray_DIM(x, 1), size = PyArray_ITEMSIZE(x);
    const auto* label = static_cast<const std::int64_t*>(PyArray_DATA(labels));
    for (npy_intp i = 0; i < rows; ++i)
        if (label[i] < 0 || label[i] >= classes) Py_RETURN_NONE;
    const auto* f = sigmax::find_row_function(*level, slopes ? "cross_entropy_and_grad" : "cross_entropy");
    if (!f || size < 4) Py_RETURN_NONE;  // halves: each loss would be rounded before it is added
    std::vector<char> losses(static_cast<std::size_t>(rows * size));
    sigmax::RowBatch batch{};
    batch.rows = rows;
    batch.classes = classes;
    batch.x = {PyArray_BYTES(x), classes * size, size, dtype};
    batch.label = {PyArray_BYTES(labels), 8, 0, sigmax::Dtype::float64};
    batch.smoothing = {reinterpret_cast<const char*>(&smoothing), 0, 0, sigmax::Dtype::float64};
    batch.results[0] = {losses.data(), size, 0, dtype};
    if (slopes) batch.y = {PyArray_BYTES(slopes), classes * size, size, dtype};
    if (run_released(*f, batch)) return PyErr_NoMemory();
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
    return PyFloat_FromDouble(sum.value() / static_cast<double>(rows));
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

// ---- the module ----

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

PyObject* direct(PyObject*, PyObject* args) {
    const char* name;
    if (!PyArg_ParseTuple(args, "s", &name)) return nullptr;
    const void* f = sigmax::find_row_function(*level, name);
    const sigmax::Link* link = f ? nullptr : sigmax::find_link(*level, name);
    if (!f && (!link || link->inputs != 1 || link->outputs != 1))
        return PyErr_Format(PyExc_LookupError, "the core has no function of one array %s", name);
    PyObject* self = PyCapsule_New(const_cast<void*>(f ? f : link), f ? direct_name : direct_link_name, nullptr);
    PyObject* function = self ? PyCFunction_NewEx(f ? &direct_method : &direct_link_method, self, nullptr) : nullptr;
    Py_XDECREF(self);
    return function;
}

// ---- features ----

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

PyObject* get_num_threads(PyObject*, PyObject*) { return PyLong_FromLong(sigmax::threads::count()); }
PyObject* pieces_of_helpers(PyObject*, PyObject*) { return PyLong_FromLong(sigmax::threads::pieces_of_helpers()); }
PyObject* set_num_threads(PyObject*, PyObject* value) {
    const long count = PyLong_AsLong(value);
    if (count == -1 && PyErr_Occurred()) return nullptr;
    if (count < 1 || count > 4096) return PyErr_Format(PyExc_ValueError, "the number of threads is %ld; pass 1 to 4096", count);
    sigmax::threads::set_count(static_cast<int>(count));
    Py_RETURN_NONE;
}

PyObject* set_elsewhere(PyObject*, PyObject* function) {
    Py_XSETREF(elsewhere, Py_NewRef(function));
    Py_RETURN_NONE;
}

PyObject* set_quick(PyObject*, PyObject* args) {
    PyObject *type, *function;
    if (!PyArg_ParseTuple(args, "O!O", &PyType_Type, &type, &function)) return nullptr;
    Py_XSETREF(quick_type, Py_NewRef(type));
    Py_XSETREF(quick_call, Py_NewRef(function));
    Py_RETURN_NONE;
}

PyObject* cpu_level(PyObject*, PyObject*) { return PyUnicode_FromString(level->name); }

PyMethodDef methods[] = {
    {"link", link, METH_VARARGS, "link(name, bfloat16): the elementwise function of that name as a ufunc."},
    {"document", document, METH_VARARGS, "document(ufunc, text): give a ufunc of link() its docstring."},
    {"row_function", row_function, METH_VARARGS,
     "row_function(name, masked, x, weights, y): the function over class scores of that name and those types as a gufunc."},
    {"direct", direct, METH_VARARGS,
     "direct(name): that function of (x, out or None) for contiguous floats along their last axis, an elementwise one of (x, None); it "
     "returns None for all else."},
    {"mean_cross_entropy", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(mean_cross_entropy)), METH_FASTCALL,
     "mean_cross_entropy(x, labels, smoothing, slopes or None): the mean loss of rows against class numbers, and the gradient of each; it "
     "returns None where a label is no class or an array does not lie in one piece."},
    {"feature_scores", feature_scores, METH_VARARGS,
     "feature_scores(x, shift, scale, classes, theta, z): write the scores of coefficients [features + 1][classes] to z [rows][classes]."},
    {"feature_sums", feature_sums, METH_VARARGS,
     "feature_sums(x, shift, scale, classes, slopes, pulled, p, weights, hessian): write sums over rows; None for what is not asked for."},
    {"feature_moments", feature_moments, METH_VARARGS,
     "feature_moments(x, shift, scale, weights, first, second): write weighted sums of the features, and a constant, and of their "
     "squares."},
    {"feature_losses", feature_losses, METH_VARARGS,
     "feature_losses(x, shift, scale, classes, theta, offset, targets, label, weights, p, pulled, hessian): the weighted sums of losses, "
     "entropy, offset times p, and the least lead of a label; writes probabilities and derivatives."},
    {"feature_bent", feature_bent, METH_VARARGS,
     "feature_bent(x, shift, scale, classes, p, weights, theta, pulled): write the second derivatives times theta."},
    {"get_num_threads", get_num_threads, METH_NOARGS, "The number of threads that work on a large array."},
    {"set_num_threads", set_num_threads, METH_O, "set_num_threads(n): change it."},
    {"pieces_of_helpers", pieces_of_helpers, METH_NOARGS, "How many pieces of work threads other than the callers' have done so far."},
    {"set_elsewhere", set_elsewhere, METH_O,
     "set_elsewhere(f): f(ufunc, args, kwargs) is asked first about arrays that are not NumPy's; NotImplemented turns them down."},
    {"set_quick", set_quick, METH_VARARGS,
     "set_quick(type, f): f(name, x) is asked before all else about a single array of that very type; None turns it down."},
    {"cpu_level", cpu_level, METH_NOARGS, "The CPU level whose kernels are in use."},
    {nullptr, nullptr, 0, nullptr},
};

// The highest level that this CPU runs, or a lower one named by SIGMAX_CPU_LEVEL.
bool choose_level() {
    const char* wanted = std::getenv("SIGMAX_CPU_LEVEL");
    std::string available;
    for (int i = 0; i < sigmax::level_count && sigmax::levels[i]->supported(); ++i) {
        level = sigmax::levels[i];
        if (wanted && std::strcmp(wanted, level->name) == 0) return true;
        available += std::string(i ? ", " : "") + level->name;
    }
    if (!level) {
        PyErr_Format(PyExc_ImportError, "this CPU does not run %s, the only level that was built; build sigmax anew on this machine",
                     sigmax::levels[0]->name);
        return false;
    }
    if (!wanted || !*wanted) return true;
    PyErr_Format(PyExc_ImportError, "SIGMAX_CPU_LEVEL is '%s'; this CPU has %s", wanted, available.c_str());
    return false;
}

bool choose_threads() {
    const char* wanted = std::getenv("SIGMAX_NUM_THREADS");
    char* end = nullptr;
    const long count = wanted && *wanted ? std::strtol(wanted, &end, 10) : sigmax::threads::available();
    if (count < 1 || count > 4096 || (end && *end)) {
        PyErr_Format(PyExc_ImportError, "SIGMAX_NUM_THREADS is '%s'; it must be a whole number from 1 on", wanted);
        return false;
    }
    sigmax::threads::set_count(static_cast<int>(count));
    sigmax::threads::forget_pool_in_children();
    return true;
}

int execute(PyObject*) {
    if (PyArray_ImportNumPyAPI() < 0 || PyUFunc_ImportUFuncAPI() < 0) return -1;
    return choose_level() && choose_threads() ? 0 : -1;
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", "The compiled core of sigmax.", 0, methods, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__native() { return PyModuleDef_Init(&definition); }
