#include "io/sim/kv_store.h"

#include "core/base/crc32c.h"

namespace pyralog::sim {

Facts::Facts(Timeline& timeline, NodeId node)
    : timeline_(timeline), node_(node),
      dice_(timeline.root, "node/" + std::to_string(node.value) + "/kv") {}

Facts::~Facts() { CHECK(waiting_.empty()); }

void Facts::serve(std::uint64_t incarnation) {
    incarnation_ = incarnation;
    is_open_ = false;
    failed_ = false;
}

bool Facts::serves(std::uint64_t incarnation, bool changes) {
    if (incarnation == incarnation_) return true;
    if (!timeline_.inject(Fault::fenced)) return true;
    if (changes) timeline_.counts.effect(Fault::fenced);
    return false;
}

Result<> Facts::open() {
    if (damaged_) return Error::corrupt;
    is_open_ = true;
    return {};
}

Result<> Facts::commit(Commit& commit) {
    CHECK(is_open_);
    if (failed_) return Error::device_failed;
    waiting_.push_back(&commit);
    std::uint32_t payload = 0;
    for (const auto& [key, value] : commit.batch.changes) {
        payload = crc32c(std::as_bytes(std::span(key)), payload);
        if (value) payload = crc32c(std::as_bytes(std::span(*value)), payload);
    }
    timeline_.record(Step::commit, node_.value, waiting_.size(), 0, payload);
    if (syncing_ == 0) start_sync();
    commit.done.wait_through();
    return commit.result;
}

void Facts::start_sync() {
    syncing_ = waiting_.size();
    const Duration time = dice_.draw(timeline_.faults.commit_time);
    timeline_.schedule(timeline_.now() + time, *this, ++sync_);
}

void Facts::happen(std::uint64_t what) {
    if (what != sync_ || syncing_ == 0) return;
    std::vector<Commit*> done(waiting_.begin(),
                              waiting_.begin() + static_cast<std::ptrdiff_t>(syncing_));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(syncing_));
    bool fails = dice_.chance(timeline_.faults.commit_error) || std::exchange(fail_next_, false);
    fails = fails && timeline_.inject(Fault::commit_error);
    std::size_t happened = done.size();
    if (fails) {
        // Nobody knows how many of them are durable; RocksDB takes no more until it is reopened.
        timeline_.counts.effect(Fault::commit_error);
        failed_ = true;
        happened = dice_.pick(done.size() + 1);
        done.insert(done.end(), waiting_.begin(), waiting_.end());
        waiting_.clear();
    }
    syncing_ = 0;
    for (std::size_t i = 0; i < done.size(); ++i) {
        if (i < happened) apply(done[i]->batch);
        if (fails) done[i]->result = Error::device_failed;
        done[i]->done.set();
    }
    timeline_.record(Step::committed, node_.value, happened, done.size());
    timeline_.trace({.kind = TraceKind::commit, .node = node_}, [&] {
        return "commits=" + std::to_string(done.size()) + " durable=" + std::to_string(happened);
    });
    if (!waiting_.empty()) start_sync();
}

void Facts::process_ended(bool power_cut) {
    incarnation_ = 0;
    syncing_ = 0;
    const std::vector<Commit*> under_way = std::exchange(waiting_, {});
    if (under_way.empty()) return;
    std::uint64_t happened = dice_.pick(under_way.size() + 1);
    const bool loses = power_cut && happened < under_way.size();
    if (loses && !timeline_.inject(Fault::lost_commit)) happened = under_way.size();
    if (loses) timeline_.counts.effect(Fault::lost_commit);
    for (std::size_t i = 0; i < under_way.size(); ++i) {
        if (i < happened) apply(under_way[i]->batch);
        under_way[i]->result = Error::cancelled;
        under_way[i]->done.set();
    }
}

void Facts::apply(const KvStore::Batch& batch) {
    for (const auto& [key, value] : batch.changes) {
        if (value)
            durable_.insert_or_assign(key, *value);
        else if (const auto found = durable_.find(key); found != durable_.end())
            durable_.erase(found);
    }
    ++generation_;
}

// ---- SimKvStore ----

Result<> SimKvStore::open() {
    if (!facts_.serves(incarnation_, false)) return Error::cancelled;
    return facts_.open();
}

Result<> SimKvStore::commit(Batch batch) {
    if (!facts_.serves(incarnation_, true)) return Error::cancelled;
    Facts::Commit commit(fibers_, std::move(batch));
    return facts_.commit(commit);
}

Result<std::optional<std::string>> SimKvStore::get(std::string_view key) {
    if (!facts_.serves(incarnation_, false)) return Error::cancelled;
    CHECK(facts_.is_open_);
    const auto found = facts_.durable_.find(key);
    if (found == facts_.durable_.end()) return std::optional<std::string>{};
    return std::optional<std::string>{found->second};
}

Result<> SimKvStore::scan(std::string_view prefix, const Visitor& visitor) {
    if (!facts_.serves(incarnation_, false)) return Error::cancelled;
    CHECK(facts_.is_open_);
    for (auto at = facts_.durable_.lower_bound(prefix); at != facts_.durable_.end(); ++at) {
        if (!at->first.starts_with(prefix) || !visitor(at->first, at->second)) break;
    }
    return {};
}

} // namespace pyralog::sim
