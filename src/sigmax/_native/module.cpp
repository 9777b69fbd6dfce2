// The compiled module: its functions, and the choice of level and threads when it is imported.
#include <cstdlib>
#include <string>
#include <utility>

#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>
#endif

#include "direct.hpp"
#include "features.hpp"
#include "straight.hpp"
#include "tensors.hpp"
#include "ufuncs.hpp"
#include "xla.hpp"

namespace {

PyObject* get_num_threads(PyObject*, PyObject*) { return PyLong_FromLong(sigmax::threads::count()); }
PyObject* pieces_of_helpers(PyObject*, PyObject*) { return PyLong_FromLong(sigmax::threads::pieces_of_helpers()); }
PyObject* set_num_threads(PyObject*, PyObject* value) {
    const long count = PyLong_AsLong(value);
    if (count == -1 && PyErr_Occurred()) return nullptr;
    if (count < 1 || count > 4096) return PyErr_Format(PyExc_ValueError, "the number of threads is %ld; pass 1 to 4096", count);
    sigmax::threads::set_count(static_cast<int>(count));
    Py_RETURN_NONE;
}

PyObject* cpu_level(PyObject*, PyObject*) { return PyUnicode_FromString(level->name); }

// Two pools of threads would take the cores from each other: OpenMP's look for work for milliseconds, and yield to nobody.
PyObject* join_team(PyObject*, PyObject* name) {
    const char* const wanted = PyUnicode_AsUTF8(name);
    if (!wanted) return nullptr;
    [[maybe_unused]] static sigmax::threads::Team found;
    const sigmax::threads::Team* joined = nullptr;
#if defined(__linux__)
    std::pair<const char*, std::string> library{wanted, ""};
    if (*wanted && !sigmax::threads::is_child)
        dl_iterate_phdr(
            [](dl_phdr_info* loaded, std::size_t, void* data) {
                auto& [part, path] = *static_cast<std::pair<const char*, std::string>*>(data);
                if (std::strstr(loaded->dlpi_name, part)) path = loaded->dlpi_name;
                return 0;
            },
            &library);
    void* const handle = library.second.empty() ? nullptr : dlopen(library.second.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    // of what it is linked with
    void* const parallel = handle ? dlsym(handle, "GOMP_parallel") : nullptr;
    void* const most = handle ? dlsym(handle, "omp_get_max_threads") : nullptr;
    if (parallel && most) {
        found = {reinterpret_cast<decltype(found.parallel)>(parallel), reinterpret_cast<decltype(found.most)>(most)};
        joined = &found;
    }
#endif
    sigmax::threads::team = nullptr;
    sigmax::threads::offered = joined;
    return PyBool_FromLong(joined != nullptr);
}

PyObject* meet_team(PyObject*, PyObject*) {
    sigmax::threads::meet_team();
    Py_RETURN_NONE;
}

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
    {"straight", straight, METH_O,
     "straight(name): that function of (args, options), those of a call with one array, its last axis, and an out of NumPy's; None for all "
     "else."},
    {"set_tensors", set_tensors, METH_VARARGS,
     "set_tensors(type, followers, namespace, level, f): whose tensors go straight, unless one of the followers is true or the level of "
     "forward derivatives in the namespace is not below 0; f(name, x) is asked about those that do not lie as the core takes them."},
    {"set_exchange", set_exchange, METH_O,
     "set_exchange(capsule): whose tensors the functions below take, by DLPack's exchange in C, or None; False where it is not known."},
    {"on_tensor", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(on_tensor)), METH_FASTCALL,
     "on_tensor(name, x): that function of one contiguous tensor on the CPU, along its last axis, or an elementwise one, whether or not "
     "something is derived from it; None for all else."},
    {"pull_on_tensors", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(pull_on_tensors)), METH_FASTCALL,
     "pull_on_tensors(name, x, g): the gradient g by the results of a function along the last axis as one by its scores; None for what "
     "does not lie in one piece."},
    {"mean_on_tensors", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(mean_on_tensors)), METH_FASTCALL,
     "mean_on_tensors(x, labels, smoothing, derived): the mean loss of rows against class numbers, and the gradient of each or None; "
     "None where a label is no class or a tensor does not lie in one piece."},
    {"scaled_tensor", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(scaled_tensor)), METH_FASTCALL,
     "scaled_tensor(x, factor): their product; None for what does not lie in one piece."},
    {"join_team", join_team, METH_O,
     "join_team(library): work on large arrays by the OpenMP threads of a library that is loaded, from meet_team() on; '' for threads of "
     "our "
     "own; whether it has some."},
    {"meet_team", meet_team, METH_NOARGS, "meet_team(): there is a tensor of that library's."},
    {"xla_handler", xla_handler, METH_NOARGS, "The core as a handler of XLA's foreign function interface, in a capsule."},
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
