// core/env/kv_store.h
//
// Small ordered facts that are not records: the topic catalogue, committed consumer offsets. Votes
// and everything that a log needs to recover are not here: they go into the journal.
//
// RocksDB in production. It counts as a device, like the disk, because it brings its own threads;
// so it promises no more than this, and the simulator can break everything else.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog {

class KvStore {
public:
    virtual ~KvStore() = default;

    class Batch {
    public:
        struct Change {
            std::string key;
            std::optional<std::string> value; // Nothing: the key is removed.
        };
        Batch& put(std::string_view key, std::string_view value) {
            changes.push_back({std::string(key), std::string(value)});
            return *this;
        }
        Batch& remove(std::string_view key) {
            changes.push_back({std::string(key), {}});
            return *this;
        }
        std::vector<Change> changes; // In order; a later one counts.
    };

    // Once, before anything else: the store of this node, made if there is none. Error::corrupt if
    // what is there cannot be read.
    virtual Result<> open() = 0;

    // All of the batch or none of it. Returns when it is durable. Overlapping calls share one sync.
    virtual Result<> commit(Batch batch) = 0;

    virtual Result<std::optional<std::string>> get(std::string_view key) = 0;

    // In the order of the keys' bytes, until `visitor` returns false. Sees what was committed
    // before the call, and nothing else. The visitor must not wait.
    using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
    virtual Result<> scan(std::string_view prefix, const Visitor& visitor) = 0;
};

} // namespace pyralog
