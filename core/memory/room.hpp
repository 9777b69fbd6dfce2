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

// Of several parts, one after the other.
class Room {
public:
    template <class T>
    static std::size_t bytes(std::ptrdiff_t numbers) {
        return numbers ? (numbers * sizeof(T) + line - 1) / line * line + apart : 0;
    }
    explicit Room(std::size_t size) {
        if (size == 0) return;
        KeptMemory& kept = kept_memory;
        keeps_ = !kept.taken && size + line <= KeptMemory::most;
        if (keeps_ && kept.size < size) {
            kept.bytes.reset(new (std::nothrow) char[size + line]);
            kept.size = kept.bytes ? size : 0;
        }
        if (!keeps_) own_.reset(new (std::nothrow) char[size + line]);
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
    template <class T>
    T* part(std::ptrdiff_t numbers) {
        char* const p = next_;
        next_ += bytes<T>(numbers);
        return reinterpret_cast<T*>(p);
    }

private:
    static constexpr std::size_t line = 64, apart = 9 * line;  // parts of whole pages would want the same lines of a cache
    std::unique_ptr<char[]> own_;
    char* next_ = nullptr;
    bool keeps_ = false, failed_ = false;
};
