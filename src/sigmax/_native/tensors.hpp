// PyTorch's tensors without a detour by NumPy's arrays: the memory of a tensor, and a tensor of memory, by the functions in C that
// DLPack lets a library offer (`__dlpack_c_exchange_api__`). Of it stands here what is used; the rest of its structures lies behind.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "direct.hpp"

namespace {
namespace dlpack {

struct Tensor {
    void* data;
    std::int32_t device, device_number;
    std::int32_t ndim;
    std::uint8_t kind, bits;
    std::uint16_t lanes;
    std::int64_t *shape, *strides;  // in numbers
    std::uint64_t offset;           // in bytes
};
struct Version {
    std::uint32_t major, minor;
};
struct Managed {
    Version version;
    void* owner;
    void (*end)(Managed*);
    std::uint64_t flags;
    Tensor tensor;
};
struct Exchange {
    Version version;
    void* older;
    void* allocate;
    void* from_object;
    int (*to_object)(Managed*, void**);
    int (*look_at)(void*, Tensor*);  // while the object lives
    void* stream;
};
constexpr int cpu = 1, signed_integer = 0, floating = 2, bfloat = 4;

bool dtype_of(const Tensor& t, sigmax::Dtype& dtype) {
    if (t.lanes != 1) return false;
    if (t.kind == floating && t.bits == 32)
        dtype = sigmax::Dtype::float32;
    else if (t.kind == floating && t.bits == 64)
        dtype = sigmax::Dtype::float64;
    else if (t.kind == floating && t.bits == 16)
        dtype = sigmax::Dtype::float16;
    else if (t.kind == bfloat && t.bits == 16)
        dtype = sigmax::Dtype::bfloat16;
    else
        return false;
    return true;
}

bool is_contiguous(const Tensor& t) {
    if (!t.strides) return true;
    std::int64_t step = 1;
    for (int i = t.ndim - 1; i >= 0; --i) {
        if (t.shape[i] != 1 && t.strides[i] != step) return false;
        step *= t.shape[i];
    }
    return true;
}

// Memory for a tensor like another one, with the axes before the `ndim`th, and what says so in front of it; null if there is none.
Managed* make_like(const Tensor& like, int ndim) {
    std::int64_t count = 1;
    for (int i = 0; i < ndim; ++i) count *= like.shape[i];
    const std::size_t lengths = sizeof(std::int64_t) * 2 * static_cast<std::size_t>(ndim);
    const std::size_t head = (sizeof(Managed) + lengths + 63) / 64 * 64, body = static_cast<std::size_t>(count) * like.bits / 8;
    void* const block = std::malloc(63 + head + body);
    if (!block) return nullptr;
    char* const at = static_cast<char*>(block) + (64 - reinterpret_cast<std::uintptr_t>(block) % 64) % 64;  // of cache lines
    auto* const made = new (at) Managed{{1, 0}, block, [](Managed* m) { std::free(m->owner); }, 0, like};
    Tensor& t = made->tensor;
    t.data = at + head;
    t.offset = 0;
    t.ndim = ndim;
    t.shape = reinterpret_cast<std::int64_t*>(made + 1);
    t.strides = t.shape + ndim;
    std::int64_t step = 1;
    for (int i = ndim - 1; i >= 0; --i) {
        t.shape[i] = like.shape[i];
        t.strides[i] = step;
        step *= t.shape[i];
    }
    return made;
}

}  // namespace dlpack

// Of the library whose tensors are known.
const dlpack::Exchange* exchange = nullptr;

constexpr std::int64_t most_in_a_block = 1 << 20;  // bytes; beyond it NumPy, which asks for large pages

// Whether there is more to a tensor than its memory says: it is derived from, unless that is seen to, or its numbers are the negative of
// what lies there.
bool has_more_to_it(PyObject* x, bool may_be_derived = false) {
    static PyObject *const derived = PyUnicode_InternFromString("requires_grad"), *const negated = PyUnicode_InternFromString("is_neg");
    if (!derived || !negated) return true;
    if (!may_be_derived) {
        PyObject* const wanted = PyObject_GetAttr(x, derived);
        Py_XDECREF(wanted);
        if (wanted != Py_False) return true;
    }
    PyObject* const turned = PyObject_CallMethodNoArgs(x, negated);
    Py_XDECREF(turned);
    return turned != Py_False;
}

// What a tensor on the CPU without gaps, and not too large, holds: how many numbers, or 0 where it is none.
std::int64_t look_at(PyObject* x, dlpack::Tensor& in, bool may_be_derived = false) {
    sigmax::threads::meet_team();
    if (!exchange || exchange->look_at(x, &in) != 0 || has_more_to_it(x, may_be_derived)) {
        PyErr_Clear();
        return 0;
    }
    std::int64_t count = 1;
    for (int i = 0; i < in.ndim; ++i) count *= in.shape[i];
    if (in.device != dlpack::cpu || !in.data || in.lanes != 1 || count * in.bits / 8 > most_in_a_block || !dlpack::is_contiguous(in))
        return 0;
    return count;
}
char* memory_of(const dlpack::Tensor& t) { return static_cast<char*>(t.data) + t.offset; }

// What was made, as an object; it is given away.
PyObject* object_of(dlpack::Managed* made) {
    void* y = nullptr;
    if (exchange->to_object(made, &y) == 0) return static_cast<PyObject*>(y);
    made->end(made);
    return nullptr;
}

// ---- functions of one tensor ----

// The result, or None where it takes the long way.
PyObject* on_memory_of_tensor(const sigmax::RowFunction* rows, const sigmax::Link* link, PyObject* x, bool may_be_derived = false) {
    dlpack::Tensor in{};
    sigmax::Dtype dtype;
    const std::int64_t count = look_at(x, in, may_be_derived);
    if (count == 0 || !dlpack::dtype_of(in, dtype) || (rows && in.ndim == 0)) Py_RETURN_NONE;
    dlpack::Managed* made = dlpack::make_like(in, rows && !rows->per_class ? in.ndim - 1 : in.ndim);
    if (!made) return PyErr_NoMemory();
    const npy_intp size = in.bits / 8;
    char *from = memory_of(in), *to = memory_of(made->tensor);
    if (rows) {
        if (run_released(*rows, without_gaps(*rows, from, to, count, in.shape[in.ndim - 1], size, dtype))) {
            made->end(made);
            return PyErr_NoMemory();
        }
    } else {
        link_released(*link, from, to, size, dtype, count);
    }
    return object_of(made);
}

// (name, x) -> the same of a tensor that something may be derived from, for whoever sees to that.
PyObject* on_tensor(PyObject*, PyObject* const* args, Py_ssize_t count) {
    const char* const name = count == 2 ? PyUnicode_AsUTF8(args[0]) : nullptr;
    if (!name) return PyErr_Format(PyExc_TypeError, "on_tensor takes a name and a tensor");
    const OfOneArray found = of_one_array(name);
    return found ? on_memory_of_tensor(found.rows, found.link, args[1], true) : nullptr;
}

// ---- derivatives, and a step of training ----

// (the name of a pullback, x, g) -> the gradient by the scores, or None where it takes the long way. Every number of g may be the same one
// in memory, as a sum sends it back.
PyObject* pull_on_tensors(PyObject*, PyObject* const* args, Py_ssize_t count) {
    const char* const name = count == 3 ? PyUnicode_AsUTF8(args[0]) : nullptr;
    if (!name) return PyErr_Format(PyExc_TypeError, "pull_on_tensors takes a name and two tensors");
    const sigmax::RowFunction* const f = sigmax::find_row_function(*level, name);
    if (!f || !f->weighted || !f->per_class) return PyErr_Format(PyExc_LookupError, "the core has no pullback %s", name);
    dlpack::Tensor x{}, g{};
    sigmax::Dtype dtype, of_g;
    const std::int64_t numbers = look_at(args[1], x, true);
    if (numbers == 0 || x.ndim == 0 || !dlpack::dtype_of(x, dtype) || exchange->look_at(args[2], &g) != 0 || has_more_to_it(args[2]) ||
        g.device != dlpack::cpu || !g.data || !dlpack::dtype_of(g, of_g) || of_g != dtype || g.ndim != x.ndim ||
        !std::equal(x.shape, x.shape + x.ndim, g.shape)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    const bool one = g.strides && std::all_of(g.strides, g.strides + g.ndim, [](std::int64_t step) { return step == 0; });
    if (!one && !dlpack::is_contiguous(g)) Py_RETURN_NONE;
    const npy_intp size = x.bits / 8;
    const std::unique_ptr<char[]> spread(one ? new (std::nothrow) char[static_cast<std::size_t>(numbers * size)] : nullptr);
    dlpack::Managed* made = dlpack::make_like(x, x.ndim);
    if (!made || (one && !spread)) {
        if (made) made->end(made);
        return PyErr_NoMemory();
    }
    auto fill = [&]<class T>(T number) {
        std::memcpy(&number, memory_of(g), sizeof number);
        std::fill_n(reinterpret_cast<T*>(spread.get()), numbers, number);
    };
    if (one) size == 8 ? fill(std::uint64_t{}) : size == 4 ? fill(std::uint32_t{}) : fill(std::uint16_t{});
    sigmax::RowBatch batch = without_gaps(*f, memory_of(x), memory_of(made->tensor), numbers, x.shape[x.ndim - 1], size, dtype);
    batch.weights = {one ? spread.get() : memory_of(g), batch.classes * size, size, dtype};
    if (run_released(*f, batch)) {
        made->end(made);
        return PyErr_NoMemory();
    }
    return object_of(made);
}

// (x [rows][classes], labels [rows] or like x, smoothing, whether with slopes) -> the mean cross-entropy, and the gradients of the losses or
// None; None where a label is no class or no probability, or a tensor does not lie as the core takes it.
PyObject* mean_on_tensors(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 4) return PyErr_Format(PyExc_TypeError, "mean_on_tensors takes 4 arguments");
    const double smoothing = PyFloat_AsDouble(args[2]);
    if (smoothing == -1 && PyErr_Occurred()) return nullptr;
    const bool with_slopes = args[3] == Py_True;
    dlpack::Tensor x{}, y{};
    sigmax::Dtype dtype, of_y;
    if (look_at(args[0], x, true) == 0 || x.ndim != 2 || x.bits < 32 || !dlpack::dtype_of(x, dtype) || look_at(args[1], y) == 0 ||
        y.shape[0] != x.shape[0])
        Py_RETURN_NONE;
    const bool soft = y.ndim == 2;
    if (soft ? y.shape[1] != x.shape[1] || !dlpack::dtype_of(y, of_y) || of_y != dtype
             : y.ndim != 1 || y.kind != dlpack::signed_integer || y.bits != 64)
        Py_RETURN_NONE;
    const Labels labels = {soft ? nullptr : reinterpret_cast<const std::int64_t*>(memory_of(y)), soft ? memory_of(y) : nullptr};
    dlpack::Managed *loss = dlpack::make_like(x, 0), *slopes = with_slopes ? dlpack::make_like(x, 2) : nullptr;
    double mean = 0;
    Found found = Found::no_memory;
    if (loss && (slopes || !with_slopes))
        found =
            mean_loss(memory_of(x), x.shape[0], x.shape[1], dtype, labels, smoothing, slopes ? memory_of(slopes->tensor) : nullptr, mean);
    if (found != Found::mean) {
        for (dlpack::Managed* made : {loss, slopes})
            if (made) made->end(made);
        if (found == Found::no_memory) return PyErr_NoMemory();
        Py_RETURN_NONE;
    }
    const float single = static_cast<float>(mean);
    std::memcpy(memory_of(loss->tensor), x.bits == 32 ? static_cast<const void*>(&single) : &mean, x.bits / 8);
    PyObject *first = object_of(loss), *second = slopes ? object_of(slopes) : Py_NewRef(Py_None);
    PyObject* pair = first && second ? PyTuple_Pack(2, first, second) : nullptr;
    Py_XDECREF(first);
    Py_XDECREF(second);
    return pair;
}

// (x, a factor) -> their product, or None where it takes the long way.
PyObject* scaled_tensor(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 2) return PyErr_Format(PyExc_TypeError, "scaled_tensor takes 2 arguments");
    const double factor = PyFloat_AsDouble(args[1]);
    if (factor == -1 && PyErr_Occurred()) return nullptr;
    dlpack::Tensor in{};
    const std::int64_t numbers = look_at(args[0], in);
    if (numbers == 0 || in.kind != dlpack::floating || in.bits < 32) Py_RETURN_NONE;
    dlpack::Managed* made = dlpack::make_like(in, in.ndim);
    if (!made) return PyErr_NoMemory();
    auto work = [&]<class T>(T by) {
        const T* from = reinterpret_cast<const T*>(memory_of(in));
        T* to = reinterpret_cast<T*>(memory_of(made->tensor));
        for (std::int64_t i = 0; i < numbers; ++i) to[i] = from[i] * by;
    };
    in.bits == 32 ? work(static_cast<float>(factor)) : work(factor);
    return object_of(made);
}

// The capsule of `__dlpack_c_exchange_api__` -> whether that version of it is known; None where there is none.
PyObject* set_exchange(PyObject*, PyObject* capsule) {
    exchange = nullptr;
    if (capsule == Py_None) Py_RETURN_FALSE;
    const auto* found = static_cast<const dlpack::Exchange*>(PyCapsule_GetPointer(capsule, "dlpack_exchange_api"));
    if (!found) return nullptr;
    if (found->version.major == 1 && found->look_at && found->to_object) exchange = found;
    return PyBool_FromLong(exchange != nullptr);
}

}  // namespace
