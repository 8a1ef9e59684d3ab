// server/groups/group_state.h
//
// One consumer group, as its coordinator knows it: who its members are, which generation they have
// agreed on, and what each of them was assigned. Pure: inputs and the time go in, answers and the
// wish to be written down come out, through take_effects(); deadline() says when to call tick().
//
//     empty ──join──→ preparing ──all have joined, or time is up──→ completing ──the leader
//       ↑                ↑                                              │          has synced
//       └── nobody left ─┴───── somebody joins, leaves or is late ──────┴──→ stable
//
// What the members speak among themselves, the protocols and the assignments, is their own affair:
// this chooses a protocol that all of them know, names a leader, and hands on what he says.
//
// A generation is written down before anybody is told its number, so no number is ever given out
// twice, also not by another coordinator; whoever commits with an older one is refused for good.
//
// Who waits for an answer is called by a Ticket, and hears exactly once.
#pragma once

#include "core/base/time.h"
#include "core/wire/kafka/api.h"
#include "core/wire/kafka/offsets_topic.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace pyralog::server {

using wire::kafka::ErrorCode;

using Ticket = std::uint64_t;

// What holds for all groups of a node.
struct GroupRules {
    Duration initial_rebalance_delay{0};
    std::size_t members_max = 1000;  // Of one group, those included that have only asked for an id.
    std::size_t bytes_max = 1 << 20; // Of one group: what its members say of themselves.
};

// A member, as it names itself. One with an instance (KIP-345) may come back under another id.
struct MemberName {
    std::string id;
    std::optional<std::string> instance;
};

struct Join {
    struct Protocol {
        std::string name;
        Bytes metadata;
        bool operator==(const Protocol& other) const {
            return name == other.name && metadata.text() == other.metadata.text();
        }
    };
    MemberName member;
    std::string new_id; // What it is called if it has no id yet.
    std::string client_id, client_host;
    Duration session_timeout{0}, rebalance_timeout{0};
    std::string protocol_type;
    std::vector<Protocol> protocols;  // The one it likes best comes first.
    bool needs_known_id = false;      // It is told its id first, and joins with that (KIP-394).
    bool can_skip_assignment = false; // KIP-814.
};

struct Joined {
    struct Member {
        MemberName name;
        Bytes metadata;
    };
    ErrorCode error = ErrorCode::none;
    std::int32_t generation = -1;
    std::string protocol_type;
    std::optional<std::string> protocol;
    std::string leader;
    bool skip_assignment = false;
    std::string member_id;
    std::vector<Member> members; // For the leader.
};

struct Sync {
    MemberName member;
    std::int32_t generation = 0;
    std::optional<std::string> protocol_type, protocol;
    std::vector<std::pair<std::string, Bytes>> assignments; // By member; from the leader.
};

struct Synced {
    ErrorCode error = ErrorCode::none;
    std::string protocol_type, protocol;
    Bytes assignment;
};

class GroupState {
public:
    enum class Phase : std::uint8_t { empty, preparing, completing, stable };

    struct Member {
        MemberName name;
        std::string client_id, client_host;
        Duration session_timeout{0}, rebalance_timeout{0};
        std::vector<Join::Protocol> protocols;
        Bytes assignment;
        std::optional<Ticket> joining, syncing; // It waits for such an answer.
        bool is_new = true;                     // It is in no generation yet.
        bool has_synced = false;                // In this generation.
        Time expires;                           // Unless something is heard of it before.
    };

    // `rules` outlive this.
    explicit GroupState(const GroupRules& rules) : rules_(rules) {}
    // As a coordinator before us has left it. All members have a session from `now` on.
    GroupState(const GroupRules& rules, const wire::kafka::GroupValue& stored, Time now);

    // ---- Inputs ----

    void join(Time now, Ticket ticket, Join join);
    void sync(Time now, Ticket ticket, Sync sync);
    ErrorCode heartbeat(Time now, const MemberName& member, std::int32_t generation);
    ErrorCode leave(Time now, const MemberName& member);
    // May this member commit offsets now? Generation -1 and no id: somebody who only keeps his
    // offsets here, as long as there are no members.
    ErrorCode commit(Time now, const MemberName& member, std::int32_t generation);
    void tick(Time now);

    // ---- Outputs ----

    struct Effects {
        // Answers to be given when what is to be written is stored for good; if nothing is, when
        // all that was written before is.
        std::vector<std::pair<Ticket, std::variant<Joined, Synced>>> answers;
        bool is_changed = false; // stored() is to be written.
    };
    Effects take_effects() { return std::exchange(effects_, {}); }
    std::optional<Time> deadline() const;
    wire::kafka::GroupValue stored(std::int64_t now_ms) const;

    // ---- For those who look on ----

    Phase phase() const { return phase_; }
    std::int32_t generation() const { return generation_; }
    const std::string& protocol_type() const { return protocol_type_; }
    const std::optional<std::string>& protocol() const { return protocol_; }
    const std::string& leader() const { return leader_; }
    const std::map<std::string, Member>& members() const { return members_; }
    // By the protocol that was chosen.
    Bytes metadata_of(const Member& member) const;
    // Does a member of this group of consumers read the topic? One that cannot be understood might.
    bool is_subscribed(const std::string& topic) const;

private:
    void answer(Ticket ticket, Joined joined) { effects_.answers.emplace_back(ticket, joined); }
    void answer(Ticket ticket, Synced synced) { effects_.answers.emplace_back(ticket, synced); }
    void refuse_join(Ticket ticket, ErrorCode error, std::string member_id = {});
    void refuse_sync(Ticket ticket, ErrorCode error);

    bool has_room_for(const Join& join) const;
    bool fits(const Join& join) const;
    bool supports(const Join& join) const;
    ErrorCode check(const MemberName& name) const;

    void join_anew(Time now, Ticket ticket, Join join);
    void rejoin(Time now, Ticket ticket, Join join);
    void replace_static(Time now, Ticket ticket, Join join, const std::string& old_id);
    void add(Time now, Ticket ticket, Join join, std::string id);
    void take_in(Member& member, Ticket ticket, Join join);
    Joined current(const Member& member) const;

    void prepare(Time now);
    void complete_if_all_joined(Time now);
    void complete(Time now);
    void begin_generation(Time now);
    void assign(Time now, Sync sync);
    void remove(Time now, const std::string& id);
    void remove_who_has_not_synced(Time now);
    void hear_of(Time now, Member& member) { member.expires = now + member.session_timeout; }
    bool is_candidate(const std::string& protocol) const;
    std::string choose_protocol() const;
    Duration longest_rebalance() const;
    std::vector<Joined::Member> members_for_leader() const;

    const GroupRules& rules_;
    Phase phase_ = Phase::empty;
    std::int32_t generation_ = 0;
    std::string protocol_type_;
    std::optional<std::string> protocol_;
    std::string leader_;
    std::map<std::string, Member> members_;
    std::map<std::string, std::string> instances_; // The ids of those that have one.
    std::map<std::string, Time> promised_ids_;     // Until when each is waited for.
    // preparing: when whoever has not joined is left out; the others: has not synced.
    std::optional<Time> phase_deadline_;
    std::optional<Time> wait_for_more_until_; // The first members of a group wait for more.
    bool more_came_ = false;
    Effects effects_;
};

// Kafka's name for it.
std::string_view to_string(GroupState::Phase phase);

} // namespace pyralog::server
