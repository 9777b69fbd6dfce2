// The core as NumPy ufuncs and gufuncs. The loops are derived from the tables of levels.hpp: nothing is listed twice.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

#include <cfenv>
#include <cstdlib>
#include <array>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "levels.hpp"

namespace {

using sigmax::Level;
using sigmax::Status;

const Level* level = nullptr;

// The kernels raise floating-point flags that mean nothing to the caller. This puts the flags back as they were, and adds
// those that the result deserves, so that np.errstate hears of them.
class FloatStatus {
public:
    FloatStatus() { std::fegetexceptflag(&before_, FE_ALL_EXCEPT); }
    ~FloatStatus() {
        std::fesetexceptflag(&before_, FE_ALL_EXCEPT);
        if (status_ & unsigned(Status::invalid)) std::feraiseexcept(FE_INVALID);
        if (status_ & unsigned(Status::divide_by_zero)) std::feraiseexcept(FE_DIVBYZERO);
    }
    void add(unsigned status) { status_ |= status; }

private:
    std::fexcept_t before_;
    unsigned status_ = 0;
};

void report(unsigned status) {
    if (!(status & unsigned(Status::no_memory))) return;
    PyGILState_STATE state = PyGILState_Ensure();
    PyErr_NoMemory();
    PyGILState_Release(state);
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

void float_loop(char** args, const npy_intp* dimensions, const npy_intp* steps, void* link) {
    FloatStatus status;
    status.add(static_cast<const sigmax::Link*>(link)->on_float(args[0], steps[0], args[1], steps[1], dimensions[0]));
}
void double_loop(char** args, const npy_intp* dimensions, const npy_intp* steps, void* link) {
    FloatStatus status;
    status.add(static_cast<const sigmax::Link*>(link)->on_double(args[0], steps[0], args[1], steps[1], dimensions[0]));
}
template <class T>
void integer_loop(char** args, const npy_intp* dimensions, const npy_intp* steps, void* link) {
    FloatStatus status;
    constexpr npy_intp size = 1024;
    double buffer[size];
    for (npy_intp begin = 0; begin < dimensions[0]; begin += size) {
        npy_intp n = dimensions[0] - begin < size ? dimensions[0] - begin : size;
        for (npy_intp i = 0; i < n; ++i) {
            typename T::c value;
            std::memcpy(&value, args[0] + (begin + i) * steps[0], sizeof value);
            buffer[i] = static_cast<double>(value);
        }
        char* x = reinterpret_cast<char*>(buffer);
        status.add(static_cast<const sigmax::Link*>(link)->on_double(x, sizeof(double), args[1] + begin * steps[1], steps[1], n));
    }
}

template <class... T>
PyObject* make_link(const sigmax::Link* link, const char* doc, std::tuple<T...>) {
    constexpr int count = sizeof...(T) + 2;
    static std::array<PyUFuncGenericFunction, count> loops = {integer_loop<T>..., float_loop, double_loop};
    static char types[] = {T::code..., NPY_FLOAT, NPY_DOUBLE}, pairs[2 * count];
    for (int i = 0; i < count; ++i) {
        pairs[2 * i] = types[i];
        pairs[2 * i + 1] = types[i] == NPY_FLOAT ? NPY_FLOAT : NPY_DOUBLE;
    }
    void** data = new void*[count];  // as long-lived as the ufunc, which is never freed
    for (int i = 0; i < count; ++i) data[i] = const_cast<sigmax::Link*>(link);
    return PyUFunc_FromFuncAndData(loops.data(), data, pairs, count, 1, 1, PyUFunc_None, link->name, doc, 0);
}

// ---- over an axis ----

struct RowCall {
    const sigmax::RowFunction* function;
    bool masked, on_double;
};

// The operands are (x[, mask][, temperature], y); the byte strides of the rows come first, then those of the classes.
void row_loop(char** args, const npy_intp* dimensions, const npy_intp* steps, void* data) {
    const RowCall& call = *static_cast<const RowCall*>(data);
    const int operands = 2 + call.masked + call.function->tempered, y = operands - 1;
    const npy_intp* core = steps + operands;
    sigmax::RowBatch batch{};
    batch.rows = dimensions[0];
    batch.classes = dimensions[1];
    batch.x = args[0];
    batch.x_row = steps[0];
    batch.x_class = *core++;
    if (call.masked) {
        batch.mask = args[1];
        batch.mask_row = steps[1];
        batch.mask_class = *core++;
    }
    if (call.function->tempered) {
        batch.temperature = args[y - 1];
        batch.temperature_row = steps[y - 1];
        if (batch.temperature_row == 0 && batch.rows > 0) {
            double t;
            std::memcpy(&t, batch.temperature, sizeof t);
            if (t == 1) batch.temperature = nullptr;
        }
    }
    batch.y = args[y];
    batch.y_row = steps[y];
    batch.y_class = call.function->reduces ? 0 : *core;
    FloatStatus status;
    report((call.on_double ? call.function->on_double : call.function->on_float)(batch));
}

PyObject* make_row_function(const sigmax::RowFunction* function, bool masked, const char* doc) {
    const int operands = 2 + masked + function->tempered;
    static PyUFuncGenericFunction loops[] = {row_loop, row_loop};
    RowCall* calls = new RowCall[2]{{function, masked, false}, {function, masked, true}};  // never freed, like the ufunc
    void** data = new void*[2]{calls, calls + 1};
    char* types = new char[2 * operands];
    char* type = types;
    for (char score : {char(NPY_FLOAT), char(NPY_DOUBLE)}) {
        *type++ = score;
        if (masked) *type++ = NPY_BOOL;
        if (function->tempered) *type++ = NPY_DOUBLE;
        *type++ = score;
    }
    std::string signature =
        std::string("(n)") + (masked ? ",(n)" : "") + (function->tempered ? ",()" : "") + "->" + (function->reduces ? "()" : "(n)");
    return PyUFunc_FromFuncAndDataAndSignature(loops, data, types, 2, operands - 1, 1, PyUFunc_None, function->name, doc, 0,
                                               signature.c_str());
}

// ---- the module ----

const char* keep(PyObject* text) {  // a copy that lives as long as the process, for NumPy to point at
    Py_ssize_t size;
    const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    return utf8 ? strdup(utf8) : nullptr;
}

PyObject* link(PyObject*, PyObject* args) {
    const char* name;
    PyObject* doc;
    if (!PyArg_ParseTuple(args, "sU", &name, &doc)) return nullptr;
    for (int i = 0; i < level->link_count; ++i) {
        if (std::strcmp(level->links[i].name, name) != 0) continue;
        const char* text = keep(doc);
        return text ? make_link(&level->links[i], text, Integers{}) : nullptr;
    }
    return PyErr_Format(PyExc_LookupError, "the core has no elementwise function %s", name);
}

PyObject* row_function(PyObject*, PyObject* args) {
    const char* name;
    int masked;
    if (!PyArg_ParseTuple(args, "sp", &name, &masked)) return nullptr;
    for (int i = 0; i < level->row_function_count; ++i)
        if (std::strcmp(level->row_functions[i].name, name) == 0) return make_row_function(&level->row_functions[i], masked, nullptr);
    return PyErr_Format(PyExc_LookupError, "the core has no row function %s", name);
}

PyObject* cpu_level(PyObject*, PyObject*) { return PyUnicode_FromString(level->name); }

PyMethodDef methods[] = {
    {"link", link, METH_VARARGS, "link(name, doc): the elementwise function of that name as a ufunc."},
    {"row_function", row_function, METH_VARARGS, "row_function(name, masked): the function over class scores of that name as a gufunc."},
    {"cpu_level", cpu_level, METH_NOARGS, "The CPU level whose kernels are in use."},
    {nullptr, nullptr, 0, nullptr},
};

// The highest level that this CPU runs, or a lower one named by SIGMAX_CPU_LEVEL.
bool choose_level() {
    const char* wanted = std::getenv("SIGMAX_CPU_LEVEL");
    std::string available;
    for (int i = 0; i < sigmax::level_count && sigmax::levels[i].supported(); ++i) {
        level = &sigmax::levels[i];
        if (wanted && std::strcmp(wanted, level->name) == 0) return true;
        available += std::string(i ? ", " : "") + level->name;
    }
    if (!wanted || !*wanted) return true;
    PyErr_Format(PyExc_ImportError, "SIGMAX_CPU_LEVEL is '%s'; this CPU has %s", wanted, available.c_str());
    return false;
}

int execute(PyObject*) {
    if (PyArray_ImportNumPyAPI() < 0 || PyUFunc_ImportUFuncAPI() < 0) return -1;
    return choose_level() ? 0 : -1;
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
