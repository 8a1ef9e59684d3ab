// ElectLeaders: the first replica of a partition is to lead it. Whoever leads it is asked to hand
// it over, which a leader does without anything being lost; there is no unclean election here.
#include "core/wire/kafka/elect_leaders.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

#include <algorithm>

namespace pyralog::server {

namespace {

using wire::kafka::ElectLeadersRequest;
using wire::kafka::ElectLeadersResponse;

// Then the leader is asked once more, which may be another one by now.
constexpr Duration ask_again = 500ms;
// The longest that anybody waits, whatever he says.
constexpr std::int32_t timeout_ms_max = 60'000;

struct Election {
    std::string topic;
    ElectLeadersResponse::Partition told;
    GroupId group;
    NodeId preferred;
    bool is_open = false; // Somebody is asked, and has not done it yet.
};

bool is_up(const Node& node, NodeId other) {
    return other == node.host.self() || node.host.transport().connected(other);
}

Election begin(const Node& node, const std::string& topic, std::int32_t index,
               ElectLeadersRequest::Election kind) {
    Election election;
    election.topic = topic;
    election.told.index = index;
    const auto refuse = [&](ErrorCode error, std::string message) {
        election.told.error = error;
        election.told.error_message = std::move(message);
        return election;
    };
    const Topic::Partition* partition = node.controller.catalogue().find(topic, index);
    SOMETIMES(!partition, "elect-leaders/no-such-partition");
    if (!partition)
        return refuse(ErrorCode::unknown_topic_or_partition, "there is no such partition");
    election.group = partition->group;
    election.preferred = partition->replicas.front();
    const auto leader = node.host.leader_of(partition->group);
    if (kind == ElectLeadersRequest::Election::unclean) {
        SOMETIMES(!leader, "elect-leaders/nobody-leads-and-nobody-may");
        if (leader) return refuse(ErrorCode::election_not_needed, "the partition has a leader");
        return refuse(ErrorCode::eligible_leaders_not_available,
                      "nobody leads who lacks what was acknowledged");
    }
    SOMETIMES(leader == election.preferred, "elect-leaders/leads-already");
    if (leader == election.preferred)
        return refuse(ErrorCode::election_not_needed, "the first replica leads already");
    SOMETIMES(!is_up(node, election.preferred), "elect-leaders/is-down");
    if (!is_up(node, election.preferred))
        return refuse(ErrorCode::preferred_leader_not_available, "the first replica is down");
    election.is_open = true;
    return election;
}

std::vector<Election> begin(const Node& node, const ElectLeadersRequest& request) {
    std::vector<Election> elections;
    if (request.topics) {
        for (const ElectLeadersRequest::Topic& topic : *request.topics)
            for (const std::int32_t index : topic.partitions)
                elections.push_back(begin(node, topic.name, index, request.election));
        return elections;
    }
    for (const auto& [name, topic] : node.controller.catalogue().topics())
        for (std::size_t i = 0; i < topic.partitions.size(); ++i)
            elections.push_back(begin(node, name, static_cast<std::int32_t>(i), request.election));
    // Who asks for all has no use for those of which there is nothing to say.
    std::erase_if(elections, [](const Election& election) {
        return election.told.error == ErrorCode::election_not_needed;
    });
    return elections;
}

// True when none is open any more.
bool look(const Node& node, std::vector<Election>& elections) {
    for (Election& election : elections)
        if (node.host.leader_of(election.group) == election.preferred) election.is_open = false;
    return std::ranges::none_of(elections, &Election::is_open);
}

Result<> wait_for_all(Node& node, std::vector<Election>& elections, Time until) {
    for (;;) {
        for (const Election& election : elections)
            if (election.is_open) node.host.ask_to_hand_over(election.group, election.preferred);
        const Deadline again(node.env.fibers, std::min(until, node.env.clock.now() + ask_again));
        const Result<> waited =
            node.controller.changed().wait([&] { return look(node, elections); });
        if (waited.ok() || waited.error() != Error::timed_out) return waited;
        if (node.env.clock.now() >= until) return Error::timed_out;
    }
}

ElectLeadersResponse told_of(std::vector<Election>& elections) {
    ElectLeadersResponse response;
    for (Election& election : elections) {
        SOMETIMES(election.is_open, "elect-leaders/not-in-time");
        SOMETIMES(!election.is_open && election.told.error == ErrorCode::none,
                  "elect-leaders/elected");
        if (election.is_open) {
            election.told.error = ErrorCode::request_timed_out;
            election.told.error_message = "the first replica does not lead yet";
        }
        if (response.topics.empty() || response.topics.back().name != election.topic)
            response.topics.push_back({election.topic, {}});
        response.topics.back().partitions.push_back(std::move(election.told));
    }
    return response;
}

} // namespace

StartResult start_elect_leaders(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<ElectLeadersRequest>(parts));
    return started([&node, header = std::move(parts.header),
                    request = std::move(request)]() -> Result<Answered> {
        const Time until = node.after_ms(std::min(request.timeout_ms, timeout_ms_max));
        std::vector<Election> elections = begin(node, request);
        const Result<> waited = wait_for_all(node, elections, until);
        if (!waited.ok() && waited.error() == Error::cancelled) return Error::cancelled;
        return answer(header, told_of(elections));
    });
}

} // namespace pyralog::server
