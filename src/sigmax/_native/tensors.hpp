// PyTorch's tensors without a detour by NumPy's arrays: the memory of a tensor, and a tensor of memory, by the functions in C that
// DLPack lets a library offer (`__dlpack_c_exchange_api__`). Of it stands here what is used; the rest of its structures lies behind.
#pragma once

#include <cstdint>
#include <cstdlib>
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
constexpr int cpu = 1, floating = 2, bfloat = 4;

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

// A function on the tensors of a library.
struct TensorCall {
    const dlpack::Exchange* exchange;
    const sigmax::RowFunction* rows;  // or
    const sigmax::Link* link;
};
const char* const tensor_call_name = "sigmax.tensor_call";
constexpr std::int64_t most_in_a_block = 1 << 20;  // bytes; beyond it NumPy, which asks for large pages

// Whether there is more to a tensor than its memory says: it is derived from, or its numbers are the negative of what lies there.
bool has_more_to_it(PyObject* x) {
    static PyObject *const derived = PyUnicode_InternFromString("requires_grad"), *const negated = PyUnicode_InternFromString("is_neg");
    PyObject* const wanted = derived ? PyObject_GetAttr(x, derived) : nullptr;
    PyObject* const turned = wanted == Py_False && negated ? PyObject_CallMethodNoArgs(x, negated) : nullptr;
    const bool plain = turned == Py_False;
    Py_XDECREF(wanted);
    Py_XDECREF(turned);
    return !plain;
}

// x -> the result, or None where it takes the long way.
PyObject* call_on_tensor(PyObject* self, PyObject* x) {
    const auto* call = static_cast<const TensorCall*>(PyCapsule_GetPointer(self, tensor_call_name));
    if (!call) return nullptr;
    dlpack::Tensor in{};
    sigmax::Dtype dtype;
    if (call->exchange->look_at(x, &in) != 0 || has_more_to_it(x)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    std::int64_t count = 1;
    for (int i = 0; i < in.ndim; ++i) count *= in.shape[i];
    if (in.device != dlpack::cpu || !in.data || count == 0 || count * in.bits / 8 > most_in_a_block || !dlpack::dtype_of(in, dtype) ||
        !dlpack::is_contiguous(in) || (call->rows && in.ndim == 0))
        Py_RETURN_NONE;
    dlpack::Managed* made = dlpack::make_like(in, call->rows && !call->rows->per_class ? in.ndim - 1 : in.ndim);
    if (!made) return PyErr_NoMemory();
    const npy_intp size = in.bits / 8;
    char *from = static_cast<char*>(in.data) + in.offset, *to = static_cast<char*>(made->tensor.data);
    unsigned status = 0;
    if (call->rows) {
        sigmax::RowBatch batch{};
        batch.classes = in.shape[in.ndim - 1];
        batch.rows = count / batch.classes;
        batch.x = {from, batch.classes * size, size, dtype};
        if (call->rows->per_class)
            batch.y = {to, batch.classes * size, size, dtype};
        else
            batch.results[0] = {to, size, 0, dtype};
        status = run_released(*call->rows, batch);
    } else {
        link_released(*call->link, from, to, size, dtype, count);
    }
    void* y = nullptr;
    if (status & unsigned(Status::no_memory)) {
        made->end(made);
        return PyErr_NoMemory();
    }
    if (call->exchange->to_object(made, &y) != 0) {
        made->end(made);
        return nullptr;
    }
    return static_cast<PyObject*>(y);
}
PyMethodDef tensor_method = {"on_tensor", call_on_tensor, METH_O, nullptr};

// (name, the capsule of `__dlpack_c_exchange_api__`) -> that function of one tensor; None if this library's version is not known.
PyObject* on_tensors(PyObject*, PyObject* args) {
    const char* name;
    PyObject* capsule;
    if (!PyArg_ParseTuple(args, "sO", &name, &capsule)) return nullptr;
    const auto* exchange = static_cast<const dlpack::Exchange*>(PyCapsule_GetPointer(capsule, "dlpack_exchange_api"));
    if (!exchange) return nullptr;
    if (exchange->version.major != 1 || !exchange->look_at || !exchange->to_object) Py_RETURN_NONE;
    const sigmax::RowFunction* rows = sigmax::find_row_function(*level, name);
    const sigmax::Link* link = rows ? nullptr : sigmax::find_link(*level, name);
    if (!rows && (!link || link->inputs != 1 || link->outputs != 1))
        return PyErr_Format(PyExc_LookupError, "the core has no function of one array %s", name);
    auto* call = new TensorCall{exchange, rows, link};  // never freed, like the functions of a module
    PyObject* self = PyCapsule_New(call, tensor_call_name, nullptr);
    PyObject* function = self ? PyCFunction_NewEx(&tensor_method, self, nullptr) : nullptr;
    Py_XDECREF(self);
    return function;
}

}  // namespace
