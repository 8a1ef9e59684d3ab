// The requests: what they find, what they change, and when they may be answered.
#include "server/groups/coordinator.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "server/groups/shard.h"

#include <algorithm>

namespace pyralog::server {

using namespace wire::kafka;

namespace {

// Of one partition: offsets of transactions that are open.
constexpr std::size_t pending_offsets_max = 100'000;

// The characters of the text as Java counts them: 16 bits, or twice 16.
template <class Take>
void each_java_char(std::string_view text, Take take) {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i++]);
        const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
        std::uint32_t code = more == 3   ? lead & 7u
                             : more == 2 ? lead & 15u
                             : more      ? lead & 31u
                                         : lead;
        for (int k = 0; k < more && i < text.size(); ++k)
            code = code << 6 | (static_cast<unsigned char>(text[i++]) & 63u);
        if (code < 0x10000) {
            take(code);
        } else {
            take(0xd800 + ((code - 0x10000) >> 10 & 0x3ff));
            take(0xdc00 + ((code - 0x10000) & 0x3ff));
        }
    }
}

} // namespace

// Java's String.hashCode(), without its sign.
std::int32_t partition_of_group(std::string_view group, std::int32_t partitions) {
    CHECK(partitions > 0);
    std::uint32_t hash = 0;
    each_java_char(group, [&](std::uint32_t c) { hash = hash * 31 + c; });
    return static_cast<std::int32_t>((hash & 0x7fffffff) % static_cast<std::uint32_t>(partitions));
}

GroupId partition_for(const Topic& topic, std::string_view name) {
    const auto partitions = static_cast<std::int32_t>(topic.partitions.size());
    const auto number = static_cast<std::size_t>(partition_of_group(name, partitions));
    return topic.partitions.at(number).group;
}

Coordinator::Coordinator(Environment& env, const GroupConfig& config, int replication_factor,
                         raft::Host& host, Controller& controller, const SpaceWatch& space)
    : env_(env), config_(config),
      rules_{config.initial_rebalance_delay, static_cast<std::size_t>(config.members_max),
             config.bytes_max},
      replication_factor_(replication_factor), host_(host), controller_(controller), space_(space),
      changed_(env.fibers), applied_changed_(env.fibers), deadlines_changed_(env.fibers),
      sweep_wanted_(env.fibers), groups_gauge_(env.metrics, "pyralog_consumer_groups",
                                               "Consumer groups that this node coordinates."),
      generations_total_(env.metrics, "pyralog_group_generations_total",
                         "How often the members of some group have agreed anew."),
      commits_total_(env.metrics, "pyralog_group_commits_total",
                     "Requests to commit offsets that were taken.") {}

CreateTopic make_compacted(std::string_view name, Uuid id, int partitions, int replication_factor) {
    CreateTopic command{std::string(name), id, partitions, replication_factor, {}};
    command.settings.retention_ms = -1;
    command.settings.retention_bytes = -1;
    CHECK(command.settings.set("cleanup.policy", "compact").empty()); // Nothing is wrong with it.
    return command;
}

Coordinator::~Coordinator() { CHECK(waiting_.empty()); }

// ---- Who coordinates ----

const Topic* Coordinator::topic() const { return controller_.catalogue().find(offsets_topic_name); }

Result<> Coordinator::make_topic() {
    const CreateTopic command = make_compacted(offsets_topic_name, draw_uuid(env_.random),
                                               config_.offsets_partitions, replication_factor_);
    const Deadline deadline(env_.fibers, env_.clock.now() + Coordinating::topic_patience);
    (void)TRY(controller_.submit(command)); // Or somebody else has made it: it is there.
    REACHABLE("groups/made-the-topic");
    return {};
}

Coordinator::Found Coordinator::find(const std::string& group) {
    if (group.empty()) return {ErrorCode::invalid_group_id, {}};
    if (!topic()) (void)make_topic(); // If it failed, there is none.
    const Topic* const made = topic();
    SOMETIMES(!made, "groups/could-not-make-the-topic");
    if (!made) return {ErrorCode::coordinator_not_available, {}};
    const GroupId id = partition_for(*made, group);
    const Deadline deadline(env_.fibers, env_.clock.now() + Coordinating::leader_patience);
    (void)controller_.changed().wait([&] { return host_.leader_of(id).has_value(); });
    const auto leader = host_.leader_of(id);
    SOMETIMES(!leader, "groups/nobody-coordinates");
    return {leader ? ErrorCode::none : ErrorCode::coordinator_not_available, leader};
}

bool Coordinator::is_current(const Shard& shard) const {
    return shard.tenure && shard.group->leads() && shard.group->term() == shard.tenure->term;
}

Coordinator::Access Coordinator::access(const std::string& group) {
    if (group.empty()) return {ErrorCode::invalid_group_id, nullptr};
    const Topic* const found = topic();
    if (!found) return {ErrorCode::not_coordinator, nullptr};
    const auto shard = shards_.find(partition_for(*found, group));
    const bool leads = shard != shards_.end() && shard->second->group->leads();
    SOMETIMES(!leads, "groups/asked-who-does-not-coordinate");
    if (!leads || BUGGIFY("groups/says-not-coordinator", 20'000))
        return {ErrorCode::not_coordinator, nullptr};
    if (is_current(*shard->second) && BUGGIFY("groups/loads-anew", 5'000))
        end_tenure(*shard->second);
    SOMETIMES(!is_current(*shard->second), "groups/asked-while-it-loads");
    if (!is_current(*shard->second)) return {ErrorCode::coordinator_load_in_progress, nullptr};
    return {ErrorCode::none, shard->second.get()};
}

Coordinator::Entry* Coordinator::find_entry(Shard& shard, const std::string& group) {
    const auto found = shard.tenure->groups.find(group);
    return found == shard.tenure->groups.end() ? nullptr : &found->second;
}

// Null: there are as many as may be. Names that came to nothing make room.
Coordinator::Entry* Coordinator::make_entry(Shard& shard, const std::string& group) {
    if (Entry* const known = find_entry(shard, group)) return known;
    const auto most = static_cast<std::size_t>(config_.groups_max);
    if (groups_ >= most) {
        REACHABLE("groups/as-many-groups-as-may-be");
        for (const auto& [id, any] : shards_)
            if (any->tenure)
                groups_ -= std::erase_if(any->tenure->groups, [](const auto& entry) {
                    return entry.second.state.generation() == 0 && entry.second.commits == 0 &&
                           !entry.second.deadline;
                });
        if (groups_ >= most) return nullptr;
    }
    ++groups_;
    groups_gauge_.set(static_cast<std::int64_t>(groups_));
    return &shard.tenure->groups.try_emplace(group, rules_).first->second;
}

// ---- Writing and answering ----

Result<raft::Group::Proposal> Coordinator::propose(Shard& shard, const Records& records) {
    CHECK(is_current(shard) && !records.empty());
    wire::RecordBatchBuilder builder;
    const std::int64_t now_ms = env_.clock.wall().unix_ms;
    for (const auto& [key, value] : records) builder.add(key, value, now_ms);
    auto parsed = wire::RecordBatch::parse(builder.build());
    const auto* const batch = std::get_if<wire::RecordBatch>(&parsed);
    if (!batch) return Error::malformed; // More than fits a batch.
    return shard.group->propose(*batch);
}

// After each input of a group. False: it could not be written, and the tenure has ended; `entry` is
// gone with it.
bool Coordinator::input_done(Shard& shard, const std::string& group, Entry& entry) {
    GroupState::Effects effects = entry.state.take_effects();
    if (effects.is_changed) {
        const std::int64_t now_ms = env_.clock.wall().unix_ms;
        const GroupState::Phase phase = entry.state.phase();
        if (phase == GroupState::Phase::empty) entry.emptied_ms = now_ms;
        if (phase == GroupState::Phase::completing) generations_total_.add();
        // A generation that nobody has been assigned anything in need not be known to others?
        const bool unwritten = phase == GroupState::Phase::completing && BUG(G02);
        if (!unwritten) {
            const auto written = propose(
                shard, {{encode_key(GroupKey{group}), encode_value(entry.state.stored(now_ms))}});
            SOMETIMES(!written.ok(), "groups/could-not-write");
            if (!written.ok()) {
                end_tenure(shard);
                return false;
            }
            entry.written = written.value();
        }
    }
    for (auto& [ticket, told] : effects.answers) answer(shard, entry, ticket, std::move(told));
    set_deadline(shard, group, entry);
    return true;
}

void Coordinator::answer(Shard& shard, Entry& entry, Ticket ticket,
                         std::variant<Joined, Synced> told) {
    shard.tenure->waiting.erase(ticket);
    const auto found = waiting_.find(ticket);
    SOMETIMES(found == waiting_.end(), "groups/who-waited-has-gone");
    if (found == waiting_.end()) return;
    Waiting& waiting = *found->second;
    std::visit([&](auto& answer) { waiting.answer_ = std::move(answer); }, told);
    waiting.to_settle_ = answer_of(shard, entry, ErrorCode::none);
    waiting.answered_.set();
}

Coordinator::Answer Coordinator::answer_of(Shard& shard, Entry& entry, ErrorCode error) {
    if (entry.written && shard.group->committed().index >= entry.written->place.end.index)
        entry.written.reset();
    return {error, shard.id, entry.written};
}

ErrorCode Coordinator::settle(const Answer& answer) {
    if (answer.error != ErrorCode::none || !answer.written) return answer.error;
    if (BUG(G01)) return ErrorCode::none;
    const raft::GroupRef group = host_.find(answer.partition);
    if (!group) return ErrorCode::not_coordinator;
    const Deadline deadline(env_.fibers, env_.clock.now() + Coordinating::write_patience);
    const Result<> settled = group->settle(*answer.written);
    if (settled.ok()) return ErrorCode::none;
    SOMETIMES(settled.error() == Error::timed_out, "groups/not-written-in-time");
    SOMETIMES(settled.error() == Error::not_leader, "groups/what-was-written-was-overruled");
    SOMETIMES(settled.error() == Error::unavailable, "groups/perhaps-written");
    return settled.error() == Error::timed_out ? ErrorCode::coordinator_not_available
                                               : ErrorCode::not_coordinator;
}

// Whoever waits looks for another coordinator, or for this one when it has loaded again.
void Coordinator::end_tenure(Shard& shard) {
    REACHABLE("groups/tenure-ended");
    Tenure ended = std::move(*shard.tenure);
    shard.tenure.reset();
    for (const Ticket ticket : ended.waiting)
        if (const auto found = waiting_.find(ticket); found != waiting_.end())
            found->second->answered_.set();
    for (const auto& [name, entry] : ended.groups)
        if (entry.deadline) deadlines_.erase({*entry.deadline, shard.id, name});
    groups_ -= ended.groups.size();
    groups_gauge_.set(static_cast<std::int64_t>(groups_));
    changed_.notify_all();
}

Coordinator::Waiting::Waiting(Coordinator& coordinator)
    : coordinator_(coordinator), ticket_(++coordinator.last_ticket_),
      answered_(coordinator.env_.fibers) {
    coordinator_.waiting_[ticket_] = this;
}
Coordinator::Waiting::~Waiting() { coordinator_.waiting_.erase(ticket_); }

// ---- Time ----

void Coordinator::set_deadline(Shard& shard, const std::string& group, Entry& entry) {
    const std::optional<Time> next = entry.state.deadline();
    if (next == entry.deadline) return;
    if (entry.deadline) deadlines_.erase({*entry.deadline, shard.id, group});
    entry.deadline = next;
    if (!next) return;
    const auto placed = deadlines_.insert({*next, shard.id, group}).first;
    if (placed == deadlines_.begin()) deadlines_changed_.notify_all();
}

Result<> Coordinator::keep_deadlines() {
    for (;;) {
        TRY(deadlines_changed_.wait([&] { return !deadlines_.empty(); }));
        const Time next = std::get<0>(*deadlines_.begin());
        if (next > env_.clock.now()) {
            const Deadline until(env_.fibers, next);
            const Result<> waited = deadlines_changed_.wait(
                [&] { return deadlines_.empty() || std::get<0>(*deadlines_.begin()) < next; });
            if (!waited.ok() && waited.error() != Error::timed_out) return waited;
            continue;
        }
        const auto [when, id, group] = *deadlines_.begin();
        Shard& shard = *shards_.at(id);
        if (!is_current(shard)) {
            end_tenure(shard);
            continue;
        }
        Entry& entry = *find_entry(shard, group);
        entry.state.tick(env_.clock.now());
        input_done(shard, group, entry);
    }
}

// ---- Requests ----

ErrorCode Coordinator::join(const std::string& group, Join join, Waiting& waiting) {
    const Access access = this->access(group);
    if (access.error != ErrorCode::none) return access.error;
    const bool fits = join.session_timeout >= config_.session_timeout_min &&
                      join.session_timeout <= config_.session_timeout_max;
    SOMETIMES(!fits, "groups/session-timeout-out-of-bounds");
    if (!fits) return ErrorCode::invalid_session_timeout;
    Entry* entry = find_entry(*access.shard, group);
    if (!entry && !join.member.id.empty()) return ErrorCode::unknown_member_id;
    if (!entry) entry = make_entry(*access.shard, group);
    if (!entry) return ErrorCode::group_max_size_reached;
    access.shard->tenure->waiting.insert(waiting.ticket_);
    entry->state.join(env_.clock.now(), waiting.ticket_, std::move(join));
    input_done(*access.shard, group, *entry);
    return ErrorCode::none;
}

ErrorCode Coordinator::sync(const std::string& group, Sync sync, Waiting& waiting) {
    const Access access = this->access(group);
    // Clients have no way to wait for that; they join again.
    if (access.error == ErrorCode::coordinator_load_in_progress)
        return ErrorCode::rebalance_in_progress;
    if (access.error != ErrorCode::none) return access.error;
    Entry* const entry = find_entry(*access.shard, group);
    if (!entry) return ErrorCode::unknown_member_id;
    access.shard->tenure->waiting.insert(waiting.ticket_);
    entry->state.sync(env_.clock.now(), waiting.ticket_, std::move(sync));
    input_done(*access.shard, group, *entry);
    return ErrorCode::none;
}

Coordinator::Answer Coordinator::heartbeat(const std::string& group, const MemberName& member,
                                           std::int32_t generation) {
    const Access access = this->access(group);
    // Nothing is known against it, and clients do not expect to be told of that here.
    if (access.error == ErrorCode::coordinator_load_in_progress) return {};
    if (access.error != ErrorCode::none) return {access.error, {}, {}};
    Entry* const entry = find_entry(*access.shard, group);
    if (!entry) return {ErrorCode::unknown_member_id, {}, {}};
    const ErrorCode error = entry->state.heartbeat(env_.clock.now(), member, generation);
    set_deadline(*access.shard, group, *entry);
    return answer_of(*access.shard, *entry, error);
}

Coordinator::Answer Coordinator::leave(const std::string& group,
                                       const std::vector<MemberName>& members,
                                       std::vector<ErrorCode>& errors) {
    const Access access = this->access(group);
    if (access.error != ErrorCode::none) return {access.error, {}, {}};
    Entry* const entry = find_entry(*access.shard, group);
    errors.assign(members.size(), ErrorCode::unknown_member_id);
    if (!entry) return {};
    for (std::size_t i = 0; i < members.size(); ++i)
        errors[i] = entry->state.leave(env_.clock.now(), members[i]);
    if (!input_done(*access.shard, group, *entry)) return {ErrorCode::not_coordinator, {}, {}};
    return answer_of(*access.shard, *entry, ErrorCode::none);
}

Coordinator::Answer Coordinator::commit(const std::string& group, const MemberName& member,
                                        std::int32_t generation, const Offsets& offsets) {
    const Access access = this->access(group);
    if (access.error != ErrorCode::none) return {access.error, {}, {}};
    Shard& shard = *access.shard;
    Entry* entry = find_entry(shard, group);
    if (!entry && generation >= 0) return {ErrorCode::illegal_generation, {}, {}};
    if (!entry) entry = make_entry(shard, group);
    if (!entry) return {ErrorCode::group_max_size_reached, {}, {}};
    const ErrorCode error = entry->state.commit(env_.clock.now(), member, generation);
    set_deadline(shard, group, *entry);
    if (error != ErrorCode::none && (error != ErrorCode::illegal_generation || !BUG(G03)))
        return {error, {}, {}};
    if (offsets.empty()) return {};
    SOMETIMES(space_.is_short(), "groups/commit-refused-for-space");
    if (space_.is_short()) return {ErrorCode::coordinator_not_available, {}, {}};
    Records records;
    for (const auto& [where, value] : offsets)
        records.emplace_back(encode_key(OffsetKey{group, where.first, where.second}),
                             encode_value(value));
    return write_offsets(shard, *entry, records);
}

Coordinator::Answer Coordinator::commit_in_transaction(const std::string& group,
                                                       const MemberName& member,
                                                       std::int32_t generation,
                                                       const InTransaction& transaction,
                                                       const Offsets& offsets) {
    const Access access = this->access(group);
    if (access.error != ErrorCode::none) return {access.error, {}, {}};
    Shard& shard = *access.shard;
    const bool names_member = generation >= 0 || !member.id.empty();
    Entry* entry = find_entry(shard, group);
    if (!entry && names_member) return {ErrorCode::illegal_generation, {}, {}};
    if (!entry) entry = make_entry(shard, group);
    if (!entry) return {ErrorCode::group_max_size_reached, {}, {}};
    if (names_member) {
        const ErrorCode error = entry->state.commit(env_.clock.now(), member, generation);
        set_deadline(shard, group, *entry);
        if (error != ErrorCode::none) return {error, {}, {}};
    }
    if (offsets.empty()) return {};
    const bool is_full = shard.pending.all().size() + offsets.size() > pending_offsets_max;
    if (space_.is_short() || is_full) return {ErrorCode::coordinator_not_available, {}, {}};
    wire::RecordBatchBuilder builder;
    builder.from(transaction.producer, transaction.epoch, -1)
        .mark(wire::BatchHeader::transactional_bit);
    const std::int64_t now_ms = env_.clock.wall().unix_ms;
    for (const auto& [where, value] : offsets)
        builder.add(encode_key(OffsetKey{group, where.first, where.second}), encode_value(value),
                    now_ms);
    Bytes bytes = builder.build();
    const auto taken = wire::RecordBatch::take_first(bytes);
    const auto* const batch = std::get_if<wire::RecordBatch>(&taken);
    if (!batch) return {ErrorCode::invalid_request, {}, {}}; // More than fits a batch.
    const auto written = shard.group->propose_in_sequence(*batch);
    if (!written.ok())
        return {written.error() == Error::unavailable ? ErrorCode::coordinator_load_in_progress
                                                      : ErrorCode::not_coordinator,
                {},
                {}};
    using Verdict = raft::Sequencer::Verdict;
    const Verdict verdict = written.value().verdict;
    if (verdict == Verdict::old_epoch) return {ErrorCode::invalid_producer_epoch, {}, {}};
    if (verdict != Verdict::append) return {ErrorCode::invalid_txn_state, {}, {}};
    ++entry->commits;
    commits_total_.add();
    return {ErrorCode::none, shard.id, written.value().proposal};
}

Coordinator::Answer Coordinator::write_offsets(Shard& shard, Entry& entry, const Records& records) {
    const auto written = propose(shard, records);
    SOMETIMES(!written.ok(), "groups/could-not-write-offsets");
    if (!written.ok() && written.error() == Error::malformed)
        return {ErrorCode::invalid_request, {}, {}}; // More than fits a batch.
    if (!written.ok())
        return {written.error() == Error::unavailable ? ErrorCode::coordinator_not_available
                                                      : ErrorCode::not_coordinator,
                {},
                {}};
    ++entry.commits;
    commits_total_.add();
    return {ErrorCode::none, shard.id, written.value()};
}

Coordinator::Answer
Coordinator::forget(const std::string& group,
                    const std::vector<std::pair<std::string, std::int32_t>>& partitions,
                    std::vector<ErrorCode>& errors) {
    const Access access = this->access(group);
    if (access.error != ErrorCode::none) return {access.error, {}, {}};
    Entry* const entry = find_entry(*access.shard, group);
    if (!entry) return {ErrorCode::group_id_not_found, {}, {}};
    const bool has_members = !entry->state.members().empty();
    if (has_members && entry->state.protocol_type() != "consumer")
        return {ErrorCode::non_empty_group, {}, {}};
    Records records;
    errors.clear();
    for (const auto& [topic, partition] : partitions) {
        const bool is_read = has_members && entry->state.is_subscribed(topic);
        errors.push_back(is_read ? ErrorCode::group_subscribed_to_topic : ErrorCode::none);
        if (!is_read)
            records.emplace_back(encode_key(OffsetKey{group, topic, partition}), std::nullopt);
    }
    if (records.empty()) return {};
    return write_offsets(*access.shard, *entry, records);
}

Coordinator::Fetched Coordinator::fetch(const std::string& group) {
    const Access access = this->access(group);
    if (access.error != ErrorCode::none) return {access.error, {}, {}};
    const GroupId id = access.shard->id;
    const std::string prefix = access.shard->prefix() + offset_keys_prefix(group);
    const std::size_t skipped = access.shard->prefix().size();
    const Deadline deadline(env_.fibers, env_.clock.now() + Coordinating::read_patience);
    const Result<> caught_up = BUG(G04) ? Result<>() : catch_up(id);
    Fetched fetched;
    const Result<> scanned =
        !caught_up.ok()
            ? caught_up
            : env_.kv.scan(prefix, [&](std::string_view key, std::string_view value) {
                  const auto about = decode_offsets_topic_key(Bytes::copy_of(key.substr(skipped)));
                  const auto read = decode_offset_value(Bytes::copy_of(value));
                  if (!about.ok() || !read.ok()) return true; // Not in a form of ours.
                  const auto& where = std::get<OffsetKey>(about.value());
                  fetched.offsets[{where.topic, where.partition}] = read.value();
                  return true;
              });
    SOMETIMES(!scanned.ok(), "groups/cannot-tell-offsets");
    const auto now = shards_.find(id);
    if (!scanned.ok() || now == shards_.end()) return {ErrorCode::not_coordinator, {}, {}};
    for (const auto& [key, pending] : now->second->pending.all()) {
        const auto about = decode_offsets_topic_key(Bytes::copy_of(key.second));
        const auto* const where = about.ok() ? std::get_if<OffsetKey>(&about.value()) : nullptr;
        if (where && where->group == group)
            fetched.unstable.emplace(where->topic, where->partition);
    }
    return fetched;
}

ErrorCode Coordinator::remove(const std::string& group) {
    const Access before = access(group);
    if (before.error != ErrorCode::none) return before.error;
    Entry* entry = find_entry(*before.shard, group);
    if (!entry) return ErrorCode::group_id_not_found;
    if (!entry->state.members().empty()) return ErrorCode::non_empty_group;
    const std::uint64_t commits = entry->commits;
    const Fetched fetched = fetch(group);
    if (fetched.error != ErrorCode::none) return fetched.error;
    if (!fetched.unstable.empty()) return ErrorCode::non_empty_group;
    // It may have come to life meanwhile.
    const Access now = access(group);
    if (now.error != ErrorCode::none) return now.error;
    entry = find_entry(*now.shard, group);
    if (!entry) return ErrorCode::group_id_not_found;
    const bool revived = !entry->state.members().empty() || entry->commits != commits;
    SOMETIMES(revived, "groups/came-to-life-while-it-was-deleted");
    if (revived) return ErrorCode::non_empty_group;
    Records records{{encode_key(GroupKey{group}), std::nullopt}};
    for (const auto& [where, value] : fetched.offsets)
        records.emplace_back(encode_key(OffsetKey{group, where.first, where.second}), std::nullopt);
    const Answer written = write_offsets(*now.shard, *entry, records);
    if (written.error == ErrorCode::none) drop(*now.shard, group);
    return settle(written);
}

void Coordinator::drop(Shard& shard, const std::string& group) {
    const auto found = shard.tenure->groups.find(group);
    if (found->second.deadline) deadlines_.erase({*found->second.deadline, shard.id, group});
    shard.tenure->groups.erase(found);
    groups_gauge_.set(static_cast<std::int64_t>(--groups_));
}

std::vector<Coordinator::Listed> Coordinator::list(bool& is_loading) const {
    std::vector<Listed> listed;
    is_loading = false;
    for (const auto& [id, shard] : shards_) {
        is_loading |= shard->group->leads() && !is_current(*shard);
        if (!is_current(*shard)) continue;
        for (const auto& [name, entry] : shard->tenure->groups)
            listed.push_back({name, entry.state.protocol_type(), entry.state.phase()});
    }
    return listed;
}

void Coordinator::for_each(
    const std::function<void(const std::string&, const GroupState&)>& visit) const {
    for (const auto& [id, shard] : shards_)
        if (is_current(*shard))
            for (const auto& [name, entry] : shard->tenure->groups) visit(name, entry.state);
}

Result<bool> Coordinator::look_at_offsets(const OffsetVisitor& visit) const {
    std::vector<std::string> prefixes; // Whoever waits may find other shards.
    for (const auto& [id, shard] : shards_)
        if (is_current(*shard)) prefixes.push_back(shard->prefix());
    std::size_t seen = 0;
    for (const std::string& prefix : prefixes)
        TRY(env_.kv.scan(
            prefix,
            [&](std::string_view key, std::string_view value) {
                const auto about =
                    decode_offsets_topic_key(Bytes::copy_of(key.substr(prefix.size())));
                if (!about.ok() || !std::holds_alternative<OffsetKey>(about.value())) return true;
                const auto read = decode_offset_value(Bytes::copy_of(value));
                if (read.ok()) visit(std::get<OffsetKey>(about.value()), read.value());
                return ++seen < offsets_looked_at_max;
            }));
    return seen >= offsets_looked_at_max;
}

const GroupState* Coordinator::look(const std::string& group, ErrorCode& error) {
    const Access access = this->access(group);
    error = access.error;
    if (error != ErrorCode::none) return nullptr;
    const Entry* const entry = find_entry(*access.shard, group);
    return entry ? &entry->state : nullptr;
}

} // namespace pyralog::server
