// A flat row whose numbers are not to be had as they lie: of another type, apart from each other, or masked. A kernel that walks
// over it sees some thousand of them at a time, contiguous in T, so that a row of any length needs no more memory than that.
// Included once per level, hence no include guard.

template <class T>
class Windows {
public:
    static constexpr std::ptrdiff_t length = 1 << 14;  // whole blocks of softmax.hpp; with another one in the L2 cache
    bool suffice = true;                               // a kernel that wants to see the whole row says so

    // of scores; impossible ones, and those beyond the row, are `nothing`
    Windows(T* room, const Input& in, const Input& mask, std::ptrdiff_t classes, T nothing)
        : room_(room), in_(in), mask_(mask), classes_(classes), nothing_(nothing) {}
    // of results
    Windows(T* room, const Output& out, std::ptrdiff_t classes) : room_(room), out_(out), classes_(classes) {}

    // What lies there, or room for what will.
    T* at(std::ptrdiff_t first) {
        if (in_.data && first != loaded_) load(loaded_ = first);
        return room_;
    }
    // The numbers [begin, end) are results, and go where they belong.
    void deliver(std::ptrdiff_t begin, std::ptrdiff_t end) {
        if (end > classes_) end = classes_;
        if (begin < end) store_run(room_ + begin % length, out_.data + begin * out_.step, out_.step, end - begin, out_.dtype);
    }
    T one(std::ptrdiff_t k) const {
        T value = nothing_;
        if (k < classes_ && possible(k)) load_run(in_.data + k * in_.step, in_.step, 1, in_.dtype, &value);
        return value;
    }
    void put(std::ptrdiff_t k, T value) {
        if (k < classes_) store_run(&value, out_.data + k * out_.step, out_.step, 1, out_.dtype);
    }

private:
    T* room_;
    Input in_{}, mask_{};
    Output out_{};
    std::ptrdiff_t classes_, loaded_ = -1;
    T nothing_{};

    bool possible(std::ptrdiff_t k) const { return !mask_.data || mask_.data[k * mask_.step]; }
    [[gnu::noinline]] void load(std::ptrdiff_t first) {
        const std::ptrdiff_t rest = classes_ - first, count = rest < length ? rest : length;
        load_run(in_.data + first * in_.step, in_.step, count, in_.dtype, room_);
        if (mask_.data) hide(mask_.data + first * mask_.step, mask_.step, count, nothing_, room_);
        for (std::ptrdiff_t k = count; k < length; ++k) room_[k] = nothing_;
    }
};
