#include "server/groups/group_state.h"

#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::server {

using wire::kafka::GroupValue;

namespace {

Duration from_ms(std::int32_t count) { return std::chrono::milliseconds(std::max(count, 0)); }
std::int32_t in_ms(Duration duration) { return static_cast<std::int32_t>(duration / 1ms); }

// With less than this nobody could come in time, and nobody would be waited for.
constexpr Duration rebalance_least = 10ms;
constexpr Duration rebalance_most = std::chrono::hours(24);

Duration within_reason(Duration rebalance) {
    return std::clamp<Duration>(rebalance, rebalance_least, rebalance_most);
}

// All of it goes into one record, and lies in memory.
std::size_t size_of(const MemberName& name, const std::string& client,
                    const std::vector<Join::Protocol>& protocols) {
    std::size_t size = name.id.size() + client.size() + name.instance.value_or("").size();
    for (const Join::Protocol& protocol : protocols)
        size += protocol.name.size() + protocol.metadata.size();
    return size;
}

bool has(const std::vector<Join::Protocol>& protocols, const std::string& name) {
    return std::ranges::find(protocols, name, &Join::Protocol::name) != protocols.end();
}

// What is kept must not keep the frame that it came in.
std::vector<Join::Protocol> own(const std::vector<Join::Protocol>& protocols) {
    std::vector<Join::Protocol> copies;
    for (const Join::Protocol& protocol : protocols)
        copies.push_back({protocol.name, Bytes::copy_of(protocol.metadata.view())});
    return copies;
}

} // namespace

std::string_view to_string(GroupState::Phase phase) {
    switch (phase) {
    case GroupState::Phase::empty: return "Empty";
    case GroupState::Phase::preparing: return "PreparingRebalance";
    case GroupState::Phase::completing: return "CompletingRebalance";
    case GroupState::Phase::stable: return "Stable";
    }
    check_failed("a known Phase", __FILE__, __LINE__);
}

GroupState::GroupState(const GroupRules& rules, const GroupValue& stored, Time now)
    : rules_(rules), generation_(stored.generation), protocol_type_(stored.protocol_type),
      protocol_(stored.protocol), leader_(stored.leader.value_or("")) {
    const bool is_assigned = stored.state_timestamp != GroupValue::unassigned;
    for (const GroupValue::Member& known : stored.members) {
        Member member;
        member.name = {known.id, known.group_instance_id};
        member.client_id = known.client_id;
        member.client_host = known.client_host;
        member.session_timeout = from_ms(known.session_timeout_ms);
        member.rebalance_timeout = known.rebalance_timeout_ms < 0
                                       ? member.session_timeout
                                       : from_ms(known.rebalance_timeout_ms);
        member.protocols = {{protocol_.value_or(""), Bytes::copy_of(known.subscription.view())}};
        member.assignment = Bytes::copy_of(known.assignment.view());
        member.has_synced = is_assigned;
        member.is_new = false;
        hear_of(now, member);
        if (member.name.instance) instances_[*member.name.instance] = known.id;
        members_.emplace(known.id, std::move(member));
    }
    if (members_.empty()) return;
    // Until its leader has spoken nobody has anything of a generation. What they have does not tell
    // if he did: perhaps he had nothing to give.
    phase_ = is_assigned ? Phase::stable : Phase::completing;
    SOMETIMES(phase_ == Phase::completing, "groups/found-in-the-middle-of-a-rebalance");
    if (phase_ == Phase::completing) phase_deadline_ = now + longest_rebalance();
}

// ---- Joining ----

void GroupState::refuse_join(Ticket ticket, ErrorCode error, std::string member_id) {
    Joined joined;
    joined.error = error;
    joined.member_id = std::move(member_id);
    answer(ticket, std::move(joined));
}

bool GroupState::has_room_for(const Join& join) const {
    const bool is_known = members_.contains(join.member.id) ||
                          promised_ids_.contains(join.member.id) ||
                          (join.member.instance && instances_.contains(*join.member.instance));
    return is_known || members_.size() + promised_ids_.size() < rules_.members_max;
}

bool GroupState::fits(const Join& join) const {
    std::size_t size = join.new_id.size() + size_of(join.member, join.client_id, join.protocols);
    for (const auto& [id, member] : members_)
        if (id != join.member.id) size += size_of(member.name, member.client_id, member.protocols);
    for (const auto& [id, until] : promised_ids_) size += id.size();
    return size <= rules_.bytes_max;
}

bool GroupState::supports(const Join& join) const {
    if (join.protocol_type.empty() || join.protocols.empty()) return false;
    if (members_.empty()) return true;
    return join.protocol_type == protocol_type_ &&
           std::ranges::any_of(join.protocols, [&](const Join::Protocol& protocol) {
               return is_candidate(protocol.name);
           });
}

// Whoever says he is this member: is he?
ErrorCode GroupState::check(const MemberName& name) const {
    if (name.instance) {
        const auto known = instances_.find(*name.instance);
        if (known == instances_.end()) return ErrorCode::unknown_member_id;
        SOMETIMES(known->second != name.id, "groups/fenced-instance");
        if (known->second != name.id) return ErrorCode::fenced_instance_id;
    }
    return members_.contains(name.id) ? ErrorCode::none : ErrorCode::unknown_member_id;
}

void GroupState::join(Time now, Ticket ticket, Join join) {
    join.protocols = own(join.protocols);
    const bool is_full = !has_room_for(join);
    const bool is_large = !fits(join);
    SOMETIMES(is_full, "groups/too-many-members");
    SOMETIMES(is_large, "groups/members-say-too-much");
    if (is_full || is_large) return refuse_join(ticket, ErrorCode::group_max_size_reached);
    if (!supports(join)) {
        REACHABLE("groups/inconsistent-protocol");
        return refuse_join(ticket, ErrorCode::inconsistent_group_protocol, join.member.id);
    }
    if (join.member.id.empty())
        join_anew(now, ticket, std::move(join));
    else
        rejoin(now, ticket, std::move(join));
    complete_if_all_joined(now);
}

void GroupState::join_anew(Time now, Ticket ticket, Join join) {
    if (join.member.instance) {
        const auto known = instances_.find(*join.member.instance);
        if (known == instances_.end()) return add(now, ticket, join, join.new_id);
        const std::string old_id = known->second;
        return replace_static(now, ticket, std::move(join), old_id);
    }
    if (!join.needs_known_id) return add(now, ticket, join, join.new_id);
    promised_ids_[join.new_id] = now + join.session_timeout;
    refuse_join(ticket, ErrorCode::member_id_required, join.new_id);
}

void GroupState::rejoin(Time now, Ticket ticket, Join join) {
    const std::string id = join.member.id;
    if (promised_ids_.erase(id) > 0) return add(now, ticket, std::move(join), id);
    if (const ErrorCode error = check(join.member); error != ErrorCode::none)
        return refuse_join(ticket, error, id);
    Member& member = members_.at(id);
    const bool is_as_before = member.protocols == join.protocols;
    // The answer to the first attempt was lost, or a follower has nothing new to say.
    const bool is_lost_answer = phase_ == Phase::completing && is_as_before;
    const bool is_idle_follower = phase_ == Phase::stable && is_as_before && id != leader_;
    SOMETIMES(is_lost_answer, "groups/join-answered-again");
    SOMETIMES(is_idle_follower, "groups/follower-joins-again");
    if (is_lost_answer || is_idle_follower) {
        hear_of(now, member);
        return answer(ticket, current(member));
    }
    take_in(member, ticket, std::move(join));
    hear_of(now, member);
    prepare(now);
}

// A static member has come back, and has lost its id. What it was called before is called so no
// more; if nothing else has changed, the generation goes on.
void GroupState::replace_static(Time now, Ticket ticket, Join join, const std::string& old_id) {
    REACHABLE("groups/static-member-comes-back");
    const std::string leader_before = leader_;
    const std::string protocol_before = protocol_.value_or("");
    Member member = std::move(members_.at(old_id));
    members_.erase(old_id);
    const std::string id = join.new_id;
    const bool can_skip = join.can_skip_assignment;
    if (member.joining)
        refuse_join(*std::exchange(member.joining, {}), ErrorCode::fenced_instance_id, old_id);
    if (member.syncing)
        refuse_sync(*std::exchange(member.syncing, {}), ErrorCode::fenced_instance_id);
    member.name.id = id;
    instances_[*member.name.instance] = id;
    if (leader_ == old_id) leader_ = id;
    take_in(member, ticket, std::move(join));
    hear_of(now, member);
    Member& placed = members_.emplace(id, std::move(member)).first->second;
    if (phase_ != Phase::stable || choose_protocol() != protocol_before) return prepare(now);
    placed.joining.reset();
    Joined joined = current(placed);
    // Before KIP-814 nobody could be told that there is nothing to assign: it takes itself for one
    // that follows.
    joined.skip_assignment = can_skip && id == leader_;
    if (!joined.skip_assignment) {
        joined.leader = leader_before;
        joined.members.clear();
    }
    effects_.is_changed = true;
    answer(ticket, std::move(joined));
}

void GroupState::take_in(Member& member, Ticket ticket, Join join) {
    if (member.joining) {
        REACHABLE("groups/joins-while-it-joins");
        refuse_join(*member.joining, ErrorCode::rebalance_in_progress, member.name.id);
    }
    member.client_id = std::move(join.client_id);
    member.client_host = std::move(join.client_host);
    member.session_timeout = join.session_timeout;
    member.rebalance_timeout = within_reason(join.rebalance_timeout);
    member.protocols = std::move(join.protocols);
    member.joining = ticket;
}

void GroupState::add(Time now, Ticket ticket, Join join, std::string id) {
    if (members_.empty()) protocol_type_ = join.protocol_type;
    Member member;
    member.name = {id, join.member.instance};
    if (join.member.instance) instances_[*join.member.instance] = id;
    take_in(member, ticket, std::move(join));
    hear_of(now, member);
    if (members_.empty()) leader_ = id;
    members_.emplace(std::move(id), std::move(member));
    more_came_ = true;
    prepare(now);
}

std::vector<Joined::Member> GroupState::members_for_leader() const {
    std::vector<Joined::Member> all;
    for (const auto& [id, member] : members_) all.push_back({member.name, metadata_of(member)});
    return all;
}

Joined GroupState::current(const Member& member) const {
    Joined joined;
    joined.generation = generation_;
    joined.protocol_type = protocol_type_;
    joined.protocol = protocol_;
    joined.leader = leader_;
    joined.member_id = member.name.id;
    if (member.name.id == leader_) joined.members = members_for_leader();
    return joined;
}

// ---- Rebalancing ----

Duration GroupState::longest_rebalance() const {
    Duration longest{0};
    for (const auto& [id, member] : members_) longest = std::max(longest, member.rebalance_timeout);
    return longest;
}

// Waits for all to join again, if it does not already.
void GroupState::prepare(Time now) {
    if (phase_ == Phase::preparing) return;
    if (phase_ == Phase::completing)
        for (auto& [id, member] : members_) {
            if (!member.syncing) continue;
            refuse_sync(*std::exchange(member.syncing, {}), ErrorCode::rebalance_in_progress);
            hear_of(now, member);
        }
    const bool waits_for_more =
        phase_ == Phase::empty && rules_.initial_rebalance_delay > Duration{0};
    phase_ = Phase::preparing;
    wait_for_more_until_.reset();
    phase_deadline_ = now + longest_rebalance();
    if (!waits_for_more) return;
    wait_for_more_until_ = phase_deadline_;
    phase_deadline_ = std::min(*phase_deadline_, now + rules_.initial_rebalance_delay);
    more_came_ = false;
}

void GroupState::complete_if_all_joined(Time now) {
    if (phase_ != Phase::preparing || wait_for_more_until_ || !promised_ids_.empty()) return;
    const bool all = std::ranges::all_of(
        members_, [](const auto& known) { return known.second.joining.has_value(); });
    if (all) complete(now);
}

// Whoever has not joined is out; but one that has a name of its own stays until its session ends.
void GroupState::complete(Time now) {
    wait_for_more_until_.reset();
    std::erase_if(members_, [](const auto& known) {
        const bool late = !known.second.joining && !known.second.name.instance;
        SOMETIMES(late, "groups/member-did-not-join-again");
        return late;
    });
    const auto first_joined =
        std::ranges::find_if(members_, [](const auto& m) { return m.second.joining.has_value(); });
    if (!members_.empty() && first_joined == members_.end()) {
        REACHABLE("groups/only-static-members-and-none-has-joined");
        phase_deadline_ = now + longest_rebalance();
        return;
    }
    if (const auto leader = members_.find(leader_);
        leader == members_.end() || !leader->second.joining)
        leader_ = members_.empty() ? std::string() : first_joined->first;
    begin_generation(now);
}

void GroupState::begin_generation(Time now) {
    ++generation_;
    effects_.is_changed = true;
    phase_deadline_.reset();
    if (members_.empty()) {
        REACHABLE("groups/everybody-has-gone");
        phase_ = Phase::empty;
        protocol_.reset();
        return;
    }
    phase_ = Phase::completing;
    protocol_ = choose_protocol();
    phase_deadline_ = now + longest_rebalance();
    for (auto& [id, member] : members_) {
        member.assignment = {};
        member.is_new = member.has_synced = false;
    }
    for (auto& [id, member] : members_) {
        if (!member.joining) continue;
        answer(*std::exchange(member.joining, {}), current(member));
        hear_of(now, member);
    }
}

bool GroupState::is_candidate(const std::string& protocol) const {
    return std::ranges::all_of(
        members_, [&](const auto& known) { return has(known.second.protocols, protocol); });
}

// Of those that all know, the one that most like best. Between equals, the first by name.
std::string GroupState::choose_protocol() const {
    std::map<std::string, int> votes;
    for (const auto& [id, member] : members_) {
        const auto liked =
            std::ranges::find_if(member.protocols, [&](const Join::Protocol& protocol) {
                return is_candidate(protocol.name);
            });
        if (liked != member.protocols.end()) ++votes[liked->name];
    }
    std::string best;
    for (const auto& [name, count] : votes)
        if (best.empty() || count > votes.at(best)) best = name;
    return best;
}

// ---- What members say between two joins ----

void GroupState::refuse_sync(Ticket ticket, ErrorCode error) {
    Synced synced;
    synced.error = error;
    answer(ticket, std::move(synced));
}

void GroupState::sync(Time now, Ticket ticket, Sync sync) {
    if (const ErrorCode error = check(sync.member); error != ErrorCode::none)
        return refuse_sync(ticket, error);
    if (sync.generation != generation_) return refuse_sync(ticket, ErrorCode::illegal_generation);
    if (phase_ == Phase::preparing) return refuse_sync(ticket, ErrorCode::rebalance_in_progress);
    const bool is_other = (sync.protocol_type && *sync.protocol_type != protocol_type_) ||
                          (sync.protocol && *sync.protocol != protocol_.value_or(""));
    if (is_other) return refuse_sync(ticket, ErrorCode::inconsistent_group_protocol);
    Member& member = members_.at(sync.member.id);
    hear_of(now, member);
    member.has_synced = true;
    if (phase_ == Phase::stable) {
        SOMETIMES(sync.member.id == leader_, "groups/leader-syncs-again");
        answer(ticket,
               Synced{ErrorCode::none, protocol_type_, protocol_.value_or(""), member.assignment});
    } else {
        std::size_t size = 0;
        for (const auto& [id, assignment] : sync.assignments) size += assignment.size();
        SOMETIMES(size > rules_.bytes_max, "groups/assignment-is-too-large");
        if (size > rules_.bytes_max) return refuse_sync(ticket, ErrorCode::invalid_request);
        if (member.syncing) refuse_sync(*member.syncing, ErrorCode::rebalance_in_progress);
        member.syncing = ticket;
        if (sync.member.id == leader_) assign(now, std::move(sync));
    }
    if (std::ranges::all_of(members_, [](const auto& m) { return m.second.has_synced; }) &&
        phase_ == Phase::stable)
        phase_deadline_.reset();
}

void GroupState::assign(Time now, Sync sync) {
    phase_ = Phase::stable;
    effects_.is_changed = true;
    for (const auto& [id, assignment] : sync.assignments) {
        const auto member = members_.find(id);
        SOMETIMES(member == members_.end(), "groups/assignment-for-nobody");
        if (member != members_.end()) member->second.assignment = Bytes::copy_of(assignment.view());
    }
    for (auto& [id, member] : members_) {
        if (!member.syncing) continue;
        hear_of(now, member);
        answer(*std::exchange(member.syncing, {}),
               Synced{ErrorCode::none, protocol_type_, protocol_.value_or(""), member.assignment});
    }
}

ErrorCode GroupState::heartbeat(Time now, const MemberName& name, std::int32_t generation) {
    if (const ErrorCode error = check(name); error != ErrorCode::none) return error;
    if (generation != generation_) return ErrorCode::illegal_generation;
    hear_of(now, members_.at(name.id));
    return phase_ == Phase::preparing ? ErrorCode::rebalance_in_progress : ErrorCode::none;
}

ErrorCode GroupState::leave(Time now, const MemberName& name) {
    if (promised_ids_.erase(name.id) > 0) {
        complete_if_all_joined(now);
        return ErrorCode::none;
    }
    std::string id = name.id;
    // An operator removes a static member by its name.
    const bool by_instance = name.instance && name.id.empty();
    if (by_instance && instances_.contains(*name.instance)) id = instances_.at(*name.instance);
    const MemberName whole{id, name.instance};
    if (const ErrorCode error = check(whole); error != ErrorCode::none) return error;
    REACHABLE("groups/member-leaves");
    remove(now, id);
    return ErrorCode::none;
}

ErrorCode GroupState::commit(Time now, const MemberName& name, std::int32_t generation) {
    const bool is_alone = generation < 0 && name.id.empty() && !name.instance;
    if (is_alone || (generation < 0 && members_.empty())) {
        SOMETIMES(!members_.empty(), "groups/commit-from-outside");
        return members_.empty() ? ErrorCode::none : ErrorCode::unknown_member_id;
    }
    if (const ErrorCode error = check(name); error != ErrorCode::none) return error;
    SOMETIMES(generation < generation_, "groups/commit-of-an-older-generation");
    const Member& member = members_.at(name.id);
    if (generation != generation_ || member.is_new) return ErrorCode::illegal_generation;
    // Nobody knows yet what is whose.
    SOMETIMES(phase_ == Phase::completing, "groups/commit-before-the-assignment");
    if (phase_ == Phase::completing) return ErrorCode::rebalance_in_progress;
    hear_of(now, members_.at(name.id));
    return ErrorCode::none;
}

// ---- Those who are gone ----

void GroupState::remove(Time now, const std::string& id) {
    Member& member = members_.at(id);
    if (member.joining) refuse_join(*member.joining, ErrorCode::unknown_member_id, id);
    if (member.syncing) refuse_sync(*member.syncing, ErrorCode::unknown_member_id);
    if (member.name.instance) instances_.erase(*member.name.instance);
    members_.erase(id);
    if (leader_ == id) leader_ = members_.empty() ? std::string() : members_.begin()->first;
    prepare(now);
    complete_if_all_joined(now);
}

void GroupState::remove_who_has_not_synced(Time now) {
    std::vector<std::string> late;
    for (const auto& [id, member] : members_)
        if (!member.has_synced) late.push_back(id);
    SOMETIMES(!late.empty(), "groups/member-did-not-sync");
    phase_deadline_.reset();
    for (const std::string& id : late) remove(now, id);
}

std::optional<Time> GroupState::deadline() const {
    std::optional<Time> first = phase_deadline_;
    const auto also = [&](Time when) { first = first ? std::min(*first, when) : when; };
    for (const auto& [id, until] : promised_ids_) also(until);
    for (const auto& [id, member] : members_)
        if (!member.joining && !member.syncing) also(member.expires);
    return first;
}

void GroupState::tick(Time now) {
    std::erase_if(promised_ids_, [&](const auto& promised) { return promised.second <= now; });
    std::vector<std::string> silent;
    for (const auto& [id, member] : members_)
        if (!member.joining && !member.syncing && member.expires <= now) silent.push_back(id);
    SOMETIMES(!silent.empty(), "groups/session-ended");
    for (const std::string& id : silent)
        if (members_.contains(id)) remove(now, id);
    complete_if_all_joined(now);
    if (!phase_deadline_ || *phase_deadline_ > now) return;
    if (phase_ != Phase::preparing) return remove_who_has_not_synced(now);
    const bool waits_on = wait_for_more_until_ && more_came_ && *wait_for_more_until_ > now;
    SOMETIMES(waits_on, "groups/waits-for-more-members");
    if (waits_on) {
        more_came_ = false;
        phase_deadline_ = std::min(*wait_for_more_until_, now + rules_.initial_rebalance_delay);
    } else {
        complete(now);
    }
}

// ---- The stored form, and what is told ----

Bytes GroupState::metadata_of(const Member& member) const {
    const auto found =
        std::ranges::find(member.protocols, protocol_.value_or(""), &Join::Protocol::name);
    return found == member.protocols.end() ? Bytes() : found->metadata;
}

GroupValue GroupState::stored(std::int64_t now_ms) const {
    GroupValue value;
    value.protocol_type = protocol_type_;
    value.generation = generation_;
    value.protocol = protocol_;
    if (!leader_.empty()) value.leader = leader_;
    value.state_timestamp = phase_ == Phase::completing ? GroupValue::unassigned : now_ms;
    for (const auto& [id, member] : members_)
        value.members.push_back({id, member.name.instance, member.client_id, member.client_host,
                                 in_ms(member.rebalance_timeout), in_ms(member.session_timeout),
                                 metadata_of(member), member.assignment});
    return value;
}

bool GroupState::is_subscribed(const std::string& topic) const {
    if (protocol_type_ != "consumer") return false;
    return std::ranges::any_of(members_, [&](const auto& known) {
        const Join::Protocol& any = known.second.protocols.front();
        const auto topics = wire::kafka::subscribed_topics(any.metadata);
        return !topics || std::ranges::find(*topics, topic) != topics->end();
    });
}

} // namespace pyralog::server
