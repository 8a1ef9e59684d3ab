#include "raft/acquaintance.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/config.h"
#include "core/base/probe.h"
#include "core/wire/log_start.h"

#include <algorithm>
#include <limits>

namespace pyralog::raft {

namespace {

constexpr std::string_view disk_key = "disk";
constexpr std::string_view met_prefix = "met/";
constexpr std::string_view start_prefix = "start/";

struct StoredStart {
    LogStart start;
    template <class Codec>
    friend void describe(Codec& field, StoredStart& s) {
        field(s.start.first, s.start.before, s.start.offset);
    }
};

std::string key_of(std::string_view prefix, std::int64_t number) {
    return std::string(prefix) + std::to_string(number);
}

} // namespace

Acquaintance::Acquaintance(Environment& env, NodeId self, std::vector<NodeId> others)
    : env_(env), self_(self), others_(std::move(others)), changed_(env.fibers),
      strangers_(env.metrics, "pyralog_peers_to_meet",
                 "Peers that have yet to say that they remember this node's disk, which is new."),
      refused_(env.metrics, "pyralog_peer_replaced_disks_total",
               "Streams that were refused because the peer's disk is not the one that it has.") {}

Result<> Acquaintance::open() {
    const auto damaged = [&](std::string_view what) {
        env_.log.error("cannot read what is stored of disks", {{"what", what}});
        return Error::corrupt;
    };
    const auto stored = TRY(env_.kv.get(disk_key));
    if (stored) {
        auto read = wire::decode<DiskFacts>(Bytes::copy_of(*stored));
        if (!read.ok() || read.value().number == 0) return damaged(disk_key);
        disk_ = read.value();
    }
    std::optional<std::string> unsound;
    TRY(env_.kv.scan(
        met_prefix,
        [&](std::string_view key, std::string_view value) {
            const auto node = parse_integer(key.substr(met_prefix.size()));
            const auto number = parse_integer(value);
            if (node && number)
                met_[NodeId(static_cast<std::int32_t>(*node))] =
                    static_cast<std::uint64_t>(*number);
            else
                unsound = key;
            return !unsound;
        }));
    if (unsound) return damaged(*unsound);
    if (const auto file = TRY(env_.kv.get(journal_key))) {
        const auto number = parse_integer(*file);
        if (!number) return damaged(journal_key);
        journal_file_ = static_cast<std::uint64_t>(*number);
    }
    if (!stored) {
        DiskFacts drawn;
        drawn.number = draw();
        drawn.introduced = others_.empty();
        TRY(store(drawn));
    }
    strangers_.set(static_cast<std::int64_t>(strangers().size()));
    return {};
}

// Fits where numbers have a sign.
std::uint64_t Acquaintance::draw() { return std::max<std::uint64_t>(env_.random.next() >> 1, 1); }

Result<> Acquaintance::store(DiskFacts facts, KvStore::Batch batch) {
    batch.put(disk_key, wire::encode(facts).text());
    TRY(commit(std::move(batch)));
    disk_ = facts;
    strangers_.set(static_cast<std::int64_t>(strangers().size()));
    changed_.notify_all();
    return {};
}

// Whoever shakes hands ends with his stream alone, and would try again for ever.
Result<> Acquaintance::commit(KvStore::Batch batch) {
    const Result<> done = env_.kv.commit(std::move(batch));
    if (done.ok() || done.error() == Error::cancelled) return done;
    failure_ = done.error();
    changed_.notify_all();
    return done;
}

std::vector<NodeId> Acquaintance::strangers() const {
    std::vector<NodeId> strangers;
    if (disk_.introduced) return strangers;
    for (const NodeId node : others_)
        if (!remembered_by_.contains(node)) strangers.push_back(node);
    return strangers;
}

// ---- Giving up ----

Result<> Acquaintance::begin_giving_up() {
    DiskFacts facts = disk_;
    facts.number = draw();
    facts.introduced = facts.replaces = facts.gives_up = true;
    KvStore::Batch batch;
    batch.remove(journal_key);
    for (const auto& [group, start] : kept_starts_)
        batch.put(key_of(start_prefix, group.value), wire::encode(StoredStart{start}).text());
    TRY(store(facts, std::move(batch)));
    journal_file_ = 0;
    return {};
}

Result<> Acquaintance::has_given_up() {
    DiskFacts facts = disk_;
    facts.gives_up = false;
    return store(facts);
}

void Acquaintance::keep_start(GroupId group, const LogStart& start) {
    LogStart& known = kept_starts_[group];
    if (known <= start) known = start;
}

Result<std::map<GroupId, LogStart>> Acquaintance::starts() {
    std::map<GroupId, LogStart> starts;
    TRY(env_.kv.scan(
        start_prefix,
        [&](std::string_view key, std::string_view value) {
            const auto group = parse_integer(key.substr(start_prefix.size()));
            auto read = wire::decode<StoredStart>(Bytes::copy_of(value));
            if (group && read.ok()) starts[GroupId(*group)] = read.value().start;
            return true;
        }));
    return starts;
}

Result<> Acquaintance::note_journal_file(std::uint64_t number) {
    TRY(env_.kv.commit(KvStore::Batch().put(journal_key, std::to_string(number))));
    journal_file_ = number;
    return {};
}

// ---- Hellos ----

void Acquaintance::introduce(wire::Hello& hello, NodeId to) const {
    hello.disk = disk_.number;
    const auto met = met_.find(to);
    hello.remembers = met == met_.end() ? 0 : met->second;
    const auto old = old_.find(to);
    hello.replaces = disk_.replaces && old != old_.end() ? old->second : 0;
}

bool Acquaintance::is_known(NodeId node, std::uint64_t disk) const {
    const auto met = met_.find(node);
    return met != met_.end() && met->second == disk;
}

Result<bool> Acquaintance::meet(const wire::Hello& hello) {
    TRY(changed_.wait([this] { return !meeting_; }));
    meeting_ = true;
    struct Leave {
        Acquaintance& self;
        ~Leave() {
            self.meeting_ = false;
            self.changed_.notify_all();
        }
    } const leave{*this};
    TRY(hear_of_self(hello));
    return hear_of_other(hello);
}

// What somebody remembers of this node.
Result<> Acquaintance::hear_of_self(const wire::Hello& hello) {
    if (hello.remembers == 0) return {};
    const bool is_me = hello.remembers == disk_.number;
    if (is_me || BUG(M44)) {
        old_.erase(hello.node);
        remembered_by_.insert(hello.node);
        strangers_.set(static_cast<std::int64_t>(strangers().size()));
        if (disk_.introduced || !strangers().empty()) return {};
        REACHABLE("acquaintance/introduced");
        DiskFacts facts = disk_;
        facts.introduced = true;
        return store(facts);
    }
    old_[hello.node] = hello.remembers;
    if (disk_.replaces) return {};
    if (disk_.introduced) {
        REACHABLE("acquaintance/this-disk-was-replaced");
        env_.log.error("this disk was replaced by another, with which this node has gone on; it is "
                       "not used any more: remove its data directory, or mount the other one",
                       {{"told_by", hello.node}});
        failure_ = Error::corrupt;
        changed_.notify_all();
        return {};
    }
    REACHABLE("acquaintance/blank-disk");
    env_.log.warning("this disk is empty, and this node has had another one: what it has promised "
                     "there is unknown, and it abstains until the others have brought it level",
                     {{"told_by", hello.node}});
    DiskFacts facts = disk_;
    facts.introduced = facts.replaces = true;
    TRY(store(facts));
    if (on_replaces_) on_replaces_();
    return {};
}

// Of two disks of one node that is the newer that has been told of the other. Nobody hears the
// older any more.
Result<bool> Acquaintance::hear_of_other(const wire::Hello& hello) {
    const auto met = met_.find(hello.node);
    const bool is_first = met == met_.end();
    if (!is_first && met->second == hello.disk) return true;
    const bool takes_its_place = !is_first && hello.replaces == met->second;
    if (!is_first && !takes_its_place && !BUG(M44)) {
        REACHABLE("acquaintance/refuses-a-disk");
        refused_.add();
        return false;
    }
    SOMETIMES(takes_its_place, "acquaintance/disk-was-replaced");
    if (takes_its_place)
        env_.log.warning("a peer has lost what it had on its disk, and begins with another",
                         {{"peer", hello.node}});
    if (hello.disk == 0 || hello.disk > std::uint64_t(std::numeric_limits<std::int64_t>::max()))
        return Error::malformed;
    TRY(commit(
        KvStore::Batch().put(key_of(met_prefix, hello.node.value), std::to_string(hello.disk))));
    met_[hello.node] = hello.disk;
    return true;
}

} // namespace pyralog::raft
