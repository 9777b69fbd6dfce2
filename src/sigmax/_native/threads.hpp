// Work on large arrays, shared out among threads.
//
// A pool of waiting threads, made when it is first needed. The caller works too; pieces are taken one by one, so a core that is
// busy with something else holds nobody up. One call at a time has the pool: whoever comes while it is taken (another thread of
// the program, or a worker of Dask or joblib) works alone, which is what a machine with all cores busy wants anyway. A child of
// fork() begins without a pool. Results never depend on any of this: pieces are whole rows or elements, and each is worked on with
// floating-point arithmetic as it should be.
//
// Waking a thread costs the caller some 50 us on a virtual machine (the other core has to be interrupted), handing work to one that
// is awake less than one. So a thread that has been woken looks for more work for `patience` before it sleeps again: as long as a step of
// training has between a loss and its derivative, and no longer, because a thread that spins takes the core from whoever comes next. And
// a call wakes the others only if it is large, or if it follows another one so closely that the next will find them awake.
//
// Where PyTorch is in use the work goes to its OpenMP threads instead: they are awake already, look for work for milliseconds, and yield
// the core to nobody (a softmax of 256 x 1,000 with a sum, forward and back, on two cores: 600 us by a pool of our own, 385 by theirs).
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "clean_floats.hpp"

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sigmax::threads {

inline int available() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const unsigned n = std::thread::hardware_concurrency();
    return n ? static_cast<int>(n) : 1;
}

// Where the calling thread runs, and away from there. A thread is often woken on the core of whoever woke it, and may then share it
// with the caller for milliseconds while another core is idle.
inline int this_core() {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}
inline void leave_core([[maybe_unused]] int core) {
#if defined(__linux__)
    cpu_set_t all;
    if (core < 0 || sched_getaffinity(0, sizeof all, &all) != 0) return;
    cpu_set_t others = all;
    CPU_CLR(core, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof all, &all);
#endif
}

using Clock = std::chrono::steady_clock;
inline constexpr std::chrono::microseconds patience{200};

// Whether `ready` became true within `patience`.
template <class Ready>
bool soon(Ready ready) {
    const auto end = Clock::now() + patience;
    do {
        for (int i = 0; i < 32; ++i) {
            if (ready()) return true;
#if defined(__x86_64__)
            _mm_pause();
#endif
        }
        std::this_thread::yield();  // whoever it waits for may want this core
    } while (Clock::now() < end);
    return false;
}

class Pool {
public:
    // Go on with so many helpers, started and ended as need be; with fewer where the system starts no more.
    void resize(int helpers) {
        std::lock_guard<std::mutex> lock(mutex_);
        wanted_ = helpers;
        wake_.notify_all();  // so that those above leave
        try {
            if (static_cast<int>(there_.size()) < helpers) there_.resize(helpers, false);
            for (int i = 0; i < helpers; ++i) {
                if (there_[i]) continue;
                std::thread([this, i] { serve(i); }).detach();  // until it is not wanted, or the process ends
                there_[i] = true;
                ++helpers_;
            }
        } catch (const std::exception&) {  // no memory, or a limit on threads: those that are there do the work
        }
    }
    int wanted() const { return wanted_; }
    int helpers() const { return helpers_; }
    long pieces_of_helpers() const { return by_helpers_; }

    // Whether work that is not worth waking anybody for finds somebody awake, or will the next time.
    bool is_near() const { return awake_ > 0 || Clock::now().time_since_epoch() - patience < last_.load(); }
    void remember_call() { last_ = Clock::now().time_since_epoch(); }

    // work(i) for every i < pieces. False, and nothing done, if another caller has the pool.
    template <class Work>
    bool run(std::ptrdiff_t pieces, Work& work) {
        std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
        if (!owner) return false;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            call_ = [](void* w, std::ptrdiff_t i) { (*static_cast<Work*>(w))(i); };
            work_ = &work;
            pieces_ = pieces;
            core_ = this_core();
            next_.store(0);
            open_ = true;
        }
        wake_.notify_all();
        take_pieces();
        {
            std::lock_guard<std::mutex> lock(mutex_);
            open_ = false;
        }
        soon([&] { return active_ == 0; });
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [&] { return active_ == 0; });
        return true;
    }

private:
    bool has_pieces() const { return open_ && next_ < pieces_; }
    long take_pieces() {
        long taken = 0;
        for (std::ptrdiff_t i; (i = next_.fetch_add(1)) < pieces_; ++taken) call_(work_, i);
        return taken;
    }
    void serve(int number) {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            if (number < wanted_ && !has_pieces()) wake_.wait(lock);
            if (number >= wanted_) break;
            ++awake_;
            for (bool more = true; more;) {  // whoever wakes too late finds nothing, but is awake for the next call
                if (has_pieces() && this_core() == core_) {
                    lock.unlock();
                    leave_core(core_);
                    lock.lock();
                }
                if (has_pieces()) {
                    ++active_;
                    lock.unlock();
                    by_helpers_ += take_pieces();
                    lock.lock();
                    if (--active_ == 0) done_.notify_one();
                }
                lock.unlock();
                more = soon([&] { return has_pieces(); });
                lock.lock();
            }
            --awake_;
        }
        there_[number] = false;
        --helpers_;
    }

    std::mutex owner_, mutex_;
    std::condition_variable wake_, done_;
    void (*call_)(void*, std::ptrdiff_t) = nullptr;
    void* work_ = nullptr;
    std::atomic<std::ptrdiff_t> pieces_{0}, next_{0};
    std::atomic<bool> open_{false};
    std::atomic<int> active_{0}, awake_{0};
    std::atomic<Clock::duration> last_{Clock::duration::min() / 2};
    std::atomic<int> core_{-1};  // the caller's
    std::vector<bool> there_;    // which helpers run, by number
    std::atomic<int> wanted_{0}, helpers_{0};
    std::atomic<long> by_helpers_{0};  // pieces of work, so that tests can see that they do any
};

// OpenMP's threads where another library has them, by GOMP_parallel, which calls work(data) on so many at once.
struct Team {
    void (*parallel)(void (*work)(void*), void* data, unsigned threads, unsigned flags);
    int (*most)();  // threads, as its library has been told
};
inline std::atomic<const Team*> team{nullptr}, offered{nullptr};
inline std::atomic<bool> is_child{false};  // of fork, where the threads of a team are gone, and it does not know
inline std::mutex team_owner;
inline std::atomic<long> pieces_of_team{0};

// With the first array of that library's: whoever has imported it and calls on others' may want it to itself in a child of fork, where
// it waits for ever for threads that its parent had.
inline void meet_team() {
    if (offered.load(std::memory_order_relaxed)) team = offered.exchange(nullptr);
}

// OpenMP makes threads for each thread that asks, for good, and ends the process where it cannot: it is asked by the main thread alone,
// for no more than its library uses itself.
inline const Team* team_of_this_thread() {
#if defined(__linux__)
    static thread_local const bool is_main = getpid() == gettid();
    return is_main ? team.load() : nullptr;
#else
    return nullptr;
#endif
}
// As Pool::run.
template <class Work>
bool run_by_team(const Team* of, int threads, std::ptrdiff_t pieces, Work& work) {
    std::unique_lock<std::mutex> owner(team_owner, std::try_to_lock);
    if (!owner) return false;
    struct Call {
        Work* work;
        std::ptrdiff_t pieces;
        std::thread::id caller;
        std::atomic<std::ptrdiff_t> next{0};
    } call{&work, pieces, std::this_thread::get_id()};
    of->parallel(
        [](void* data) {
            Call& c = *static_cast<Call*>(data);
            long taken = 0;
            for (std::ptrdiff_t i; (i = c.next.fetch_add(1)) < c.pieces; ++taken) (*c.work)(i);
            if (std::this_thread::get_id() != c.caller) pieces_of_team += taken;
        },
        &call, static_cast<unsigned>(threads), 0);
    return true;
}

struct Settings {
    std::mutex mutex;
    int count = 1;         // of threads, the caller among them
    Pool* pool = nullptr;  // never freed: its threads hold on to it
};
inline Settings* settings = new Settings;

inline void set_count(int count) {
    std::lock_guard<std::mutex> lock(settings->mutex);
    settings->count = count;
    if (settings->pool && settings->pool->wanted() > count - 1) settings->pool->resize(count - 1);
}
inline int count() {
    std::lock_guard<std::mutex> lock(settings->mutex);
    return settings->count;
}
inline void forget_pool_in_children() {
#if !defined(_WIN32)
    pthread_atfork([] { settings->mutex.lock(); }, [] { settings->mutex.unlock(); },
                   [] {
                       team = offered = nullptr;
                       is_child = true;
                       const int count = settings->count;
                       settings = new Settings;  // the threads are gone, and a mutex of theirs may be locked for ever
                       settings->count = count;
                   });
#endif
}
inline Pool* pool() {
    std::lock_guard<std::mutex> lock(settings->mutex);
    const int helpers = settings->count - 1;
    if (helpers == 0) return nullptr;
    if (!settings->pool) settings->pool = new Pool;
    if (settings->pool->wanted() != helpers) settings->pool->resize(helpers);
    return settings->pool;
}
// How many pieces of work helpers have done so far.
inline long pieces_of_helpers() {
    std::lock_guard<std::mutex> lock(settings->mutex);
    return pieces_of_team + (settings->pool ? settings->pool->pieces_of_helpers() : 0);
}

// work(begin, end) over [0, count) in pieces of whole `grain`s, on all threads if `cost`, in numbers of a softmax, is worth it.
// Measured with a softmax of ten classes on two cores of Zen 4: 16,384 numbers take 10 us on one and 6.5 on two that are awake.
inline constexpr std::ptrdiff_t worth_sharing = 1 << 14, worth_a_team = 1 << 16, worth_waking = 2'000'000;
template <class Work>
void share(std::ptrdiff_t count, std::ptrdiff_t grain, std::ptrdiff_t cost, Work work) {
    const std::ptrdiff_t grains = (count + grain - 1) / grain;
    auto in_pieces = [&](int threads, auto run) {
        const std::ptrdiff_t pieces = 4 * threads < grains ? 4 * threads : grains;
        auto piece = [&](std::ptrdiff_t i) {
            const std::ptrdiff_t begin = grains * i / pieces * grain, end = grains * (i + 1) / pieces * grain;
            const CleanFloats clean;
            work(begin, end < count ? end : count);
        };
        return run(pieces, piece);
    };
    const Team* const of = team_of_this_thread();
    const int of_team = of ? std::min(sigmax::threads::count(), of->most()) : 0;
    Pool* const p = of_team < 2 && cost >= worth_sharing && grains > 1 ? pool() : nullptr;
    bool shared = false;
    if (of_team > 1 && cost >= worth_a_team && grains > 1)
        shared = in_pieces(of_team, [&](std::ptrdiff_t pieces, auto& piece) { return run_by_team(of, of_team, pieces, piece); });
    else if (p && (cost >= worth_waking || p->is_near()))
        shared = in_pieces(p->helpers() + 1, [&](std::ptrdiff_t pieces, auto& piece) { return p->run(pieces, piece); });
    if (!shared) {
        const CleanFloats clean;
        work(0, count);
    }
    if (p) p->remember_call();
}

}  // namespace sigmax::threads
