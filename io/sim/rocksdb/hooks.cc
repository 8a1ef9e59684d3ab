#include "io/sim/rocksdb/hooks.h"

#include "core/base/check.h"

#include <dlfcn.h>
#include <pthread.h>
#include <rocksdb/status.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

namespace pyralog::sim {

namespace {

thread_local Backstage* inside = nullptr;
HookCounts counts;
bool hooks_are_known = false;

[[noreturn]] void end(const char* what) {
    std::fprintf(stderr, "RocksDB cannot be simulated: %s\n", what);
    std::abort();
}

constexpr const char* wait_name = "_ZN7rocksdb4port7CondVar4WaitEv";
constexpr const char* timed_wait_name = "_ZN7rocksdb4port7CondVar9TimedWaitEm";
constexpr const char* register_name =
    "_ZN7rocksdb21PeriodicTaskScheduler8RegisterENS_16PeriodicTaskTypeERKSt8functionIFvvEEm";
constexpr const char* id_name = "_ZN7rocksdb25SemiStructuredUniqueIdGen12GenerateNextEPmS1_";

// RocksDB's own definition of what is defined here.
template <class Function>
Function* original(const char* name) {
    void* found = dlsym(RTLD_NEXT, name);
    if (!found) end(name);
    return reinterpret_cast<Function*>(found);
}

} // namespace

} // namespace pyralog::sim

// ---- RocksDB's names ----

#define PYRALOG_HOOK __attribute__((visibility("default")))

namespace rocksdb {

class PYRALOG_HOOK Random {
public:
    static Random* GetTLSInstance();
    std::uint32_t seed_;
};

class PYRALOG_HOOK SyncPoint {
public:
    static SyncPoint* GetInstance();
    void SetCallBack(const std::string& point, const std::function<void(void*)>& callback);
    void EnableProcessing();
};

enum class PeriodicTaskType : std::uint8_t;

class PYRALOG_HOOK PeriodicTaskScheduler {
public:
    Status Register(PeriodicTaskType type, const std::function<void()>& task, std::uint64_t period);
};

class PYRALOG_HOOK SemiStructuredUniqueIdGen {
public:
    void GenerateNext(std::uint64_t* upper, std::uint64_t* lower);
};

namespace port {

class PYRALOG_HOOK Mutex {
public:
    void Lock();
    void Unlock();
};

class PYRALOG_HOOK CondVar {
public:
    void Wait();
    bool TimedWait(std::uint64_t until_us);

private:
    // Nothing of ours: RocksDB's own constructor fills it in.
    [[maybe_unused]] pthread_cond_t condition_;
    Mutex* mutex_;
};

void CondVar::Wait() {
    using namespace pyralog::sim;
    if (!inside) {
        static const auto wait = original<void(CondVar*)>(wait_name);
        return wait(this);
    }
    ++counts.waits;
    mutex_->Unlock();
    if (!inside->run_job()) end("it waits for what nobody is going to do");
    mutex_->Lock();
}

// True: the time is over.
bool CondVar::TimedWait(std::uint64_t until_us) {
    using namespace pyralog::sim;
    if (!inside) {
        static const auto wait = original<bool(CondVar*, std::uint64_t)>(timed_wait_name);
        return wait(this, until_us);
    }
    ++counts.waits;
    mutex_->Unlock();
    const bool ran = inside->run_job();
    mutex_->Lock();
    return !ran;
}

} // namespace port

Status PeriodicTaskScheduler::Register(PeriodicTaskType type, const std::function<void()>& task,
                                       std::uint64_t period) {
    using namespace pyralog::sim;
    if (!inside) {
        using Function = Status(PeriodicTaskScheduler*, PeriodicTaskType,
                                const std::function<void()>&, std::uint64_t);
        static const auto do_register = original<Function>(register_name);
        return do_register(this, type, task, period);
    }
    ++counts.timers;
    return Status::OK();
}

void SemiStructuredUniqueIdGen::GenerateNext(std::uint64_t* upper, std::uint64_t* lower) {
    using namespace pyralog::sim;
    if (!inside) {
        using Function = void(SemiStructuredUniqueIdGen*, std::uint64_t*, std::uint64_t*);
        static const auto generate = original<Function>(id_name);
        return generate(this, upper, lower);
    }
    ++counts.ids;
    const auto id = inside->unique_id();
    *upper = id.first;
    *lower = id.second;
}

} // namespace rocksdb

// ---- Being inside ----

namespace pyralog::sim {

namespace {

// Where RocksDB asks malloc how large a block really is, it gives both numbers to a sync point.
void count_what_was_asked_for(void* block) {
    if (!inside) return;
    const auto& sizes = *static_cast<std::pair<std::size_t*, std::size_t*>*>(block);
    *sizes.first = *sizes.second;
}

// A small store may never get to a block, but it has an arena.
void count_arena(void*) {
    if (inside) ++counts.arenas;
}

bool set_sync_points() {
    rocksdb::SyncPoint* points = rocksdb::SyncPoint::GetInstance();
    points->SetCallBack("Arena::Arena:0", count_arena);
    points->SetCallBack("Arena::AllocateNewBlock:0", count_what_was_asked_for);
    points->EnableProcessing();
    return true;
}

// RocksDB finds our definition if whoever asks by name finds it.
void check_is_ours(const char* name) {
    Dl_info found{}, ours{};
    void* symbol = dlsym(RTLD_DEFAULT, name);
    if (!symbol || dladdr(symbol, &found) == 0 ||
        dladdr(reinterpret_cast<void*>(&check_is_ours), &ours) == 0 ||
        found.dli_fbase != ours.dli_fbase)
        end(name);
}

std::ptrdiff_t threads() {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), std::filesystem::directory_iterator());
}

} // namespace

Inside::Inside(Backstage& backstage) : outer_(inside) {
    static const bool once = set_sync_points();
    CHECK(once);
    inside = &backstage;
    constexpr std::uint32_t seed_max = 0x7fffffff; // Zero and this one are fixed points.
    rocksdb::Random::GetTLSInstance()->seed_ = 1 + backstage.seed() % (seed_max - 1);
}

Inside::~Inside() { inside = outer_; }

const HookCounts& hook_counts() { return counts; }

// The first store that opens speaks for all: what is linked does not change.
HookCheck::HookCheck() : is_first_(!hooks_are_known), before_(counts) {
    if (!is_first_) return;
    for (const char* name : {wait_name, timed_wait_name, register_name, id_name})
        check_is_ours(name);
    threads_before_ = threads();
}

void HookCheck::opened() const {
    if (!is_first_) return;
    if (counts.ids == before_.ids) end("its unique ids are its own");
    if (counts.timers == before_.timers) end("it has not asked for its timer");
    if (counts.arenas == before_.arenas) end("it asks malloc for sizes, and has no sync points");
    if (threads() != threads_before_) end("it has started a thread");
    hooks_are_known = true;
}

} // namespace pyralog::sim
