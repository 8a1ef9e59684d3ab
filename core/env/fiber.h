// core/env/fiber.h
//
// Fibers: functions that may wait, on one thread. A fiber runs until it waits, so whatever it does
// between two waits nobody else can see half done. This is the only code that switches stacks.
//
// The Scheduler knows nothing of clocks, files or sockets: a World wakes fibers when what they wait
// for has happened, tells the time through expire(), and picks who runs next among the ready ones:
// the first in production, any of them in the simulator, where every order that the code allows
// must be survivable.
//
// No stack is ever torn down from outside. A wait that is to end early returns an Error, and the
// function returns from there: cancellation (Error::cancelled) comes down from a Scope, the end of
// the time (Error::timed_out) from a Deadline. In the simulator a power cut is a cancelled node
// whose devices no longer answer.
#pragma once

#include "core/base/result.h"
#include "core/base/time.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace pyralog {

class Deadline;
class Fiber;
class Scheduler;
class Scope;

// What a fiber runs, with its type forgotten.
struct FiberBody {
    virtual ~FiberBody() = default;
    virtual void run() = 0;
};
template <class Function>
struct FiberBodyOf : FiberBody {
    explicit FiberBodyOf(Function f) : function(std::move(f)) {}
    void run() override { function(); }
    Function function;
};

// Memory for stacks, each with a guard page below it that turns an overflow into a fault. Stacks
// are kept for the next fiber, up to a limit. Belongs to a World and outlives its Schedulers.
class StackPool {
public:
    // Twice what the deepest path of ours and of RocksDB takes under a sanitizer, and then some; a
    // page that is never touched costs nothing.
    static constexpr std::size_t stack_size = 256 * 1024;
    static constexpr std::size_t kept_max = 1024;

    StackPool() = default;
    ~StackPool();
    StackPool(const StackPool&) = delete;
    StackPool& operator=(const StackPool&) = delete;

private:
    friend class Scheduler;
    std::byte* take(); // The lowest usable byte.
    void give(std::byte* low);

    std::vector<std::byte*> free_;
};

class Scheduler {
public:
    explicit Scheduler(StackPool& stacks);
    ~Scheduler(); // No fiber may be alive.
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    // ---- For a World ----

    // A fiber without a Scope: the node itself. `name` must outlive the fiber, like all names here.
    template <std::invocable Body>
    void start(std::string_view name, Body body) {
        launch(nullptr, name, std::make_unique<FiberBodyOf<Body>>(std::move(body)));
    }

    // Cancels every fiber without a Scope, and so everything. They still have to run to their ends.
    void cancel_all();

    bool idle() const { return ready_.empty(); }
    std::size_t ready_count() const { return ready_.size(); }
    std::size_t alive_count() const { return alive_count_; }
    void run_one(std::size_t pick = 0); // The pick-th of the ready fibers, until it waits.
    // A number of the World's own, which the pick-th of the ready fibers carries; 0 at first.
    std::uint64_t& ready_mark(std::size_t pick);

    // When expire() has something to do next.
    std::optional<Time> next_expiry() const {
        if (expiries_.empty()) return {};
        return earliest_;
    }
    // Ends every wait that was to end at `now` or before, in the order of their times.
    void expire(Time now);

    std::uint64_t switches() const { return switches_; }

    // ---- For those who wait ----

    // Suspends the current fiber until somebody wakes it. A wake says only "look again": whoever
    // parks does it in a loop around its condition. At once Error::cancelled in a cancelled Scope.
    Result<> park();

    // Error::timed_out if a Deadline ends before `when`.
    Result<> sleep_until(Time when);

    // Suspends until wake(), come what may. Only for what is sure to come: a child that is about to
    // end, a kernel that still holds a buffer of ours.
    void suspend();

    // Lets the others that are ready run first.
    void yield();

    // Makes a waiting fiber ready. Harmless if it is not waiting.
    void wake(Fiber& fiber);

    Fiber& current();
    bool inside() const { return current_ != nullptr; }
    bool cancelled(); // Is the current fiber?

private:
    friend class Deadline;
    friend class Scope;

    Fiber& launch(Scope* scope, std::string_view name, std::unique_ptr<FiberBody> body);
    void finish(Fiber& fiber);
    void cancel(Fiber& fiber);
    Result<> park_until(std::optional<Time> own);

    // Fibers that wait for a time, as a binary heap. Each knows its place in it, so that leaving
    // costs no search, and there are never more of them than fibers.
    void expiry_insert(Fiber& fiber, Time when);
    void expiry_remove(Fiber& fiber);
    void sift(std::size_t place);
    static bool earlier(const Fiber& a, const Fiber& b);

    StackPool& stacks_;
    std::deque<Fiber*> ready_;
    std::vector<Fiber*> expiries_;
    Time earliest_; // Of these: worlds ask for it far more often than it changes.
    std::vector<Fiber*> roots_;
    Fiber* current_ = nullptr;
    std::size_t alive_count_ = 0;
    std::uint64_t started_ = 0;
    std::uint64_t switches_ = 0;
};

// Owns fibers. The end of a Scope cancels what was spawned in it and waits for the last of it to
// return, so no fiber outlives the things it refers to. Cancelling reaches all the way down, to the
// Scopes that those fibers have opened; from then on every wait there returns Error::cancelled at
// once. Shutdown, a lost leadership and, in the simulator, a power cut all arrive like this: there
// is one path out of every function, and it is taken all day long.
//
// Opened and closed by the same fiber, innermost first.
class Scope {
public:
    explicit Scope(Scheduler& fibers);
    ~Scope(); // cancel(), then join().
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    // Any fiber may spawn here. In a cancelled Scope the body still starts, and ends at its first
    // wait. A Deadline of the caller does not reach into it.
    template <std::invocable Body>
    void spawn(std::string_view name, Body body) {
        fibers_.launch(this, name, std::make_unique<FiberBodyOf<Body>>(std::move(body)));
    }

    void cancel();
    void join(); // Waits for the last fiber. Not itself cancellable; cancelling goes through it.
    bool cancelled() const { return cancelled_; }
    std::size_t fiber_count() const { return count_; }

private:
    friend class Scheduler;
    Scheduler& fibers_;
    Fiber& opener_;
    Fiber* first_ = nullptr; // Spawned here and alive, oldest first.
    Fiber* last_ = nullptr;
    std::size_t count_ = 0;
    bool joining_ = false;
    bool cancelled_ = false;
};

// While one lives, waits of this fiber end with Error::timed_out at `when`. Deadlines nest; the
// earliest one counts.
class Deadline {
public:
    Deadline(Scheduler& fibers, Time when);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

private:
    friend class Scheduler;
    Fiber& fiber_;
    Time when_; // The earliest of this one and those around it.
    Deadline* outer_;
};

// Fibers wait here for the world to change. Wake-ups carry no value: look again, and decide.
class Condition {
public:
    explicit Condition(Scheduler& fibers) : fibers_(fibers) {}
    ~Condition() { CHECK(waiting_.empty()); }
    Condition(const Condition&) = delete;
    Condition& operator=(const Condition&) = delete;

    // Returns once ready() is true; in a cancelled Scope Error::cancelled even if it is.
    template <std::predicate Ready>
    Result<> wait(Ready ready) {
        if (fibers_.cancelled()) return fibers_.park();
        while (!ready()) TRY(wait_once());
        return {};
    }
    void notify_all();

private:
    Result<> wait_once();

    Scheduler& fibers_;
    std::vector<Fiber*> waiting_;
};

// Something that happens once, and one fiber that waits for it: a completion of a device.
class Signal {
public:
    explicit Signal(Scheduler& fibers) : fibers_(fibers) {}
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    void set();
    bool is_set() const { return set_; }

    // After an error the event may still come: who gave away a reference to this Signal, or to a
    // buffer, must take it back, or wait_through().
    Result<> wait();
    void wait_through(); // Neither cancelled nor timed out.

private:
    Scheduler& fibers_;
    Fiber* waiter_ = nullptr;
    bool set_ = false;
};

} // namespace pyralog
