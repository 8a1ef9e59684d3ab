#include "server/cli/membership.h"

#include "core/wire/kafka/heartbeat.h"
#include "core/wire/kafka/join_group.h"
#include "core/wire/kafka/leave_group.h"
#include "core/wire/kafka/offset_commit.h"
#include "core/wire/kafka/offset_fetch.h"
#include "core/wire/kafka/sync_group.h"
#include "server/cli/consumer_protocol.h"

namespace pyralog::cli {

using namespace wire::kafka;

namespace {

constexpr std::int16_t join_version = 5;
constexpr std::int16_t sync_version = 3;
constexpr std::int16_t heartbeat_version = 3;
constexpr std::int16_t commit_version = 7;
constexpr std::int16_t offset_fetch_version = 7;
constexpr std::int16_t leave_version = 2;
constexpr const char* protocol_type = "consumer";
constexpr const char* protocol = "range";

std::int32_t ms_of(Duration time) { return static_cast<std::int32_t>(time / 1ms); }

} // namespace

// Of the coordinator. What it refuses is in the response, but for what another one may know.
template <class Request>
std::optional<Trouble> Membership::ask(const Request& request, std::int16_t version,
                                       typename Request::Response& response) {
    return with_coordinator(client_, group_, [&](const Address& at, std::int32_t) {
        auto told = client_.call(at, request, version);
        if (!told.ok()) return Result<ErrorCode>(told.error());
        response = std::move(told).value();
        if constexpr (requires { response.error; })
            return Result<ErrorCode>(will_move(response.error) ? response.error : ErrorCode::none);
        else
            return Result<ErrorCode>(ErrorCode::none);
    });
}

// The others go on without this member, or without what it has said.
Told<bool> Membership::lost_by(ErrorCode error) {
    switch (error) {
    case ErrorCode::unknown_member_id: standing_.member_id.clear(); [[fallthrough]];
    case ErrorCode::illegal_generation:
    case ErrorCode::rebalance_in_progress: must_join_ = true; return true;
    default: return refusal(group_, error);
    }
}

std::optional<Trouble> Membership::join() {
    for (int attempt = 0; attempt < joins_max; ++attempt) {
        const Told<bool> again = join_once();
        if (const auto* trouble = std::get_if<Trouble>(&again)) return *trouble;
        if (std::get<bool>(again)) continue;
        must_join_ = false;
        beaten_ = client_.env().clock.now();
        return ask_for_positions();
    }
    return Trouble{group_ + ": its members do not come to agree"};
}

Told<bool> Membership::join_once() {
    JoinGroupRequest request;
    request.group_id = group_;
    request.session_timeout_ms = ms_of(session_timeout);
    request.rebalance_timeout_ms = ms_of(rebalance_timeout);
    request.member_id = standing_.member_id;
    request.protocol_type = protocol_type;
    request.protocols.push_back({protocol, wire::encode(Subscription{0, {topic_}, {}})});
    JoinGroupResponse joined;
    if (auto trouble = ask(request, join_version, joined)) return *trouble;
    if (joined.error == ErrorCode::member_id_required) {
        standing_.member_id = joined.member_id;
        return true;
    }
    if (joined.error != ErrorCode::none) return lost_by(joined.error);
    standing_.member_id = joined.member_id;
    standing_.generation = joined.generation_id;
    SyncGroupRequest shares;
    if (joined.leader == joined.member_id)
        if (auto trouble = share(joined, shares)) return *trouble;
    return sync(std::move(shares));
}

// Who leads the group says who reads what.
std::optional<Trouble> Membership::share(const JoinGroupResponse& joined,
                                         SyncGroupRequest& request) {
    std::map<std::string, Subscription> members;
    std::vector<std::string> topics{topic_};
    for (const auto& member : joined.members) {
        members[member.id] = read_said<Subscription>(member.metadata).value_or(Subscription());
        for (const std::string& topic : members[member.id].topics) topics.push_back(topic);
    }
    if (const auto known = client_.learn(&topics); !known.ok())
        return silence(client_, known.error());
    std::map<std::string, std::int32_t> partitions;
    for (const auto& [name, topic] : client_.map().topics)
        if (topic.error == ErrorCode::none) partitions[name] = topic.partitions;
    for (const auto& [id, assignment] : assign_range(members, partitions))
        request.assignments.push_back({id, wire::encode(assignment)});
    return {};
}

Told<bool> Membership::sync(SyncGroupRequest request) {
    request.group_id = group_;
    request.generation_id = standing_.generation;
    request.member_id = standing_.member_id;
    SyncGroupResponse synced;
    if (auto trouble = ask(request, sync_version, synced)) return *trouble;
    if (synced.error != ErrorCode::none) return lost_by(synced.error);
    const auto mine = read_said<Assignment>(synced.assignment);
    assigned_.clear();
    for (const auto& topic : mine ? mine->topics : std::vector<Assignment::Topic>())
        if (topic.name == topic_)
            assigned_.insert(assigned_.end(), topic.partitions.begin(), topic.partitions.end());
    return false;
}

// Not those that a transaction is about to commit: they are waited for.
std::optional<Trouble> Membership::ask_for_positions() {
    standing_.positions.clear();
    standing_.committed.clear();
    OffsetFetchRequest request;
    request.group.id = group_;
    request.group.topics = {{topic_, assigned_}};
    request.require_stable = true;
    if (assigned_.empty()) return {};
    for (int attempt = 0; attempt < coordinator_attempts_max; ++attempt) {
        OffsetFetchResponse told;
        if (auto trouble = with_coordinator(client_, group_, [&](const Address& at, std::int32_t) {
                auto answer = client_.call(at, request, offset_fetch_version);
                if (!answer.ok()) return Result<ErrorCode>(answer.error());
                told = std::move(answer).value();
                return Result<ErrorCode>(told.group.error);
            }))
            return trouble;
        bool is_stable = true;
        for (const auto& topic : told.group.topics)
            for (const auto& partition : topic.partitions) {
                is_stable &= partition.error != ErrorCode::unstable_offset_commit;
                if (partition.error == ErrorCode::none && partition.offset >= 0)
                    standing_.committed[partition.index] = partition.offset;
            }
        standing_.positions = standing_.committed;
        if (is_stable) return {};
        Environment& env = client_.env();
        if (!env.fibers.sleep_until(env.clock.now() + coordinator_pause).ok()) break;
    }
    return Trouble{group_ + ": a transaction that commits offsets of it does not end"};
}

std::optional<Trouble> Membership::beat() {
    const Time now = client_.env().clock.now();
    if (now < beaten_ + beat_pause) return {};
    beaten_ = now;
    HeartbeatRequest request{group_, standing_.generation, standing_.member_id, {}};
    HeartbeatResponse told;
    if (auto trouble = ask(request, heartbeat_version, told)) return trouble;
    if (told.error == ErrorCode::none) return {};
    const Told<bool> lost = lost_by(told.error);
    const auto* trouble = std::get_if<Trouble>(&lost);
    return trouble ? std::optional(*trouble) : std::nullopt;
}

std::optional<Trouble> Membership::commit() {
    OffsetCommitRequest request{group_, standing_.generation, standing_.member_id, {}, -1, {}};
    request.topics.push_back({topic_, {}});
    for (const auto& [partition, offset] : standing_.positions) {
        const auto known = standing_.committed.find(partition);
        if (known == standing_.committed.end() || known->second != offset)
            request.topics.front().partitions.push_back({partition, offset, -1, {}});
    }
    if (request.topics.front().partitions.empty() || standing_.member_id.empty()) return {};
    ErrorCode worst = ErrorCode::none;
    if (auto trouble = with_coordinator(client_, group_, [&](const Address& at, std::int32_t) {
            const auto told = client_.call(at, request, commit_version);
            if (!told.ok()) return Result<ErrorCode>(told.error());
            worst = ErrorCode::none;
            for (const auto& topic : told.value().topics)
                for (const auto& partition : topic.partitions)
                    if (partition.error != ErrorCode::none) worst = partition.error;
            return Result<ErrorCode>(will_move(worst) ? worst : ErrorCode::none);
        }))
        return trouble;
    if (worst != ErrorCode::none) {
        const Told<bool> lost = lost_by(worst);
        const auto* trouble = std::get_if<Trouble>(&lost);
        return trouble ? std::optional(*trouble) : std::nullopt;
    }
    standing_.committed = standing_.positions;
    return {};
}

std::optional<Trouble> Membership::leave() {
    if (standing_.member_id.empty()) return {};
    LeaveGroupRequest request;
    request.group_id = group_;
    request.member_id = std::exchange(standing_.member_id, {});
    LeaveGroupResponse told;
    return ask(request, leave_version, told);
}

} // namespace pyralog::cli
