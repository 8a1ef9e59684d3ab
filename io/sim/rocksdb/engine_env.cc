#include "io/sim/rocksdb/engine_env.h"

#include "io/rocksdb/careful_files.h"
#include "io/sim/rocksdb/file_system.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace pyralog::sim {

namespace {

using rocksdb::IOOptions;
using rocksdb::Status;

class EngineClock final : public rocksdb::SystemClock {
public:
    // When worlds begin, to RocksDB: some day, not the first of all days.
    static constexpr std::chrono::seconds epoch{1'700'000'000};

    EngineClock(Timeline& timeline, Medium::AtOnce& at_once)
        : timeline_(timeline), at_once_(at_once) {}
    const char* Name() const override { return "SimulatedClock"; }
    std::uint64_t NowMicros() override { return static_cast<std::uint64_t>(now() / 1us); }
    std::uint64_t NowNanos() override { return static_cast<std::uint64_t>(now() / 1ns); }
    void SleepForMicroseconds(int time) override {
        at_once_.cost += std::chrono::microseconds(time);
    }
    Status GetCurrentTime(std::int64_t* time) override {
        *time = now() / 1s;
        return Status::OK();
    }
    std::string TimeToString(std::uint64_t time) override { return std::to_string(time); }

private:
    Duration now() const { return epoch + timeline_.now() + at_once_.cost; }

    Timeline& timeline_;
    Medium::AtOnce& at_once_;
};

std::string stream_name(NodeId node, std::uint64_t incarnation) {
    return "node/" + std::to_string(node.value) + "/engine/" + std::to_string(incarnation);
}

} // namespace

EngineEnv::EngineEnv(Timeline& timeline, NodeId node, std::uint64_t incarnation, SimDisk& disk,
                     Medium::AtOnce& at_once)
    : Env(rocks::careful(file_system_on(disk)), std::make_unique<EngineClock>(timeline, at_once)),
      dice_(timeline.root, stream_name(node, incarnation)),
      id_upper_(static_cast<std::uint64_t>(node.value)), id_lower_(incarnation << 32) {}

EngineEnv::~EngineEnv() { CHECK(jobs_.empty()); }

// ---- Backstage ----

bool EngineEnv::run_job() {
    if (jobs_.empty()) return false;
    const Job job = jobs_.front();
    jobs_.pop_front();
    const Inside inside(*this); // Seeded anew.
    job.function(job.argument);
    return true;
}

void EngineEnv::run_jobs() {
    std::size_t jobs = 0;
    while (run_job()) CHECK(++jobs < jobs_in_a_row_max);
}

std::pair<std::uint64_t, std::uint64_t> EngineEnv::unique_id() { return {id_upper_, ++id_lower_}; }

std::uint32_t EngineEnv::seed() { return static_cast<std::uint32_t>(dice_.pick(1u << 31)); }

// ---- Jobs ----

void EngineEnv::Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                         void (*dropped)(void*)) {
    jobs_.push_back({function, argument, priority, tag, dropped});
}

// Whoever closes a store counts on being told of each job that is not going to be done.
int EngineEnv::UnSchedule(void* tag, Priority priority) {
    const auto is_meant = [&](const Job& job) {
        return job.tag == tag && job.priority == priority;
    };
    std::deque<Job> dropped;
    std::ranges::copy_if(jobs_, std::back_inserter(dropped), is_meant);
    std::erase_if(jobs_, is_meant);
    for (const Job& job : dropped)
        if (job.dropped) job.dropped(job.argument);
    return static_cast<int>(dropped.size());
}

void EngineEnv::StartThread(void (*)(void*), void*) {
    check_failed("RocksDB starts no thread", __FILE__, __LINE__);
}

unsigned int EngineEnv::GetThreadPoolQueueLen(Priority priority) const {
    return static_cast<unsigned int>(
        std::ranges::count_if(jobs_, [&](const Job& job) { return job.priority == priority; }));
}

// With a pool for the last of all priorities, a manual compaction would wait for its threads.
int EngineEnv::GetBackgroundThreads(Priority priority) { return priority == BOTTOM ? 0 : 1; }

// ---- Identity ----

std::string EngineEnv::GenerateUniqueId() {
    const auto [upper, lower] = unique_id();
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%08llx-0000-4000-8000-%012llx",
                  static_cast<unsigned long long>(upper), static_cast<unsigned long long>(lower));
    return text.data();
}

Status EngineEnv::GetHostName(char* name, std::uint64_t size) {
    std::snprintf(name, size, "simulated");
    return Status::OK();
}

// ---- Files ----

Status EngineEnv::NewSequentialFile(const std::string&, std::unique_ptr<rocksdb::SequentialFile>*,
                                    const rocksdb::EnvOptions&) {
    return Status::NotSupported();
}
Status EngineEnv::NewRandomAccessFile(const std::string&,
                                      std::unique_ptr<rocksdb::RandomAccessFile>*,
                                      const rocksdb::EnvOptions&) {
    return Status::NotSupported();
}
Status EngineEnv::NewWritableFile(const std::string&, std::unique_ptr<rocksdb::WritableFile>*,
                                  const rocksdb::EnvOptions&) {
    return Status::NotSupported();
}
Status EngineEnv::NewDirectory(const std::string&, std::unique_ptr<rocksdb::Directory>*) {
    return Status::NotSupported();
}
Status EngineEnv::GetTestDirectory(std::string*) { return Status::NotSupported(); }
Status EngineEnv::NewLogger(const std::string&, std::shared_ptr<rocksdb::Logger>*) {
    return Status::NotSupported();
}

Status EngineEnv::FileExists(const std::string& path) {
    return file_system_->FileExists(path, IOOptions(), nullptr);
}
Status EngineEnv::GetChildren(const std::string& path, std::vector<std::string>* names) {
    return file_system_->GetChildren(path, IOOptions(), names, nullptr);
}
Status EngineEnv::DeleteFile(const std::string& path) {
    return file_system_->DeleteFile(path, IOOptions(), nullptr);
}
Status EngineEnv::CreateDir(const std::string& path) {
    return file_system_->CreateDir(path, IOOptions(), nullptr);
}
Status EngineEnv::CreateDirIfMissing(const std::string& path) {
    return file_system_->CreateDirIfMissing(path, IOOptions(), nullptr);
}
Status EngineEnv::DeleteDir(const std::string& path) {
    return file_system_->DeleteDir(path, IOOptions(), nullptr);
}
Status EngineEnv::GetFileSize(const std::string& path, std::uint64_t* size) {
    return file_system_->GetFileSize(path, IOOptions(), size, nullptr);
}
Status EngineEnv::GetFileModificationTime(const std::string& path, std::uint64_t* time) {
    return file_system_->GetFileModificationTime(path, IOOptions(), time, nullptr);
}
Status EngineEnv::RenameFile(const std::string& from, const std::string& to) {
    return file_system_->RenameFile(from, to, IOOptions(), nullptr);
}
Status EngineEnv::LockFile(const std::string& path, rocksdb::FileLock** lock) {
    return file_system_->LockFile(path, IOOptions(), lock, nullptr);
}
Status EngineEnv::UnlockFile(rocksdb::FileLock* lock) {
    return file_system_->UnlockFile(lock, IOOptions(), nullptr);
}
Status EngineEnv::GetAbsolutePath(const std::string& path, std::string* absolute) {
    return file_system_->GetAbsolutePath(path, IOOptions(), absolute, nullptr);
}

} // namespace pyralog::sim
