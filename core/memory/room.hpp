// Memory for the copies of rows, which a thread keeps from call to call: the system takes back what is freed of pieces this large, and
// clears it page by page when it is wanted again (one row of 131,072 halves a call: 2.0 ns a score, 0.6 so). Included once per level, hence no
// include guard.

struct KeptMemory {
    static constexpr std::size_t most = 5 << 18;  // bytes: scores and results of the longest copies, half a MiB each, and some
    std::unique_ptr<char[]> bytes;
    std::size_t size = 0;
    bool taken = false;  // a row in the limit is done by a call within the call
};
inline thread_local KeptMemory kept_memory;

// Some parts of as many numbers, one after the other.
template <class W>
class Room {
public:
    Room(int parts, std::ptrdiff_t numbers) : pitch_(numbers * sizeof(W) + apart) {
        const std::size_t size = parts * pitch_ + line;
        if (parts == 0) return;
        KeptMemory& kept = kept_memory;
        keeps_ = !kept.taken && size <= KeptMemory::most;
        if (keeps_ && kept.size < size) {
            kept.bytes.reset(new (std::nothrow) char[size]);
            kept.size = kept.bytes ? size : 0;
        }
        if (!keeps_) own_.reset(new (std::nothrow) char[size]);
        char* const memory = keeps_ ? kept.bytes.get() : own_.get();
        failed_ = !memory;
        keeps_ = keeps_ && memory;
        if (keeps_) kept.taken = true;
        next_ = memory + (line - reinterpret_cast<std::uintptr_t>(memory) % line);
    }
    Room(const Room&) = delete;
    ~Room() {
        if (keeps_) kept_memory.taken = false;
    }
    bool failed() const { return failed_; }
    W* part() {
        char* const p = next_;
        next_ += pitch_;
        return reinterpret_cast<W*>(p);
    }

private:
    static constexpr std::size_t line = 64, apart = 9 * line;  // so that parts of a page's multiple do not want the same lines of a cache
    std::size_t pitch_;
    std::unique_ptr<char[]> own_;
    char* next_ = nullptr;
    bool keeps_ = false, failed_ = false;
};
