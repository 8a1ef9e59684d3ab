#include "server/groups/group_state.h"

#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::server;
using Phase = GroupState::Phase;
using wire::kafka::GroupValue;

namespace {

Bytes bytes(std::string_view text) { return Bytes::copy_of(text); }

// A group, a clock, and all answers that have come.
class Room {
public:
    explicit Room(GroupRules r = {}) : rules(r), group(std::make_unique<GroupState>(rules)) {}

    Join join_of(const std::string& id, const std::vector<std::string>& protocols = {"range"}) {
        Join join;
        join.member.id = id;
        join.new_id = "member-" + std::to_string(++ids);
        join.client_id = "client";
        join.session_timeout = 10s;
        join.rebalance_timeout = 30s;
        join.protocol_type = "consumer";
        for (const std::string& name : protocols)
            join.protocols.push_back({name, bytes("says " + name)});
        return join;
    }
    Ticket join(Join join) {
        group->join(now, ++last, std::move(join));
        take();
        return last;
    }
    Ticket join(const std::string& id = {}) { return join(join_of(id)); }
    Ticket sync(const std::string& id, std::int32_t generation,
                std::vector<std::pair<std::string, Bytes>> assignments = {}) {
        group->sync(now, ++last, Sync{{id, {}}, generation, {}, {}, std::move(assignments)});
        take();
        return last;
    }
    ErrorCode heartbeat(const std::string& id, std::int32_t generation) {
        const ErrorCode error = group->heartbeat(now, {id, {}}, generation);
        take();
        return error;
    }
    ErrorCode leave(const std::string& id) {
        const ErrorCode error = group->leave(now, {id, {}});
        take();
        return error;
    }
    ErrorCode commit(const std::string& id, std::int32_t generation) {
        return group->commit(now, {id, {}}, generation);
    }
    void wait(Duration time) {
        const Time end = now + time;
        while (group->deadline() && *group->deadline() <= end) {
            now = std::max(now, *group->deadline());
            group->tick(now);
            take();
        }
        now = end;
    }
    void take() {
        GroupState::Effects effects = group->take_effects();
        if (effects.is_changed) stored = group->stored(1000);
        for (auto& [ticket, told] : effects.answers) {
            REQUIRE(answers.emplace(ticket, std::move(told)).second); // Once.
        }
    }
    void restart() {
        REQUIRE(stored);
        group = std::make_unique<GroupState>(rules, *stored, now);
    }

    bool answered(Ticket ticket) const { return answers.contains(ticket); }
    const Joined& joined(Ticket ticket) const { return std::get<Joined>(answers.at(ticket)); }
    const Synced& synced(Ticket ticket) const { return std::get<Synced>(answers.at(ticket)); }

    // Two members that have agreed: the first leads.
    std::pair<std::string, std::string> two_members() {
        const Ticket one = join();
        const Ticket first = join();
        const std::string a = joined(one).member_id;
        const Ticket again = join(a);
        const std::string b = joined(first).member_id;
        CHECK(joined(again).generation == 2);
        sync(b, 2);
        sync(a, 2, {{a, bytes("all of a")}, {b, bytes("all of b")}});
        REQUIRE(group->phase() == Phase::stable);
        return {a, b};
    }

    GroupRules rules;
    std::unique_ptr<GroupState> group;
    Time now{1h};
    Ticket last = 0;
    int ids = 0;
    std::map<Ticket, std::variant<Joined, Synced>> answers;
    std::optional<GroupValue> stored;
};

} // namespace

TEST_CASE("the first member leads, and is told of all", "[server][groups]") {
    Room room;
    const Ticket ticket = room.join();
    const Joined& joined = room.joined(ticket);
    CHECK(joined.error == ErrorCode::none);
    CHECK(joined.generation == 1);
    CHECK(joined.protocol == "range");
    CHECK(joined.protocol_type == "consumer");
    CHECK(joined.leader == joined.member_id);
    REQUIRE(joined.members.size() == 1);
    CHECK(joined.members[0].metadata.text() == "says range");
    CHECK(room.group->phase() == Phase::completing);
    REQUIRE(room.stored); // Before anybody hears of it.
    CHECK(room.stored->generation == 1);
}

TEST_CASE("the first members of a group wait for more of them, each time that one comes",
          "[server][groups]") {
    Room room({.initial_rebalance_delay = 3s});
    const Ticket a = room.join();
    room.wait(2s);
    const Ticket b = room.join();
    room.wait(2s);
    CHECK(!room.answered(a));
    room.wait(3s); // Nobody has come since.
    REQUIRE(room.answered(a));
    CHECK(room.joined(a).generation == 1);
    CHECK(room.joined(b).generation == 1);
    CHECK(room.joined(a).members.size() == 2);
    CHECK(room.joined(b).members.empty());
    CHECK(room.joined(b).leader == room.joined(a).member_id);
}

TEST_CASE("they wait no longer than a rebalance may take", "[server][groups]") {
    Room room({.initial_rebalance_delay = 20s});
    const Ticket a = room.join();
    for (int i = 0; i < 4; ++i) {
        room.wait(9s);
        room.join();
    }
    CHECK(room.answered(a));
}

TEST_CASE("a second member has all join again, and each is told what the leader said",
          "[server][groups]") {
    Room room;
    const std::string a = room.joined(room.join()).member_id;
    CHECK(room.synced(room.sync(a, 1, {{a, bytes("everything")}})).assignment.text() ==
          "everything");
    const Ticket second = room.join();
    CHECK(!room.answered(second));
    CHECK(room.heartbeat(a, 1) == ErrorCode::rebalance_in_progress);
    CHECK(room.commit(a, 1) == ErrorCode::none); // What it has done so far.
    const Ticket again = room.join(a);
    CHECK(room.joined(again).generation == 2);
    CHECK(room.joined(second).generation == 2);
    const std::string b = room.joined(second).member_id;
    CHECK(room.commit(a, 1) == ErrorCode::illegal_generation);
    CHECK(room.commit(a, 2) == ErrorCode::rebalance_in_progress); // Nobody has anything yet.
    const Ticket waits = room.sync(b, 2);
    CHECK(!room.answered(waits));
    const Ticket leads = room.sync(a, 2, {{a, bytes("a's")}, {b, bytes("b's")}, {"no", bytes("")}});
    CHECK(room.synced(leads).assignment.text() == "a's");
    CHECK(room.synced(waits).assignment.text() == "b's");
    CHECK(room.heartbeat(a, 2) == ErrorCode::none);
    CHECK(room.heartbeat(b, 1) == ErrorCode::illegal_generation);
    CHECK(room.heartbeat("c", 2) == ErrorCode::unknown_member_id);
    CHECK(room.commit(b, 2) == ErrorCode::none);
    // Who did not hear it asks again.
    CHECK(room.synced(room.sync(b, 2)).assignment.text() == "b's");
}

TEST_CASE("a follower with nothing new is told what it knows, and the leader is obeyed",
          "[server][groups]") {
    Room room;
    const auto [a, b] = room.two_members();
    CHECK(room.joined(room.join(b)).generation == 2);
    CHECK(room.group->phase() == Phase::stable);
    const Ticket ticket = room.join(a);
    CHECK(!room.answered(ticket));
    CHECK(room.group->phase() == Phase::preparing);
    SECTION("a follower that says something else, too") {
        const Ticket other = room.join(room.join_of(b, {"sticky", "range"}));
        CHECK(room.joined(other).generation == 3);
        CHECK(room.joined(ticket).protocol == "range");
    }
}

TEST_CASE("a join is answered again as long as the leader has not spoken", "[server][groups]") {
    Room room;
    const std::string a = room.joined(room.join()).member_id;
    const Ticket again = room.join(a);
    CHECK(room.joined(again).generation == 1);
    CHECK(room.joined(again).members.size() == 1);
}

TEST_CASE("who has no id is told one and comes back with it", "[server][groups]") {
    Room room;
    Join join = room.join_of("");
    join.needs_known_id = true;
    const Ticket first = room.join(join);
    CHECK(room.joined(first).error == ErrorCode::member_id_required);
    const std::string id = room.joined(first).member_id;
    CHECK(room.group->members().empty());
    SECTION("and is a member then") { CHECK(room.joined(room.join(id)).generation == 1); }
    SECTION("and is forgotten if it does not") {
        room.wait(11s);
        CHECK(room.joined(room.join(id)).error == ErrorCode::unknown_member_id);
        CHECK(!room.group->deadline());
    }
    SECTION("and others wait for it") {
        const Ticket other = room.join();
        CHECK(!room.answered(other));
        room.wait(11s);
        CHECK(room.joined(other).generation == 1);
    }
    SECTION("or says that it will not") {
        const Ticket other = room.join();
        CHECK(room.leave(id) == ErrorCode::none);
        CHECK(room.joined(other).generation == 1);
    }
}

TEST_CASE("a member that falls silent is out", "[server][groups]") {
    Room room;
    const auto [a, b] = room.two_members();
    room.wait(9s);
    CHECK(room.heartbeat(a, 2) == ErrorCode::none);
    room.wait(2s);
    CHECK(room.group->members().size() == 1);
    CHECK(room.heartbeat(b, 2) == ErrorCode::unknown_member_id);
    CHECK(room.heartbeat(a, 2) == ErrorCode::rebalance_in_progress);
    CHECK(room.commit(b, 2) == ErrorCode::unknown_member_id);
    CHECK(room.joined(room.join(a)).generation == 3);
}

TEST_CASE("a member that leaves is out at once, and the last one leaves an empty group",
          "[server][groups]") {
    Room room;
    const auto [a, b] = room.two_members();
    CHECK(room.leave(a) == ErrorCode::none);
    CHECK(room.leave(a) == ErrorCode::unknown_member_id);
    CHECK(room.joined(room.join(b)).leader == b);
    CHECK(room.leave(b) == ErrorCode::none);
    CHECK(room.group->phase() == Phase::empty);
    CHECK(room.group->generation() == 4);
    CHECK(room.stored->members.empty());
    CHECK(room.stored->generation == 4);
    CHECK(!room.group->deadline());
    CHECK(room.commit("", -1) == ErrorCode::none);
    CHECK(room.commit(b, 3) == ErrorCode::unknown_member_id);
}

TEST_CASE("who waits and is removed is told so", "[server][groups]") {
    Room room;
    const auto [a, b] = room.two_members();
    const Ticket joins = room.join(a);
    CHECK(room.leave(a) == ErrorCode::none);
    CHECK(room.joined(joins).error == ErrorCode::unknown_member_id);
    const Ticket syncs = room.sync(room.joined(room.join(b)).member_id, 3);
    (void)syncs;
    const Ticket late = room.join();
    (void)late;
    CHECK(room.group->phase() == Phase::preparing);
}

TEST_CASE("who does not join again in time is left out", "[server][groups]") {
    Room room;
    const auto [a, b] = room.two_members();
    const Ticket third = room.join();
    for (int i = 0; i < 3; ++i) {
        room.wait(9s);
        CHECK(room.heartbeat(b, 2) == ErrorCode::rebalance_in_progress);
        room.heartbeat(a, 2);
    }
    room.join(a);
    room.wait(4s);
    REQUIRE(room.answered(third));
    CHECK(room.joined(third).generation == 3);
    CHECK(room.group->members().size() == 2);
    CHECK(room.heartbeat(b, 2) == ErrorCode::unknown_member_id);
}

TEST_CASE("who has joined and does not sync is out when a rebalance is over", "[server][groups]") {
    Room room;
    const std::string a = room.joined(room.join()).member_id;
    const Ticket second = room.join();
    room.join(a);
    const std::string b = room.joined(second).member_id;
    SECTION("be it the leader, for whom all wait") {
        const Ticket waits = room.sync(b, 2);
        for (int i = 0; i < 4; ++i) {
            room.heartbeat(a, 2);
            room.wait(8s);
        }
        CHECK(room.synced(waits).error == ErrorCode::rebalance_in_progress);
        CHECK(!room.group->members().contains(a));
        CHECK(room.group->members().contains(b));
    }
    SECTION("or another") {
        room.sync(a, 2, {{a, bytes("x")}});
        for (int i = 0; i < 4; ++i) {
            room.heartbeat(a, 2);
            room.heartbeat(b, 2);
            room.wait(8s);
        }
        CHECK(!room.group->members().contains(b));
        CHECK(room.group->phase() == Phase::preparing);
    }
}

TEST_CASE("a static member comes back under another id, and nobody else notices",
          "[server][groups]") {
    Room room;
    const auto named = [&](const std::string& id) {
        Join join = room.join_of(id);
        join.member.instance = "the one";
        join.needs_known_id = true; // It need not.
        return join;
    };
    const std::string a = room.joined(room.join(named(""))).member_id;
    room.sync(a, 1, {{a, bytes("its own")}});
    Join comes_back = named("");
    SECTION("and is told that there is nothing to do, if it can be") {
        comes_back.can_skip_assignment = true;
        const Joined again = room.joined(room.join(comes_back));
        CHECK(again.generation == 1);
        CHECK(again.member_id != a);
        CHECK(again.skip_assignment);
        CHECK(again.leader == again.member_id);
        CHECK(room.synced(room.sync(again.member_id, 1)).assignment.text() == "its own");
    }
    SECTION("or takes another for the leader") {
        const Joined again = room.joined(room.join(comes_back));
        CHECK(again.generation == 1);
        CHECK(again.leader == a);
        CHECK(again.members.empty());
    }
    CHECK(room.stored->members.at(0).id != a);
    // Whoever still thinks that it is this one.
    CHECK(room.group->heartbeat(room.now, {a, "the one"}, 1) == ErrorCode::fenced_instance_id);
    CHECK(room.group->commit(room.now, {a, "the one"}, 1) == ErrorCode::fenced_instance_id);
    CHECK(room.joined(room.join(named(a))).error == ErrorCode::fenced_instance_id);
    CHECK(room.group->leave(room.now, {"", "the one"}) == ErrorCode::none);
    CHECK(room.group->members().empty());
}

TEST_CASE("a static member that is waited for stays until its session ends", "[server][groups]") {
    Room room;
    Join join = room.join_of("");
    join.member.instance = "the one";
    join.session_timeout = 60s;
    const std::string a = room.joined(room.join(join)).member_id;
    room.sync(a, 1, {{a, bytes("x")}});
    const Ticket other = room.join();
    room.wait(31s);
    REQUIRE(room.answered(other));
    CHECK(room.group->members().size() == 2);
    CHECK(room.joined(other).leader == room.joined(other).member_id);
    room.wait(70s);
    CHECK(!room.group->members().contains(a));
}

TEST_CASE("a rebalance takes some time, though nobody wants to wait", "[server][groups]") {
    Room room;
    Join join = room.join_of("");
    join.member.instance = "the one";
    join.rebalance_timeout = 0s;
    const std::string a = room.joined(room.join(join)).member_id;
    room.sync(a, 1, {{a, bytes("x")}});
    Join other = room.join_of("");
    other.rebalance_timeout = -1s;
    const Ticket ticket = room.join(other);
    REQUIRE(room.group->deadline());
    CHECK(*room.group->deadline() > room.now);
    CHECK(room.leave(room.group->leader()) == ErrorCode::none);
    room.wait(60s); // And comes to an end.
    CHECK(room.answered(ticket));
    CHECK(room.group->phase() == Phase::empty);
}

TEST_CASE("a protocol is one that all know, and that most like", "[server][groups]") {
    Room room({.initial_rebalance_delay = 1s});
    const Ticket a = room.join(room.join_of("", {"range", "sticky"}));
    const Ticket b = room.join(room.join_of("", {"sticky", "range", "own"}));
    const Ticket c = room.join(room.join_of("", {"sticky", "range"}));
    const Ticket none = room.join(room.join_of("", {"own"}));
    CHECK(room.joined(none).error == ErrorCode::inconsistent_group_protocol);
    Join other = room.join_of("");
    other.protocol_type = "connect";
    CHECK(room.joined(room.join(other)).error == ErrorCode::inconsistent_group_protocol);
    CHECK(room.joined(room.join(room.join_of("", {}))).error ==
          ErrorCode::inconsistent_group_protocol);
    room.wait(2s);
    CHECK(room.joined(a).protocol == "sticky");
    CHECK(room.joined(b).protocol == "sticky");
    CHECK(room.joined(c).protocol == "sticky");
    Sync sync{{room.joined(b).member_id, {}}, 1, "consumer", "range", {}};
    room.group->sync(room.now, 1000, sync);
    room.take();
    CHECK(room.synced(1000).error == ErrorCode::inconsistent_group_protocol);
}

TEST_CASE("a group has no more members than may be, and they say no more", "[server][groups]") {
    Room room({.initial_rebalance_delay = 1s, .members_max = 2, .bytes_max = 100});
    Join wants_id = room.join_of("");
    wants_id.needs_known_id = true;
    room.join(wants_id); // It counts.
    const Ticket second = room.join();
    CHECK(room.joined(room.join()).error == ErrorCode::group_max_size_reached);
    Join large = room.join_of("member-1");
    large.protocols[0].metadata = bytes(std::string(200, 'x'));
    CHECK(room.joined(room.join(large)).error == ErrorCode::group_max_size_reached);
    CHECK(room.joined(room.join()).error == ErrorCode::group_max_size_reached);
    room.wait(2s);
    REQUIRE(room.answered(second));
    const std::string leader = room.joined(second).member_id;
    const Ticket sync =
        room.sync(leader, room.group->generation(), {{leader, bytes(std::string(101, 'x'))}});
    CHECK(room.synced(sync).error == ErrorCode::invalid_request);
}

TEST_CASE("a coordinator goes on from what another has stored", "[server][groups]") {
    Room room;
    const std::string a = room.joined(room.join()).member_id;
    SECTION("a group that was in the middle of it") {
        room.restart();
        CHECK(room.group->phase() == Phase::completing);
        CHECK(room.group->generation() == 1);
        CHECK(room.synced(room.sync(a, 1, {{a, bytes("x")}})).assignment.text() == "x");
    }
    SECTION("a group that had agreed") {
        room.sync(a, 1, {{a, bytes("x")}});
        room.restart();
        CHECK(room.group->phase() == Phase::stable);
        CHECK(room.heartbeat(a, 1) == ErrorCode::none);
        CHECK(room.commit(a, 1) == ErrorCode::none);
        CHECK(room.synced(room.sync(a, 1)).assignment.text() == "x");
        CHECK(room.group->stored(1000).members.at(0).subscription.text() == "says range");
        room.wait(11s);
        CHECK(room.group->phase() == Phase::empty);
    }
    SECTION("a group that had agreed that there is nothing to share out") {
        room.sync(a, 1);
        room.restart();
        CHECK(room.group->phase() == Phase::stable);
        CHECK(room.synced(room.sync(a, 1)).assignment.empty());
        CHECK(room.commit(a, 1) == ErrorCode::none);
        // Nobody has to speak again to stay.
        for (int i = 0; i < 8; ++i) {
            room.wait(8s);
            CHECK(room.heartbeat(a, 1) == ErrorCode::none);
        }
        // Nor is anybody told to assign in a generation in which somebody was.
        const Ticket again = room.join(a);
        CHECK(room.joined(again).generation == 2);
    }
    SECTION("a group that is empty, whose numbers go on") {
        room.leave(a);
        room.restart();
        CHECK(room.group->phase() == Phase::empty);
        CHECK(room.joined(room.join()).generation == 3);
    }
}

TEST_CASE("what a group of consumers reads is known from what they say", "[server][groups]") {
    Room room;
    Join join = room.join_of("");
    const std::string subscription("\0\1\0\0\0\1\0\2ab\xff\xff\xff\xff", 14);
    join.protocols[0].metadata = bytes(subscription);
    room.join(join);
    CHECK(room.group->is_subscribed("ab"));
    CHECK(!room.group->is_subscribed("a"));
}

// ---- Against the simplest thing that could be right ----

namespace {

// All that anybody was told, and what must be true of it.
struct Spec {
    struct Generation {
        std::string protocol, leader;
        std::set<std::string> members;           // Who was told of it.
        std::map<std::string, std::string> said; // By the leader.
        bool is_assigned = false;
    };
    std::map<std::int32_t, Generation> generations;

    std::int32_t newest() const { return generations.empty() ? 0 : generations.rbegin()->first; }
    void on(const Joined& joined) {
        if (joined.error != ErrorCode::none) return;
        RC_ASSERT(joined.generation >= newest());
        Generation& one = generations[joined.generation];
        if (one.leader.empty()) one.leader = joined.leader;
        RC_ASSERT(one.leader == joined.leader);
        if (one.protocol.empty()) one.protocol = *joined.protocol;
        RC_ASSERT(one.protocol == *joined.protocol);
        RC_ASSERT((joined.member_id == joined.leader) == !joined.members.empty());
        one.members.insert(joined.member_id);
    }
    void committed(const std::string& member, std::int32_t generation) const {
        RC_ASSERT(generation >= newest());
        const auto known = generations.find(generation);
        RC_ASSERT(known != generations.end());
        RC_ASSERT(known->second.members.contains(member));
    }
};

// Members that say what they like. What is stored, and told after it, may be lost with the
// coordinator from any point on.
class Crowd {
public:
    Crowd() : group_(std::make_unique<GroupState>(rules_)) {}

    void act(int kind, int who, int other) {
        const std::string id = id_of(who);
        const std::int32_t generation = group_->generation() - (other % 4 == 0 ? 1 : 0);
        switch (kind % 9) {
        case 0: return join("", other % 2 == 0);
        case 1: return join(id, false);
        case 2:
        case 3: return sync(id, generation);
        case 4: (void)group_->heartbeat(now_, {id, {}}, generation); return note();
        case 5:
            if (other % 3 == 0) (void)group_->leave(now_, {id, {}});
            return note();
        case 6: return commit(id, generation);
        case 7: return wait(Duration(1s) * (other % 15));
        default: return other % 4 == 0 ? lose() : deliver(static_cast<std::size_t>(other % 5));
        }
    }
    // Everybody hears something in the end, and who says nothing any more is forgotten.
    void finish() {
        for (int i = 0; i < 40; ++i) wait(30s);
        deliver(written_.size());
        RC_ASSERT(waiting_.empty());
        RC_ASSERT(group_->phase() == Phase::empty);
        RC_ASSERT(!group_->deadline());
    }

private:
    struct Written {
        std::optional<GroupValue> value;
        GroupState::Effects effects;
    };

    std::string id_of(int who) const {
        if (ids_.empty()) return "nobody";
        return ids_[static_cast<std::size_t>(who) % ids_.size()];
    }
    void join(const std::string& id, bool needs_id) {
        Join join;
        join.member.id = id;
        join.new_id = "m" + std::to_string(++last_);
        join.session_timeout = 10s;
        join.rebalance_timeout = 20s;
        join.protocol_type = "consumer";
        join.protocols = {{"range", bytes(std::to_string(last_ % 3))}};
        join.needs_known_id = needs_id;
        waiting_.insert(last_);
        group_->join(now_, last_, join);
        note();
    }
    void sync(const std::string& id, std::int32_t generation) {
        Sync sync{{id, {}}, generation, {}, {}, {}};
        for (const auto& [member, m] : group_->members())
            sync.assignments.emplace_back(member, bytes(member + '/' + std::to_string(generation)));
        waiting_.insert(++last_);
        group_->sync(now_, last_, sync);
        note();
    }
    void commit(const std::string& id, std::int32_t generation) {
        const ErrorCode error = group_->commit(now_, {id, {}}, generation);
        if (error == ErrorCode::none && generation >= 0) {
            deliver(written_.size()); // It is stored behind all that.
            spec_.committed(id, generation);
        }
        note();
    }
    void wait(Duration time) {
        const Time end = now_ + time;
        while (group_->deadline() && *group_->deadline() <= end) {
            now_ = std::max(now_, *group_->deadline());
            group_->tick(now_);
            note();
        }
        now_ = end;
    }
    void note() {
        Written written{{}, group_->take_effects()};
        if (written.effects.is_changed) written.value = group_->stored(1);
        written_.push_back(std::move(written));
    }
    void deliver(std::size_t count) {
        for (; count > 0 && !written_.empty(); --count) {
            Written one = std::move(written_.front());
            written_.erase(written_.begin());
            if (one.value) stored_ = one.value;
            for (const auto& [ticket, told] : one.effects.answers) hear(ticket, told);
        }
    }
    void hear(Ticket ticket, const std::variant<Joined, Synced>& told) {
        RC_ASSERT(waiting_.erase(ticket) == 1u);
        if (const auto* const joined = std::get_if<Joined>(&told)) {
            spec_.on(*joined);
            if (!joined->member_id.empty()) ids_.push_back(joined->member_id);
        } else if (const auto& synced = std::get<Synced>(told); synced.error == ErrorCode::none) {
            const std::string text(synced.assignment.text());
            // Its own, of its generation, or nothing for one whom the leader did not know.
            RC_ASSERT(text.empty() || text.find('/') != std::string::npos);
        }
    }
    // Another coordinator has what was stored, and nobody hears from this one any more.
    void lose() {
        written_.clear();
        waiting_.clear();
        group_ = stored_ ? std::make_unique<GroupState>(rules_, *stored_, now_)
                         : std::make_unique<GroupState>(rules_);
    }

    const GroupRules rules_{.initial_rebalance_delay = 1s, .members_max = 5};
    std::unique_ptr<GroupState> group_;
    Spec spec_;
    Time now_{1h};
    Ticket last_ = 0;
    std::vector<std::string> ids_;
    std::set<Ticket> waiting_;
    std::vector<Written> written_;
    std::optional<GroupValue> stored_;
};

} // namespace

TEST_CASE("whatever members do, there is one generation at a time, and no commit from an older one",
          "[server][groups][model]") {
    rc::prop("a crowd", [] {
        const auto number = rc::gen::inRange(0, 100);
        const auto steps = *rc::gen::container<std::vector<std::tuple<int, int, int>>>(
            rc::gen::tuple(number, number, number));
        Crowd crowd;
        for (const auto& [kind, who, other] : steps) crowd.act(kind, who, other);
        crowd.finish();
    });
}
