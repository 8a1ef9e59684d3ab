#include "raft/low_water.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "raft/host.h"

#include <algorithm>

namespace pyralog::raft {

namespace {

constexpr Duration low_water_patience = 1s;

} // namespace

LowWater::LowWater(Environment& env, Host& host) : env_(env), host_(host), answered_(env.fibers) {}

Result<Position> LowWater::ask(const Group& group) {
    const GroupId id = group.id();
    const std::vector<NodeId> replicas = nodes_of(group.consensus().members());
    if (!asked_.try_emplace(id).second) return Error::unavailable;
    for (const NodeId node : replicas)
        if (node != host_.self()) host_.transport().send(node, {id, wire::CompactedRequest{}, {}});
    asked_.at(id).emplace(host_.self(), group.log().compacted().end);
    const auto all_have_answered = [&] { return asked_.at(id).size() == replicas.size(); };
    Result<> waited;
    {
        const Deadline until(env_.fibers, env_.clock.now() + low_water_patience);
        waited = answered_.wait(all_have_answered);
    }
    const std::map<NodeId, Position> answers = std::move(asked_.extract(id).mapped());
    const bool is_late = !waited.ok() && waited.error() == Error::timed_out;
    SOMETIMES(is_late, "low-water/not-all-answer");
    if (!waited.ok()) return is_late ? Error::unavailable : waited.error();
    SOMETIMES(answers.size() > 1, "low-water/all-have-answered");
    Position least = answers.begin()->second;
    for (const auto& [node, compacted] : answers) least = std::min(least, compacted);
    return least;
}

void LowWater::receive(NodeId from, const wire::PeerMessage& message) {
    if (std::holds_alternative<wire::CompactedRequest>(message.body)) {
        const GroupRef group = host_.find(message.group);
        if (!group || BUGGIFY("low-water/does-not-answer")) return;
        host_.transport().send(from,
                               {message.group, wire::CompactedReply{group->log().compacted()}, {}});
        return;
    }
    const auto asked = asked_.find(message.group);
    const auto* const reply = std::get_if<wire::CompactedReply>(&message.body);
    if (asked == asked_.end() || !reply) return;
    asked->second.insert_or_assign(from, reply->compacted.end);
    answered_.notify_all();
}

} // namespace pyralog::raft
