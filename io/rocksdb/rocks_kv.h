// io/rocksdb/rocks_kv.h
//
// The KvStore on RocksDB, the same in both worlds: what differs is in the options (where files are)
// and in the Executor (where RocksDB is called). Commits that come while one is being made durable
// are written together by the next: one sync for all of them.
//
// RocksDB as Debian builds it ends the process on some malformed input, so no byte of a peer or a
// client ever reaches one of its parsers; keys and values are opaque to it.
//
// After a failed write it is not known what the store holds: every later call fails too.
//
// A power cut may leave a torn record at the end of RocksDB's log, or of its manifest. It was never
// acknowledged; open() cuts it off. Any other damage that RocksDB's checksums can see is
// Error::corrupt, when the store is opened or when the damaged place is read: see log_tail.h for
// how the two are told apart.
#pragma once

#include "core/base/logger.h"
#include "core/env/fiber.h"
#include "core/env/kv_store.h"
#include "io/rocksdb/executor.h"

#include <rocksdb/options.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace rocksdb {
class DB;
class Iterator;
class Status;
} // namespace rocksdb

namespace pyralog::rocks {

// What every world starts from.
rocksdb::Options default_options();

class RocksKv final : public KvStore {
public:
    // `prepare` makes the directory around `path` usable.
    RocksKv(std::string path, rocksdb::Options options, std::function<Result<>()> prepare,
            Executor& executor, Scheduler& fibers, Logger& log);
    ~RocksKv() override;

    Result<> open() override;
    Result<> commit(Batch batch) override;
    Result<std::optional<std::string>> get(std::string_view key) override;
    Result<> scan(std::string_view prefix, const Visitor& visitor) override;

private:
    struct Waiting;
    using Pairs = std::vector<std::pair<std::string, std::string>>;

    void write_queue();
    bool read_piece(std::unique_ptr<rocksdb::Iterator>& place, std::string_view prefix,
                    Pairs& piece);
    Result<> show_pieces(std::unique_ptr<rocksdb::Iterator>& place, std::string_view prefix,
                         const Visitor& visitor);
    Error refused(std::string_view what, const rocksdb::Status& status);

    std::string path_;
    rocksdb::Options options_;
    std::function<Result<>()> prepare_;
    Executor& executor_;
    Scheduler& fibers_;
    Logger& log_;
    std::unique_ptr<rocksdb::DB> db_;
    std::vector<Waiting*> queue_;
    bool writing_ = false;
    std::optional<Error> failed_;
};

} // namespace pyralog::rocks
