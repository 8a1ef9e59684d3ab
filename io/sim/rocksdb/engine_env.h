// io/sim/rocksdb/engine_env.h
//
// RocksDB's environment in one process of a simulated node: the node's disk, the world's time, and
// no threads. What RocksDB gives to a thread is queued and done when RocksDB waits for it, or after
// the call that gave it away; the jobs of a store never overlap its calls.
//
// Time is the world's, plus what the calls have taken that nobody has waited for yet.
#pragma once

#include "io/sim/disk.h"
#include "io/sim/rocksdb/hooks.h"
#include "io/sim/timeline.h"

#include <rocksdb/env.h>
#include <rocksdb/system_clock.h>

#include <deque>
#include <memory>
#include <string>

namespace pyralog::sim {

class EngineEnv final : public rocksdb::Env, public Backstage {
public:
    static constexpr std::size_t jobs_in_a_row_max = 100'000;

    EngineEnv(Timeline& timeline, NodeId node, std::uint64_t incarnation, SimDisk& disk,
              Medium::AtOnce& at_once);
    ~EngineEnv() override; // RocksDB has been closed.

    void run_jobs(); // Until none is left.

    // ---- Backstage ----

    bool run_job() override;
    std::pair<std::uint64_t, std::uint64_t> unique_id() override;
    std::uint32_t seed() override;

    // ---- Jobs ----

    void Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                  void (*dropped)(void*)) override;
    int UnSchedule(void* tag, Priority priority) override;
    void StartThread(void (*function)(void*), void* argument) override;
    unsigned int GetThreadPoolQueueLen(Priority priority) const override;
    void SetBackgroundThreads(int, Priority) override {}
    int GetBackgroundThreads(Priority priority) override;
    void IncBackgroundThreadsIfNeeded(int, Priority) override {}
    std::uint64_t GetThreadID() const override { return 1; }

    // ---- Time and identity ----

    const char* Name() const override { return "SimulatedNode"; }
    std::uint64_t NowMicros() override { return system_clock_->NowMicros(); }
    void SleepForMicroseconds(int time) override { system_clock_->SleepForMicroseconds(time); }
    rocksdb::Status GetCurrentTime(std::int64_t* time) override {
        return system_clock_->GetCurrentTime(time);
    }
    std::string TimeToString(std::uint64_t time) override { return std::to_string(time); }
    std::string GenerateUniqueId() override;
    rocksdb::Status GetHostName(char* name, std::uint64_t size) override;

    // ---- Files: only those that RocksDB asks of an Env and not of its FileSystem ----

    rocksdb::Status NewSequentialFile(const std::string&, std::unique_ptr<rocksdb::SequentialFile>*,
                                      const rocksdb::EnvOptions&) override;
    rocksdb::Status NewRandomAccessFile(const std::string&,
                                        std::unique_ptr<rocksdb::RandomAccessFile>*,
                                        const rocksdb::EnvOptions&) override;
    rocksdb::Status NewWritableFile(const std::string&, std::unique_ptr<rocksdb::WritableFile>*,
                                    const rocksdb::EnvOptions&) override;
    rocksdb::Status NewDirectory(const std::string&, std::unique_ptr<rocksdb::Directory>*) override;
    rocksdb::Status FileExists(const std::string& path) override;
    rocksdb::Status GetChildren(const std::string& path, std::vector<std::string>* names) override;
    rocksdb::Status DeleteFile(const std::string& path) override;
    rocksdb::Status CreateDir(const std::string& path) override;
    rocksdb::Status CreateDirIfMissing(const std::string& path) override;
    rocksdb::Status DeleteDir(const std::string& path) override;
    rocksdb::Status GetFileSize(const std::string& path, std::uint64_t* size) override;
    rocksdb::Status GetFileModificationTime(const std::string& path, std::uint64_t* time) override;
    rocksdb::Status RenameFile(const std::string& from, const std::string& to) override;
    rocksdb::Status LockFile(const std::string& path, rocksdb::FileLock** lock) override;
    rocksdb::Status UnlockFile(rocksdb::FileLock* lock) override;
    rocksdb::Status GetTestDirectory(std::string*) override;
    rocksdb::Status NewLogger(const std::string&, std::shared_ptr<rocksdb::Logger>*) override;
    rocksdb::Status GetAbsolutePath(const std::string& path, std::string* absolute) override;

private:
    struct Job {
        void (*function)(void*);
        void* argument;
        Priority priority;
        void* tag;
        void (*dropped)(void*);
    };

    Dice dice_;
    std::uint64_t id_upper_, id_lower_;
    std::deque<Job> jobs_;
};

} // namespace pyralog::sim
