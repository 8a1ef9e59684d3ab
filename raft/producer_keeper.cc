#include "raft/producer_keeper.h"

#include "core/base/buggify.h"
#include "core/base/config.h"
#include "core/base/probe.h"
#include "core/wire/codec.h"
#include "raft/host.h"

namespace pyralog::raft {

namespace {

constexpr std::string_view prefix = "producers/";
// What is damaged is mended from another replica; then it can be read.
constexpr Duration retry_pause = 50ms;

} // namespace

std::string ProducerKeeper::key_of(GroupId group) {
    return std::string(prefix) + std::to_string(group.value);
}

ProducerKeeper::ProducerKeeper(Environment& env, Host& host)
    : env_(env), host_(host), changed_(env.fibers),
      stored_total_(env.metrics, "pyralog_producer_snapshots_total",
                    "How often was stored what a partition remembers of its producers."),
      loaded_total_(env.metrics, "pyralog_producer_loads_total",
                    "How often a replica has read what its producers had sent.") {}

Result<> ProducerKeeper::forget_others() {
    KvStore::Batch others;
    TRY(env_.kv.scan(
        prefix,
        [&](std::string_view key, std::string_view) {
            const auto id = parse_integer(key.substr(prefix.size()));
            if (id && host_.groups_.contains(GroupId(*id)))
                stored_.insert(GroupId(*id));
            else
                others.remove(key);
            return true;
        }));
    SOMETIMES(!others.changes.empty(), "producers/forgets-those-of-a-deleted-group");
    if (others.changes.empty()) return {};
    return env_.kv.commit(std::move(others));
}

Result<> ProducerKeeper::forget(GroupId group) {
    if (is_wanted_.erase(group) > 0) std::erase(wanted_, group);
    if (stored_.erase(group) == 0) return {};
    return env_.kv.commit(KvStore::Batch().remove(key_of(group)));
}

void ProducerKeeper::want(GroupId group) {
    if (!is_wanted_.insert(group).second) return;
    wanted_.push_back(group);
    changed_.notify_all();
}

Result<> ProducerKeeper::run() {
    for (;;) {
        TRY(changed_.wait([this] { return !wanted_.empty(); }));
        const GroupId id = wanted_.front();
        wanted_.pop_front();
        is_wanted_.erase(id);
        if (BUGGIFY("producers/loads-late", 20'000))
            TRY(env_.fibers.sleep_until(env_.clock.now() + retry_pause));
        const GroupRef group = host_.find(id);
        if (!group) continue;
        const bool was_known = group->producers() != nullptr;
        const Result<> loaded = group->load_producers();
        if (!loaded.ok() && loaded.error() == Error::cancelled) return loaded;
        SOMETIMES(!loaded.ok() && loaded.error() == Error::corrupt,
                  "producers/waits-until-the-log-is-mended");
        if (!loaded.ok() && loaded.error() == Error::corrupt) {
            TRY(env_.fibers.sleep_until(env_.clock.now() + retry_pause));
            want(id);
        }
        if (!loaded.ok()) continue; // Whoever needs it will want it again.
        if (!was_known) loaded_total_.add();
        TRY(group->store_producers());
    }
}

Result<std::optional<wire::ProducerTable>> ProducerKeeper::stored(GroupId group) {
    std::optional<wire::ProducerTable> table;
    const auto stored = TRY(env_.kv.get(key_of(group)));
    if (!stored) return table;
    Result<wire::ProducerTable> read = wire::decode<wire::ProducerTable>(Bytes::copy_of(*stored));
    if (read.ok())
        table = std::move(read).value();
    else
        env_.log.error("what is stored of producers makes no sense", {{"group", group}});
    return table;
}

Result<> ProducerKeeper::store(GroupId group, const wire::ProducerTable& table) {
    stored_.insert(group);
    TRY(env_.kv.commit(KvStore::Batch().put(key_of(group), wire::encode(table).text())));
    stored_total_.add();
    return {};
}

} // namespace pyralog::raft
