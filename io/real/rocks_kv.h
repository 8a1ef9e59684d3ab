// io/real/rocks_kv.h
//
// The KvStore on RocksDB, in "kv" under the data directory. RocksDB blocks, so one helper thread
// calls it. Commits that come while one is being made durable are written together by the next:
// one sync for all of them.
//
// RocksDB as Debian builds it ends the process on some malformed input, so no byte of a peer or a
// client ever reaches one of its parsers; keys and values are opaque to it.
//
// After a failed write it is not known what the store holds: every later call fails too.
#pragma once

#include "core/base/logger.h"
#include "core/env/fiber.h"
#include "core/env/kv_store.h"
#include "io/real/workers.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace rocksdb {
class DB;
class Status;
} // namespace rocksdb

namespace pyralog::real {

class RocksKv final : public KvStore {
public:
    // `prepare` makes the data directory usable. `workers` must have one thread: calls then reach
    // RocksDB in their order.
    RocksKv(std::string path, std::function<Result<>()> prepare, Workers& workers,
            Scheduler& fibers, Logger& log);
    ~RocksKv() override;

    Result<> open() override;
    Result<> commit(Batch batch) override;
    Result<std::optional<std::string>> get(std::string_view key) override;
    Result<> scan(std::string_view prefix, const Visitor& visitor) override;

private:
    struct Waiting;

    void write_queue();
    Error refused(std::string_view what, const rocksdb::Status& status);

    std::string path_;
    std::function<Result<>()> prepare_;
    Workers& workers_;
    Scheduler& fibers_;
    Logger& log_;
    std::unique_ptr<rocksdb::DB> db_;
    std::vector<Waiting*> queue_;
    bool writing_ = false;
    std::optional<Error> failed_;
};

} // namespace pyralog::real
