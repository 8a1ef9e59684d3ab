#include "core/env/fiber.h"

#include "core/base/check.h"

#include <boost/context/detail/fcontext.hpp>
#include <cxxabi.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

// boost::context::fiber jumps into a new stack inside its constructor, before a sanitizer can be
// told; so the two primitives below it are used, and every switch is announced.
#if defined(__has_feature)
#define PYRALOG_HAS_FEATURE(name) __has_feature(name)
#else
#define PYRALOG_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || PYRALOG_HAS_FEATURE(address_sanitizer)
#define PYRALOG_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define PYRALOG_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || PYRALOG_HAS_FEATURE(thread_sanitizer)
#define PYRALOG_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define PYRALOG_TSAN 0
#endif
#if defined(__clang__)
#define PYRALOG_NO_SANITIZE __attribute__((no_sanitize("address", "thread", "undefined")))
#else
#define PYRALOG_NO_SANITIZE                                                                        \
    __attribute__((no_sanitize_address, no_sanitize_thread, no_sanitize_undefined))
#endif

namespace pyralog {

namespace context = boost::context::detail;

namespace {

constexpr std::size_t guard_size = 4096;
constexpr std::size_t not_waiting_for_time = SIZE_MAX;

// A fiber that keeps waiting after Error::cancelled would never end.
constexpr int waits_while_cancelled_max = 1000;

// What the C++ runtime keeps per thread about exceptions in flight (Itanium ABI). It belongs to a
// stack, so each fiber has its own.
struct ExceptionState {
    void* caught = nullptr;
    unsigned uncaught = 0;
};

ExceptionState exchange_exception_state(ExceptionState state) {
    void* globals = abi::__cxa_get_globals();
    ExceptionState before;
    std::memcpy(&before, globals, sizeof before);
    std::memcpy(globals, &state, sizeof state);
    return before;
}

#if PYRALOG_ASAN
// AddressSanitizer has what a function leaves behind on a fake stack beside the real one. To map
// and to clear one takes longer than most fibers run, so it stays with the real one, which begins
// with where it is (null for a new one), and the next fiber has both.
void*& fake_stack_of(std::byte* low) { return *reinterpret_cast<void**>(low); }

// It is the stack that is left for good that loses its fake one; so it is entered and left.
PYRALOG_NO_SANITIZE void destroy_fake_stack(std::byte* low) {
    void* ours = nullptr;
    const void* our_low = nullptr;
    std::size_t our_size = 0;
    __sanitizer_start_switch_fiber(&ours, low, StackPool::stack_size);
    __sanitizer_finish_switch_fiber(fake_stack_of(low), &our_low, &our_size);
    __sanitizer_start_switch_fiber(nullptr, our_low, our_size);
    __sanitizer_finish_switch_fiber(ours, nullptr, nullptr);
}
#endif

} // namespace

class Fiber {
public:
    Fiber(Scope* home, std::string_view fiber_name, std::uint64_t number, std::byte* stack)
        : scope(home), name(fiber_name), id(number), stack_low(stack) {
        self = context::make_fcontext(stack_low + StackPool::stack_size, StackPool::stack_size,
                                      &Fiber::enter);
#if PYRALOG_TSAN
        tsan_self = __tsan_create_fiber(0);
#endif
    }
    ~Fiber() {
#if PYRALOG_TSAN
        __tsan_destroy_fiber(tsan_self);
#endif
    }

    // From the Scheduler into the fiber, until it leaves.
    __attribute__((noinline)) void resume() {
        const ExceptionState outside = exchange_exception_state(exceptions);
#if PYRALOG_ASAN
        void* fake = nullptr;
        __sanitizer_start_switch_fiber(&fake, stack_low, StackPool::stack_size);
#endif
#if PYRALOG_TSAN
        tsan_caller = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(tsan_self, 0);
#endif
        self = context::jump_fcontext(self, this).fctx;
#if PYRALOG_ASAN
        __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
        exceptions = exchange_exception_state(outside);
    }

    // From the fiber back to the Scheduler. A finished fiber does not come back.
    __attribute__((noinline)) void leave() {
#if PYRALOG_ASAN
        __sanitizer_start_switch_fiber(&fake_stack_of(stack_low), caller_low, caller_size);
#endif
#if PYRALOG_TSAN
        __tsan_switch_to_fiber(tsan_caller, 0);
#endif
        caller = context::jump_fcontext(caller, nullptr).fctx;
#if PYRALOG_ASAN
        __sanitizer_finish_switch_fiber(fake_stack_of(stack_low), &caller_low, &caller_size);
#endif
    }

    Scope* scope;
    Fiber* scope_previous = nullptr;
    Fiber* scope_next = nullptr;
    std::string_view name;
    std::uint64_t id;
    std::byte* stack_low;
    std::unique_ptr<FiberBody> body;
    std::vector<Scope*> open; // The Scopes that this fiber has opened, oldest first.
    Deadline* deadline = nullptr;
    Time wake_at{};
    std::size_t expiry_place = not_waiting_for_time;
    bool ready = false;
    bool parked = false;
    bool expired = false; // The wait ended because its time had come.
    bool cancelled = false;
    bool finished = false;
    int waits_while_cancelled = 0;
    std::uint64_t mark = 0;

private:
    PYRALOG_NO_SANITIZE static void enter(context::transfer_t from) noexcept {
        auto* fiber = static_cast<Fiber*>(from.data);
        fiber->caller = from.fctx;
        fiber->live();
        fiber->leave();
        check_failed("a finished fiber is never resumed", __FILE__, __LINE__);
    }

    // Not inlined: the frame that ends with the last switch must not be an instrumented one.
    __attribute__((noinline)) void live() {
#if PYRALOG_ASAN
        __sanitizer_finish_switch_fiber(fake_stack_of(stack_low), &caller_low, &caller_size);
#endif
        body->run();
        body.reset(); // Captures die on the fiber, where their destructors may still wait.
        finished = true;
    }

    context::fcontext_t self{};
    context::fcontext_t caller{};
    ExceptionState exceptions;
#if PYRALOG_ASAN
    const void* caller_low = nullptr;
    std::size_t caller_size = 0;
#endif
#if PYRALOG_TSAN
    void* tsan_self = nullptr;
    void* tsan_caller = nullptr;
#endif
};

// ---- StackPool ----

namespace {

void unmap(std::byte* low) {
#if PYRALOG_ASAN
    destroy_fake_stack(low);
    __lsan_unregister_root_region(low, StackPool::stack_size);
#endif
    CHECK(munmap(low - guard_size, StackPool::stack_size + guard_size) == 0);
}

} // namespace

StackPool::~StackPool() {
    for (std::byte* low : free_) unmap(low);
}

std::byte* StackPool::take() {
    if (!free_.empty()) {
        std::byte* low = free_.back();
        free_.pop_back();
        return low;
    }
    void* memory = mmap(nullptr, stack_size + guard_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(mprotect(memory, guard_size, PROT_NONE) == 0);
    std::byte* low = static_cast<std::byte*>(memory) + guard_size;
#if PYRALOG_ASAN
    __lsan_register_root_region(low, stack_size); // What only a waiting fiber owns is not a leak.
#endif
    return low;
}

void StackPool::give(std::byte* low) {
#if PYRALOG_ASAN
    __asan_unpoison_memory_region(low, stack_size); // The last frames never returned.
#endif
    if (free_.size() < kept_max)
        free_.push_back(low);
    else
        unmap(low);
}

// ---- Scheduler ----

Scheduler::Scheduler(StackPool& stacks) : stacks_(stacks) {}
Scheduler::~Scheduler() { CHECK(alive_count_ == 0); }

Fiber& Scheduler::launch(Scope* scope, std::string_view name, std::unique_ptr<FiberBody> body) {
    auto* fiber = new Fiber(scope, name, ++started_, stacks_.take());
    fiber->body = std::move(body);
    if (scope) {
        fiber->cancelled = scope->cancelled_;
        fiber->scope_previous = scope->last_;
        (scope->last_ ? scope->last_->scope_next : scope->first_) = fiber;
        scope->last_ = fiber;
        ++scope->count_;
    } else {
        roots_.push_back(fiber);
    }
    ++alive_count_;
    fiber->ready = true;
    ready_.push_back(fiber);
    return *fiber;
}

void Scheduler::run_one(std::size_t pick) {
    CHECK(pick < ready_.size() && current_ == nullptr);
    Fiber* fiber = ready_[pick];
    ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(pick));
    fiber->ready = false;
    current_ = fiber;
    ++switches_;
    fiber->resume();
    current_ = nullptr;
    if (fiber->finished) finish(*fiber);
}

std::uint64_t& Scheduler::ready_mark(std::size_t pick) {
    CHECK(pick < ready_.size());
    return ready_[pick]->mark;
}

void Scheduler::finish(Fiber& fiber) {
    CHECK(fiber.open.empty() && fiber.deadline == nullptr);
    if (Scope* scope = fiber.scope) {
        Fiber* const before = fiber.scope_previous;
        Fiber* const after = fiber.scope_next;
        (before ? before->scope_next : scope->first_) = after;
        (after ? after->scope_previous : scope->last_) = before;
        if (--scope->count_ == 0 && scope->joining_) wake(scope->opener_);
    } else {
        std::erase(roots_, &fiber);
    }
    stacks_.give(fiber.stack_low);
    --alive_count_;
    delete &fiber;
}

Fiber& Scheduler::current() {
    CHECK(current_ != nullptr);
    return *current_;
}

bool Scheduler::cancelled() { return current().cancelled; }

void Scheduler::wake(Fiber& fiber) {
    if (fiber.ready || !fiber.parked) return;
    expiry_remove(fiber);
    fiber.ready = true;
    ready_.push_back(&fiber);
}

void Scheduler::cancel(Fiber& fiber) {
    fiber.cancelled = true;
    for (Scope* scope : fiber.open) scope->cancel();
    wake(fiber);
}

void Scheduler::cancel_all() {
    for (Fiber* root : roots_) cancel(*root);
}

void Scheduler::suspend() {
    Fiber& fiber = current();
    fiber.parked = true;
    fiber.leave();
    fiber.parked = false;
}

void Scheduler::yield() {
    Fiber& fiber = current();
    fiber.ready = true;
    ready_.push_back(&fiber);
    fiber.leave();
}

Result<> Scheduler::park() { return park_until({}); }

Result<> Scheduler::sleep_until(Time when) {
    for (;;) {
        Fiber& fiber = current();
        if (fiber.deadline && fiber.deadline->when_ < when) {
            TRY(park_until({}));
            continue; // A wake without a reason.
        }
        const Result<> ended = park_until(when);
        if (!ended.ok()) {
            if (ended.error() == Error::timed_out) return {};
            return ended.error();
        }
    }
}

Result<> Scheduler::park_until(std::optional<Time> own) {
    Fiber& fiber = current();
    if (fiber.cancelled) {
        CHECK(++fiber.waits_while_cancelled < waits_while_cancelled_max);
        return Error::cancelled;
    }
    if (own)
        expiry_insert(fiber, *own);
    else if (fiber.deadline)
        expiry_insert(fiber, fiber.deadline->when_);
    suspend();
    CHECK(fiber.expiry_place == not_waiting_for_time);
    const bool expired = std::exchange(fiber.expired, false);
    if (fiber.cancelled) return Error::cancelled;
    if (expired) return Error::timed_out;
    return {};
}

// ---- Waiting for a time ----

bool Scheduler::earlier(const Fiber& a, const Fiber& b) {
    return a.wake_at != b.wake_at ? a.wake_at < b.wake_at : a.id < b.id;
}

void Scheduler::sift(std::size_t place) {
    Fiber* fiber = expiries_[place];
    while (place > 0 && earlier(*fiber, *expiries_[(place - 1) / 2])) {
        expiries_[place] = expiries_[(place - 1) / 2];
        expiries_[place]->expiry_place = place;
        place = (place - 1) / 2;
    }
    for (;;) {
        std::size_t child = 2 * place + 1;
        if (child >= expiries_.size()) break;
        if (child + 1 < expiries_.size() && earlier(*expiries_[child + 1], *expiries_[child]))
            ++child;
        if (!earlier(*expiries_[child], *fiber)) break;
        expiries_[place] = expiries_[child];
        expiries_[place]->expiry_place = place;
        place = child;
    }
    expiries_[place] = fiber;
    fiber->expiry_place = place;
    earliest_ = expiries_.front()->wake_at;
}

void Scheduler::expiry_insert(Fiber& fiber, Time when) {
    fiber.wake_at = when;
    expiries_.push_back(&fiber);
    sift(expiries_.size() - 1);
}

void Scheduler::expiry_remove(Fiber& fiber) {
    const std::size_t place = std::exchange(fiber.expiry_place, not_waiting_for_time);
    if (place == not_waiting_for_time) return;
    Fiber* last = expiries_.back();
    expiries_.pop_back();
    if (last == &fiber) return;
    expiries_[place] = last;
    sift(place);
}

void Scheduler::expire(Time now) {
    while (!expiries_.empty() && expiries_.front()->wake_at <= now) {
        Fiber& fiber = *expiries_.front();
        fiber.expired = true;
        wake(fiber);
    }
}

// ---- Scope ----

Scope::Scope(Scheduler& fibers) : fibers_(fibers), opener_(fibers.current()) {
    opener_.open.push_back(this);
    cancelled_ = opener_.cancelled;
}

Scope::~Scope() {
    cancel();
    join();
    CHECK(opener_.open.back() == this);
    opener_.open.pop_back();
}

void Scope::cancel() {
    if (std::exchange(cancelled_, true)) return;
    for (Fiber* fiber = first_; fiber; fiber = fiber->scope_next) fibers_.cancel(*fiber);
}

void Scope::join() {
    CHECK(&fibers_.current() == &opener_);
    joining_ = true;
    while (count_ > 0) fibers_.suspend();
    joining_ = false;
}

// ---- Deadline ----

Deadline::Deadline(Scheduler& fibers, Time when)
    : fiber_(fibers.current()), when_(when), outer_(fiber_.deadline) {
    if (outer_) when_ = std::min(when_, outer_->when_);
    fiber_.deadline = this;
}

Deadline::~Deadline() {
    CHECK(fiber_.deadline == this);
    fiber_.deadline = outer_;
}

// ---- Condition, Signal ----

Result<> Condition::wait_once() {
    Fiber& fiber = fibers_.current();
    waiting_.push_back(&fiber);
    const Result<> ended = fibers_.park();
    // Gone already if notify_all() was what ended the wait.
    if (const auto place = std::find(waiting_.begin(), waiting_.end(), &fiber);
        place != waiting_.end())
        waiting_.erase(place);
    return ended;
}

// Waking runs nobody, so nobody comes to wait meanwhile; and the memory stays for those who will.
void Condition::notify_all() {
    for (Fiber* fiber : waiting_) fibers_.wake(*fiber);
    waiting_.clear();
}

void Signal::set() {
    set_ = true;
    if (waiter_) fibers_.wake(*waiter_);
}

Result<> Signal::wait() {
    waiter_ = &fibers_.current();
    Result<> ended;
    while (!set_ && ended.ok()) ended = fibers_.park();
    waiter_ = nullptr;
    if (set_) return {};
    return ended;
}

void Signal::wait_through() {
    waiter_ = &fibers_.current();
    while (!set_) fibers_.suspend();
    waiter_ = nullptr;
}

} // namespace pyralog
