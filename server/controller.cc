#include "server/controller.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/config.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::server {

namespace {

constexpr std::size_t commands_bytes_max = 1_MiB;
constexpr std::size_t outcomes_max = 1024; // Nobody waits for longer than this many commands.
constexpr std::size_t answering_max = 64;  // Commands of other nodes under way here.
constexpr Duration forward_patience = 5s;  // Then the leader is asked for again.
constexpr Duration command_pause = 50ms;

// What goes back to the node that passed a command on.
struct Answer {
    Outcome outcome = Outcome::done;
    Offset applied; // So far that node must have applied, to see it.
};

template <class Codec>
void describe(Codec& field, Answer& a) {
    field(a.outcome, a.applied);
    field.require(a.outcome <= Outcome::not_settable);
}

} // namespace

Controller::Controller(Environment& env, raft::Host& host, std::vector<NodeId> members)
    : env_(env), host_(host), members_(members), catalogue_(std::move(members)),
      changed_(env.fibers), applied_changed_(env.fibers) {
    host_.on_other(controller_group, [this](NodeId from, wire::PeerMessage message) {
        receive(from, std::move(message));
    });
    host_.on_leader_changed([this](GroupId) { changed_.notify_all(); });
}

Result<> Controller::restore() {
    const auto unreadable = [&](std::string_view key) {
        env_.log.error(
            "cannot read what is stored of the catalogue: another version of the program "
            "has written it, or the store is damaged; nothing was changed: start the "
            "version that ran here last, or restore a backup of the whole directory",
            {{"key", key}});
        return Error::corrupt;
    };
    if (const auto applied = TRY(env_.kv.get(applied_key))) {
        const auto offset = parse_integer(*applied);
        if (!offset || *offset < 0) return unreadable(applied_key);
        applied_ = Offset(*offset);
    }
    std::optional<std::string> unsound;
    TRY(env_.kv.scan(
        Catalogue::prefix,
        [&](std::string_view key, std::string_view value) {
            if (!catalogue_.restore(key, value).ok()) unsound = key;
            return !unsound;
        }));
    if (unsound) return unreadable(*unsound);
    return {};
}

std::vector<raft::Host::Member> Controller::groups() const {
    std::vector<raft::Host::Member> groups;
    groups.push_back({controller_group, {members_, {}, {}}});
    for (const auto& [name, topic] : catalogue_.topics()) {
        for (const Topic::Partition& partition : topic.partitions) {
            std::vector<NodeId> voters = partition.replicas;
            std::sort(voters.begin(), voters.end());
            if (std::binary_search(voters.begin(), voters.end(), host_.self()))
                groups.push_back({partition.group,
                                  {std::move(voters), {}, {}},
                                  topic.settings.log_segment_bytes(),
                                  topic.settings.log_segment_age()});
        }
    }
    return groups;
}

// ---- Applying ----

Result<> Controller::run() {
    Scope scope(env_.fibers);
    running_ = &scope;
    struct Leave {
        Scope*& running;
        ~Leave() { running = nullptr; }
    } const leave{running_};
    const raft::GroupRef group = host_.find(controller_group);
    CHECK(group);
    for (;;) {
        TRY(group->wait_committed(applied_));
        const std::size_t most = BUGGIFY("controller/reads-little") ? 1 : commands_bytes_max;
        const Result<BytesChain> read = group->read(applied_, most);
        // What is damaged here is mended from another replica; this node knows less until then.
        const bool is_damaged = !read.ok() && read.error() == Error::corrupt;
        SOMETIMES(is_damaged, "controller/waits-until-its-log-is-mended");
        if (is_damaged)
            TRY(env_.fibers.sleep_until(env_.clock.now() + command_pause));
        else
            TRY(apply_all(joined(TRY(read))));
    }
}

Result<> Controller::apply_all(Bytes batches) {
    while (!batches.empty()) {
        auto taken = wire::RecordBatch::take_first(batches);
        const auto* batch = std::get_if<wire::RecordBatch>(&taken);
        if (!batch) return Error::corrupt;
        const std::vector<wire::Record> records = TRY(wire::records_of(*batch));
        for (const wire::Record& record : records) {
            if (record.offset < applied_) continue; // A batch is read whole.
            const Result<Command> command = decode_command(record.value.value_or(Bytes()));
            if (!command.ok()) return Error::corrupt; // It was checked before it was proposed.
            TRY(apply(record.offset, command.value()));
        }
    }
    return {};
}

Result<> Controller::apply(Offset offset, const Command& command) {
    Catalogue::Applied applied = catalogue_.apply(command);
    if (!applied.changes.changes.empty() && BUG(M16))
        TRY(env_.kv.commit(KvStore::Batch().put(applied_key, std::to_string(offset.value + 1))));
    applied.changes.put(applied_key, std::to_string((offset + 1).value));
    // The stored form goes first: a group that it does not know is deleted at the next start.
    TRY(env_.kv.commit(std::move(applied.changes)));
    // Between what is stored and the groups that follow from it.
    if (!applied.placed.empty() && BUGGIFY("controller/places-late"))
        TRY(env_.fibers.sleep_until(env_.clock.now() + 5ms));
    for (const Placed& placed : applied.placed) TRY(place(placed));
    applied_ = offset + 1;
    outcomes_[offset] = applied.outcome;
    if (outcomes_.size() > outcomes_max) outcomes_.erase(outcomes_.begin());
    SOMETIMES(applied.outcome == Outcome::exists, "controller/applied-topic-exists");
    SOMETIMES(applied.outcome == Outcome::not_found, "controller/applied-no-such-topic");
    SOMETIMES(applied.outcome == Outcome::no_such_placement, "controller/applied-no-placement");
    applied_changed_.notify_all();
    changed_.notify_all();
    return {};
}

Result<> Controller::place(const Placed& placed) {
    std::vector<NodeId> voters = placed.replicas;
    std::sort(voters.begin(), voters.end());
    if (!std::binary_search(voters.begin(), voters.end(), host_.self())) return {};
    if (placed.change == Placed::Change::removed) return host_.remove(placed.group);
    if (placed.change == Placed::Change::settings) {
        if (const raft::GroupRef group = host_.find(placed.group))
            group->log().set_limits(
                placed.settings.log_segment_bytes().value_or(host_.log_config().segment_bytes),
                placed.settings.log_segment_age().value_or(host_.log_config().segment_age));
        return {};
    }
    const bool first = placed.replicas.front() == host_.self();
    const Result<> created = host_.create({placed.group,
                                           {std::move(voters), {}, {}},
                                           placed.settings.log_segment_bytes(),
                                           placed.settings.log_segment_age()},
                                          first);
    // Applied again after a crash between the store and the group.
    SOMETIMES(!created.ok() && created.error() == Error::already_exists,
              "controller/placed-a-group-again");
    if (!created.ok() && created.error() != Error::already_exists) return created.error();
    return {};
}

// ---- Commands ----

Result<Outcome> Controller::submit(const Command& command) {
    for (;;) {
        const auto leader = host_.leader_of(controller_group);
        Result<Outcome> result = Error::unavailable;
        SOMETIMES(!leader, "controller/nobody-leads");
        // One that is away would not answer; there will soon be another.
        const bool is_away =
            leader && *leader != host_.self() && !host_.transport().connected(*leader);
        SOMETIMES(is_away, "controller/leader-is-away");
        if (leader && !is_away && !BUGGIFY("controller/finds-no-leader"))
            result = *leader == host_.self() ? submit_here(command) : submit_to(*leader, command);
        if (result.ok() && BUGGIFY("controller/answer-is-lost")) result = Error::unavailable;
        if (result.ok()) return as_seen_now(command, result.value());
        SOMETIMES(result.error() == Error::not_leader, "controller/command-overruled");
        SOMETIMES(result.error() == Error::timed_out, "controller/nobody-waits-that-long");
        switch (result.error()) {
        case Error::not_leader:
        case Error::unavailable:
        case Error::disconnected:
            TRY(env_.fibers.sleep_until(env_.clock.now() + command_pause)); break;
        default: return result;
        }
    }
}

// A command that was carried out without our hearing of it, and is repeated, finds its own work.
Outcome Controller::as_seen_now(const Command& command, Outcome outcome) const {
    const auto* create = std::get_if<CreateTopic>(&command);
    if (outcome != Outcome::exists || !create) return outcome;
    const Topic* topic = catalogue_.find(create->name);
    SOMETIMES(topic && topic->id == create->id, "controller/repeated-command-finds-its-own-work");
    return topic && topic->id == create->id ? Outcome::done : outcome;
}

Result<Outcome> Controller::submit_here(const Command& command) {
    const raft::GroupRef group = host_.find(controller_group);
    CHECK(group);
    SOMETIMES(!group->serves(), "controller/asked-before-it-serves");
    if (!group->serves()) return Error::unavailable;
    wire::RecordBatchBuilder builder;
    builder.add({}, encode_command(command).text(), env_.clock.wall().unix_ms);
    auto parsed = wire::RecordBatch::parse(builder.build());
    const raft::Group::Proposal proposal = TRY(group->propose(std::get<wire::RecordBatch>(parsed)));
    TRY(group->settle(proposal));
    const Offset offset = proposal.place.first.offset;
    TRY(applied_changed_.wait([&] { return applied_ > offset; }));
    const auto outcome = outcomes_.find(offset);
    if (outcome == outcomes_.end()) return Error::unavailable;
    return outcome->second;
}

Result<Outcome> Controller::submit_to(NodeId leader, const Command& command) {
    Asked asked(env_.fibers);
    const std::uint64_t id = ++last_asked_;
    asked_[id] = &asked;
    host_.transport().send(leader,
                           {controller_group, wire::Forward{id, encode_command(command)}, {}});
    Result<> waited;
    {
        const Deadline patience(env_.fibers, env_.clock.now() + forward_patience);
        waited = asked.answered.wait();
    }
    asked_.erase(id);
    if (!waited.ok()) {
        SOMETIMES(waited.error() == Error::timed_out, "controller/leader-does-not-answer");
        // Our own patience, or that of the caller? His shows in the next wait.
        if (waited.error() == Error::timed_out) return Error::unavailable;
        return waited.error();
    }
    SOMETIMES(asked.reply->outcome != 0, "controller/leader-could-not");
    if (asked.reply->outcome != 0) return Error::unavailable;
    REACHABLE("controller/forwarded");
    const Answer answer = TRY(wire::decode<Answer>(asked.reply->answer));
    TRY(applied_changed_.wait([&] { return applied_ >= answer.applied; }));
    return answer.outcome;
}

void Controller::receive(NodeId from, wire::PeerMessage message) {
    if (const auto* request = std::get_if<wire::Forward>(&message.body)) {
        answer(from, *request);
    } else if (const auto* reply = std::get_if<wire::ForwardReply>(&message.body)) {
        const auto found = asked_.find(reply->id);
        SOMETIMES(found == asked_.end(), "controller/answer-came-too-late");
        if (found == asked_.end()) return; // Nobody waits any more.
        found->second->reply = *reply;
        found->second->answered.set();
    }
}

void Controller::answer(NodeId from, const wire::Forward& request) {
    const Result<Command> command = decode_command(request.command);
    SOMETIMES(answering_ > 0, "controller/asked-by-several");
    if (!running_ || !command.ok() || answering_ >= answering_max) return; // He will ask again.
    if (BUGGIFY("controller/drops-a-command", 100'000)) return;
    ++answering_;
    running_->spawn("forwarded", [this, from, id = request.id, command = command.value()] {
        Result<Outcome> result = Error::cancelled;
        {
            const Deadline patience(env_.fibers, env_.clock.now() + forward_patience);
            result = submit_here(command);
        }
        --answering_;
        wire::ForwardReply reply{id, 0, {}};
        if (result.ok())
            reply.answer = wire::encode(Answer{result.value(), applied_});
        else
            reply.outcome = static_cast<std::uint8_t>(static_cast<int>(result.error()) + 1);
        host_.transport().send(from, {controller_group, std::move(reply), {}});
    });
}

} // namespace pyralog::server
