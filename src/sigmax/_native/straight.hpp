// The straight way of a call that asks for nothing but a function of one array: from its memory to a result, in one step from Python. What is
// no array of NumPy's or tensor as the core takes it, and whatever somebody follows, takes the long way.
#pragma once

#include "direct.hpp"
#include "tensors.hpp"

namespace {

// The library whose tensors are known: their type; functions of nothing that are true while somebody follows what is done with tensors
// (a tracer, a transformation, a mode); where the level of derivatives that go forward stands, which is below 0 outside of them; and
// f(name, x), which is asked about tensors that nobody follows whose memory is not as the core takes it; it returns None for the long way.
PyObject *tensor_type = nullptr, *followers = nullptr, *forward_namespace = nullptr, *forward_level = nullptr, *other_tensors = nullptr;

bool is_tensor(PyObject* x) { return reinterpret_cast<PyObject*>(Py_TYPE(x)) == tensor_type; }

// Whether somebody follows, or it cannot be told.
bool are_followed() {
    PyObject* const depth = PyDict_GetItemWithError(forward_namespace, forward_level);
    if (!depth || !PyLong_Check(depth) || PyLong_AsLong(depth) >= 0) return true;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(followers); ++i) {
        PyObject* const found = PyObject_CallNoArgs(PyTuple_GET_ITEM(followers, i));
        const int follows = found ? PyObject_IsTrue(found) : 1;
        Py_XDECREF(found);
        if (follows) return true;
    }
    return false;
}

PyObject* straight_on_tensor(const sigmax::RowFunction* rows, const sigmax::Link* link, PyObject* x) {
    if (are_followed()) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    PyObject* const y = on_memory_of_tensor(rows, link, x);
    if (y != Py_None) return y;
    Py_DECREF(y);
    PyObject* const name = PyUnicode_InternFromString(rows ? rows->name : link->name);
    if (!name) return nullptr;
    PyObject* const asked[] = {name, x};
    PyObject* const found = PyObject_Vectorcall(other_tensors, asked, 2, nullptr);
    Py_DECREF(name);
    return found;
}

// Whether the axis of a call is the last of an array of `ndim`; -1 where it is to be asked for.
bool is_last(PyObject* axis, long ndim, PyObject* x) {
    if (!PyLong_CheckExact(axis)) return false;
    const long given = PyLong_AsLong(axis);
    if (given == -1) return !PyErr_Occurred();
    if (ndim < 0) {
        PyObject* const asked = PyObject_GetAttrString(x, "ndim");
        ndim = asked ? PyLong_AsLong(asked) : -1;
        Py_XDECREF(asked);
    }
    return given == ndim - 1 && given >= 0;
}

// (args, options) of a call of a function along an axis -> the result, or None where it takes the long way.
PyObject* call_straight(PyObject* self, PyObject* const* given, Py_ssize_t count) {
    static PyObject *const axis = PyUnicode_InternFromString("axis"), *const out = PyUnicode_InternFromString("out");
    const auto* f = static_cast<const sigmax::RowFunction*>(PyCapsule_GetPointer(self, direct_name));
    if (!f || !axis || !out) return nullptr;
    if (count != 2 || !PyTuple_CheckExact(given[0]) || !PyDict_CheckExact(given[1]))
        return PyErr_Format(PyExc_TypeError, "a straight function takes the arguments and options of a call");
    if (PyTuple_GET_SIZE(given[0]) != 1 || PyDict_GET_SIZE(given[1]) > 2) Py_RETURN_NONE;
    PyObject *const x = PyTuple_GET_ITEM(given[0], 0), *key, *value, *y = Py_None;
    const bool is_array = PyArray_CheckExact(x);
    if (!is_array && !is_tensor(x)) Py_RETURN_NONE;
    for (Py_ssize_t at = 0; PyDict_Next(given[1], &at, &key, &value);) {
        if (is_array && key == out) {
            y = value;
        } else if (key != axis || !is_last(value, is_array ? PyArray_NDIM(reinterpret_cast<PyArrayObject*>(x)) : -1, x)) {
            PyErr_Clear();
            Py_RETURN_NONE;
        }
    }
    return is_array ? rows_directly(*f, reinterpret_cast<PyArrayObject*>(x), y) : straight_on_tensor(f, nullptr, x);
}
PyMethodDef straight_method = {"straight", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_straight)), METH_FASTCALL,
                               nullptr};

PyObject* straight(PyObject*, PyObject* name) {
    const char* const wanted = PyUnicode_AsUTF8(name);
    if (!wanted) return nullptr;
    const sigmax::RowFunction* const f = sigmax::find_row_function(*level, wanted);
    if (!f || f->weighted || f->labelled) return PyErr_Format(PyExc_LookupError, "the core has no function of rows alone %s", wanted);
    PyObject* const self = PyCapsule_New(const_cast<sigmax::RowFunction*>(f), direct_name, nullptr);
    PyObject* const function = self ? PyCFunction_NewEx(&straight_method, self, nullptr) : nullptr;
    Py_XDECREF(self);
    return function;
}

PyObject* set_tensors(PyObject*, PyObject* args) {
    PyObject *type, *asked, *names, *key, *others;
    if (!PyArg_ParseTuple(args, "O!O!O!UO", &PyType_Type, &type, &PyTuple_Type, &asked, &PyDict_Type, &names, &key, &others))
        return nullptr;
    Py_XSETREF(followers, Py_NewRef(asked));
    Py_XSETREF(forward_namespace, Py_NewRef(names));
    Py_XSETREF(forward_level, Py_NewRef(key));
    Py_XSETREF(other_tensors, Py_NewRef(others));
    Py_XSETREF(tensor_type, Py_NewRef(type));  // the last: now they are
    Py_RETURN_NONE;
}

}  // namespace
