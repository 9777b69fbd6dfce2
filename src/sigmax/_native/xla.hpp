// The core for XLA, which compiles JAX: a handler of its foreign function interface, so that jitted code has the bits of all others.
//
// That interface is C (xla/ffi/api/c_api.h, major version 0). What of it is used stands here in our own words, so that nothing of
// jaxlib is needed to build: each structure begins with its size and a list of extensions, and grows at its end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include "shared.hpp"

namespace {
namespace xla {

struct Extension {
    std::size_t size;
    int kind;  // 1: asks about the handler
    Extension* next;
};
struct Head {
    std::size_t size;
    Extension* extensions;
};
struct Version : Head {
    int major, minor;
};
struct Error;
struct ErrorArguments : Head {
    const char* message;
    int code;
};
struct Api : Head {
    Version version;
    const void* internal;
    Error* (*make_error)(ErrorArguments*);
};
struct Buffer : Head {
    int dtype;
    char* data;
    std::int64_t rank;
    const std::int64_t* lengths;
};
struct Buffers : Head {
    std::int64_t count;
    const int* kinds;
    Buffer** items;
};
struct Text {
    const char* begin;
    std::size_t size;
};
struct Number {
    int dtype;
    void* value;
};
struct Attributes : Head {
    std::int64_t count;
    const int* kinds;  // 3: a Number, 4: a Text
    Text** names;
    void** values;
};
struct Call : Head {
    const Api* api;
    void* context;
    int stage;  // 3: to be done
    Buffers operands, results;
    Attributes attributes;
};
struct About {  // a handler
    std::size_t size;
    Version version;
    std::uint32_t traits;
};
struct AboutExtension : Extension {
    About* about;
};
// What the compiler makes of them is what C makes of that header on the 64-bit machines that there are wheels for.
static_assert(std::is_standard_layout_v<Extension> && sizeof(Extension) == 24 && sizeof(Buffer) == 48 && sizeof(Attributes) == 48);
static_assert(sizeof(Call) == 40 + 40 + 40 + 48 && sizeof(Version) == 24 && sizeof(About) == 40);

constexpr int about_a_handler = 1, to_be_done = 3, number_attribute = 3, text_attribute = 4;
constexpr int invalid_argument = 3, resource_exhausted = 8, internal_error = 13;
constexpr int s32 = 4, s64 = 5, u32 = 8, u64 = 9, f16 = 10, f32 = 11, f64 = 12, bf16 = 16;

constexpr std::pair<int, sigmax::Dtype> floats[] = {
    {f16, sigmax::Dtype::float16}, {bf16, sigmax::Dtype::bfloat16}, {f32, sigmax::Dtype::float32}, {f64, sigmax::Dtype::float64}};

Error* failure(const Call& call, int code, const char* message) {
    ErrorArguments arguments{};
    arguments.size = sizeof arguments;
    arguments.message = message;
    arguments.code = code;
    return call.api->make_error(&arguments);
}

bool dtype_of(const Buffer& buffer, sigmax::Dtype& dtype) {
    for (auto [number, known] : floats) {
        if (buffer.dtype != number) continue;
        dtype = known;
        return true;
    }
    return false;
}
std::ptrdiff_t bytes_of(sigmax::Dtype dtype) { return dtype == sigmax::Dtype::float64 ? 8 : dtype == sigmax::Dtype::float32 ? 4 : 2; }

std::int64_t numbers_in(const Buffer& buffer) {
    std::int64_t count = 1;
    for (std::int64_t i = 0; i < buffer.rank; ++i) count *= buffer.lengths[i];
    return count;
}

template <class T>
T read(const char* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
double read_float(const char* from, sigmax::Dtype dtype) {  // one of 32 or 64 bits
    return dtype == sigmax::Dtype::float64 ? read<double>(from) : double{read<float>(from)};
}

std::string_view text_attribute_of(const Call& call, std::string_view name) {
    const Attributes& a = call.attributes;
    for (std::int64_t i = 0; i < a.count; ++i)
        if (a.kinds[i] == text_attribute && name == std::string_view(a.names[i]->begin, a.names[i]->size)) {
            const Text& text = *static_cast<const Text*>(a.values[i]);
            return {text.begin, text.size};
        }
    return {};
}
double number_attribute_of(const Call& call, std::string_view name) {
    const Attributes& a = call.attributes;
    for (std::int64_t i = 0; i < a.count; ++i)
        if (a.kinds[i] == number_attribute && name == std::string_view(a.names[i]->begin, a.names[i]->size)) {
            const Number& number = *static_cast<const Number*>(a.values[i]);
            return number.dtype == f64 ? read<double>(static_cast<const char*>(number.value)) : 0;
        }
    return 0;
}

template <class F>
const F* find(const sigmax::Table<F>& table, std::string_view name) {
    for (const F& f : table)
        if (name == f.name) return &f;
    return nullptr;
}

// ---- elementwise ----

Error* run_link(const Call& call, const sigmax::Link& f) {
    const auto fits = [&](const Buffer& b) { return numbers_in(b) == numbers_in(*call.operands.items[0]); };
    sigmax::LinkBatch batch{};
    if (call.operands.count != f.inputs || call.results.count != f.outputs) return failure(call, internal_error, "operands of a function");
    for (int i = 0; i < f.inputs; ++i) {
        const Buffer& b = *call.operands.items[i];
        if (!dtype_of(b, batch.x[i].dtype) || !fits(b)) return failure(call, internal_error, "an operand of an elementwise function");
        batch.x[i].data = b.data;
        batch.x[i].step = bytes_of(batch.x[i].dtype);
    }
    for (int i = 0; i < f.outputs; ++i) {
        const Buffer& b = *call.results.items[i];
        if (!dtype_of(b, batch.y[i].dtype) || !fits(b)) return failure(call, internal_error, "a result of an elementwise function");
        batch.y[i].data = b.data;
        batch.y[i].step = bytes_of(batch.y[i].dtype);
    }
    if (f.inputs == 2 && batch.x[1].step < 4) return failure(call, internal_error, "labels of 16 bits");
    const std::int64_t count = numbers_in(*call.operands.items[0]);
    sigmax::threads::share(count, 4096, count, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        constexpr std::ptrdiff_t most = 1024;
        double seconds[most];  // the core takes doubles there
        const std::ptrdiff_t step = f.inputs == 2 ? most : end - begin;
        for (std::ptrdiff_t at = begin; at < end; at += step) {
            sigmax::LinkBatch part = batch;
            part.count = end - at < step ? end - at : step;
            for (auto& x : part.x) x.data += at * x.step;
            for (auto& y : part.y) y.data += at * y.step;
            if (f.inputs == 2) {
                for (std::ptrdiff_t i = 0; i < part.count; ++i)
                    seconds[i] = read_float(part.x[1].data + i * part.x[1].step, part.x[1].dtype);
                part.x[1] = {reinterpret_cast<const char*>(seconds), 0, sizeof(double), sigmax::Dtype::float64};
            }
            f.loop(part);
        }
    });
    return nullptr;
}

// ---- over rows ----

// A batch, and what of its operands the core takes in another form: temperatures in terms to be added up, labels of any size.
struct Rows {
    sigmax::RowBatch batch{};
    std::ptrdiff_t terms = 0;
    int label = 0;
};

std::int64_t read_label(const char* from, int dtype) {
    switch (dtype) {
        case s32:
            return read<std::int32_t>(from);
        case u32:
            return read<std::uint32_t>(from);
        default:  // of u64 those beyond are below 0, and no classes either
            return read<std::int64_t>(from);
    }
}

void write_nan(const sigmax::Output& y, std::ptrdiff_t row, std::ptrdiff_t count) {
    for (std::ptrdiff_t k = 0; k < count; ++k) {
        char* to = y.data + row * y.row + k * y.step;
        const std::uint16_t half = y.dtype == sigmax::Dtype::float16 ? 0x7e00 : 0x7fc0;
        const float single = std::numeric_limits<float>::quiet_NaN();
        const double twice = std::numeric_limits<double>::quiet_NaN();
        if (y.dtype == sigmax::Dtype::float64)
            std::memcpy(to, &twice, sizeof twice);
        else if (y.dtype == sigmax::Dtype::float32)
            std::memcpy(to, &single, sizeof single);
        else
            std::memcpy(to, &half, sizeof half);
    }
}

// The temperatures and the labels of some rows as the core takes them. What cannot be refused here, a temperature that is none and a label that
// is no class, makes its row NaN.
class Converted {
public:
    static constexpr std::ptrdiff_t most = 512;
    // Rows beyond `most` are not looked at.
    Converted(const Rows& rows, sigmax::RowBatch& some) {
        std::fill_n(wrong_, some.rows, false);
        if (rows.terms) {
            const sigmax::Input& from = some.temperature;
            for (std::ptrdiff_t i = 0; i < some.rows; ++i) {
                temperature_[i] = 0;
                for (std::ptrdiff_t j = 0; j < rows.terms; ++j)
                    temperature_[i] += read_float(from.data + i * from.row + j * from.step, from.dtype);
                wrong_[i] = !(temperature_[i] >= 0);
                if (wrong_[i]) temperature_[i] = 1;
            }
            some.temperature = {reinterpret_cast<const char*>(temperature_), sizeof(double), 0, sigmax::Dtype::float64};
        }
        if (rows.label) {
            for (std::ptrdiff_t i = 0; i < some.rows; ++i) {
                const std::int64_t label = read_label(some.label.data + i * some.label.row, rows.label);
                const bool is_class = label >= 0 && label < some.classes;
                wrong_[i] = wrong_[i] || !is_class;
                label_[i] = is_class ? label : 0;
            }
            some.label = {reinterpret_cast<const char*>(label_), sizeof(std::int64_t), 0, sigmax::Dtype::float64};
        }
    }
    void finish(const sigmax::RowFunction& f, const sigmax::RowBatch& some) const {
        for (std::ptrdiff_t i = 0; i < some.rows; ++i) {
            if (!wrong_[i]) continue;
            if (f.results > 0) write_nan(some.results[0], i, 1);
            if (f.per_class) write_nan(some.y, i, some.classes);
        }
    }

private:
    double temperature_[most];
    std::int64_t label_[most];
    bool wrong_[most];
};

unsigned run_part(const sigmax::RowFunction& f, const Rows& rows, const sigmax::RowBatch& part) {
    const sigmax::RowLoop loop = loop_of(f, part);
    if (!rows.terms && !rows.label) return loop(part);
    unsigned status = 0;
    for (std::ptrdiff_t at = 0; at < part.rows; at += Converted::most) {
        sigmax::RowBatch some = rows_of(part, at, std::min(part.rows, at + Converted::most));
        const Converted converted(rows, some);
        status |= loop(some);
        converted.finish(f, some);
    }
    return status;
}

// `takes` has a letter for each operand: x, the scores; m, a mask; w, weights; l, labels; t, temperatures, in terms along the last axis.
Error* run_rows(const Call& call, const sigmax::RowFunction& f, std::string_view takes) {
    if (std::int64_t(takes.size()) != call.operands.count || takes.empty() || call.results.count != f.results + f.per_class)
        return failure(call, internal_error, "the operands of a function over rows");
    const Buffer& x = *call.operands.items[0];
    if (x.rank < 1) return failure(call, internal_error, "scores without an axis");
    Rows rows;
    sigmax::RowBatch& batch = rows.batch;
    batch.classes = x.lengths[x.rank - 1];
    batch.rows = 1;
    for (std::int64_t i = 0; i + 1 < x.rank; ++i) batch.rows *= x.lengths[i];
    if (batch.rows == 0) return nullptr;
    // Every operand and result has the rows of x, and some length along its last axis.
    const auto of_rows = [&](const Buffer& b, std::ptrdiff_t bytes, auto& operand) {
        const std::int64_t length = b.rank ? b.lengths[b.rank - 1] : 0;
        if (length * batch.rows != numbers_in(b)) return std::ptrdiff_t{-1};
        operand.data = b.data;
        operand.row = length * bytes;
        operand.step = bytes;
        return std::ptrdiff_t{length};
    };
    bool fits = true;
    for (std::size_t i = 0; i < takes.size(); ++i) {
        const Buffer& b = *call.operands.items[i];
        if (takes[i] == 'x' || takes[i] == 'w') {
            sigmax::Input& in = takes[i] == 'x' ? batch.x : batch.weights;
            fits = fits && dtype_of(b, in.dtype) && of_rows(b, bytes_of(in.dtype), in) == batch.classes;
        } else if (takes[i] == 'm') {
            fits = fits && of_rows(b, 1, batch.mask) == batch.classes;
        } else if (takes[i] == 'l') {
            rows.label = b.dtype;
            fits = fits && (b.dtype == s32 || b.dtype == u32 || b.dtype == s64 || b.dtype == u64) &&
                   of_rows(b, b.dtype == s32 || b.dtype == u32 ? 4 : 8, batch.label) == 1;
        } else if (takes[i] == 't') {
            fits = fits && dtype_of(b, batch.temperature.dtype) && bytes_of(batch.temperature.dtype) >= 4;
            rows.terms = of_rows(b, bytes_of(batch.temperature.dtype), batch.temperature);
            fits = fits && rows.terms > 0;
        } else {
            fits = false;
        }
    }
    for (int i = 0; i < f.results + f.per_class; ++i) {
        sigmax::Output& out = i < f.results ? batch.results[i] : batch.y;
        const Buffer& b = *call.results.items[i];
        fits = fits && dtype_of(b, out.dtype) && of_rows(b, bytes_of(out.dtype), out) == (i < f.results ? 1 : batch.classes);
    }
    if (!fits || f.weighted != bool(batch.weights.data) || f.labelled != bool(batch.label.data))
        return failure(call, internal_error, "an operand or a result of a function over rows");
    const double smoothing = number_attribute_of(call, "smoothing");
    if (f.smoothed) batch.smoothing = {reinterpret_cast<const char*>(&smoothing), 0, 0, sigmax::Dtype::float64};
    const unsigned status = in_parts_of_rows(f, batch, [&](const sigmax::RowBatch& part) { return run_part(f, rows, part); });
    return status & unsigned(Status::no_memory) ? failure(call, resource_exhausted, "sigmax: out of memory") : nullptr;
}

// Without the interpreter, on a thread of XLA's.
Error* handle(Call* call) {
    for (Extension* e = call->extensions; e; e = e->next)
        if (e->kind == about_a_handler) {
            About& about = *static_cast<AboutExtension*>(e)->about;
            about.version.major = 0;
            about.version.minor = 1;  // the oldest that all take; before 0.8 there is no call->api to ask
            about.traits = 0;
            return nullptr;
        }
    if (call->stage != to_be_done) return nullptr;
    const std::string_view name = text_attribute_of(*call, "function");
    for (const auto* table : level->rows)
        if (const auto* f = find(*table, name)) return run_rows(*call, *f, text_attribute_of(*call, "takes"));
    if (const auto* f = find(*level->links, name)) return run_link(*call, *f);
    return failure(*call, invalid_argument, "sigmax has no function of that name");
}

}  // namespace xla

// The handler, as jax.ffi.register_ffi_target takes it.
PyObject* xla_handler(PyObject*, PyObject*) { return PyCapsule_New(reinterpret_cast<void*>(xla::handle), nullptr, nullptr); }

}  // namespace
