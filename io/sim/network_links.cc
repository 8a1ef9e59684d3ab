// Links: how long a piece takes over one, and when nothing passes.
#include "io/sim/network.h"

namespace pyralog::sim {

namespace {

std::string link_name(NodeId from, NodeId to) {
    return "link/" + std::to_string(from.value) + '/' + std::to_string(to.value);
}

} // namespace

Fabric::Link::Link(Timeline& timeline, NodeId f, NodeId t)
    : from(f), to(t), time_dice(timeline.root, link_name(f, t) + "/time"),
      dice(timeline.root, link_name(f, t)) {
    if (f != t && dice.chance(timeline.faults.slow_link)) factor = timeline.faults.slow_factor;
}

Fabric::Link& Fabric::link(NodeId from, NodeId to) {
    const auto found = links_.find({from, to});
    if (found != links_.end()) return found->second;
    return links_.emplace(std::pair(from, to), Link(timeline_, from, to)).first->second;
}

Duration Fabric::delay(Link& link) {
    const bool is_loop = link.from == link.to;
    const Delay& faults = is_loop ? timeline_.faults.loopback_time : timeline_.faults.link_time;
    return link.time_dice.draw(faults) * link.factor;
}

// ---- Partitions ----

void Fabric::block(NodeId from, NodeId to, Fault cause) {
    CHECK(from != to);
    Link& cut = link(from, to);
    cut.cause = cause;
    if (std::exchange(cut.blocked, true)) return;
    timeline_.counts.fire(Fault::partition);
    if (cause != Fault::partition) timeline_.counts.fire(cause);
    timeline_.record(Step::block, from.value, static_cast<std::uint32_t>(to.value));
    timeline_.trace({.kind = TraceKind::block, .node = from, .peer = to});
}

void Fabric::heal(NodeId from, NodeId to) {
    Link& cut = link(from, to);
    cut.barred = false;
    if (!std::exchange(cut.blocked, false)) return;
    timeline_.record(Step::heal, from.value, static_cast<std::uint32_t>(to.value));
    timeline_.trace({.kind = TraceKind::heal, .node = from, .peer = to});
    for (auto& [id, connection] : connections_) {
        for (std::size_t side = 0; side < 2; ++side) {
            Pipe& pipe = connection->pipes[side];
            if (pipe.link != &cut && pipe.back != &cut) continue;
            pipe.held = pipe.link->blocked || pipe.back->blocked;
            if (pipe.link == &cut && pipe.stalled)
                plan(timeline_.now() + delay(cut), id, Event::flush, side);
            if (pipe.back == &cut && pipe.credit > 0)
                plan(timeline_.now() + delay(cut), id, Event::credit, side);
        }
    }
}

void Fabric::bar(NodeId from, NodeId to) {
    CHECK(from != to);
    link(from, to).barred = true;
    timeline_.record(Step::block, from.value, static_cast<std::uint32_t>(to.value), 1);
    timeline_.trace(from, [&] { return "link barred to=" + std::to_string(to.value); });
}

void Fabric::heal_all() {
    for (auto& [ends, cut] : links_) heal(ends.first, ends.second);
}

void Fabric::cut(const Links& links, Fault cause) {
    for (auto& [ends, cut] : links_)
        if (!links.contains(ends)) heal(ends.first, ends.second);
    for (const auto& [from, to] : links) block(from, to, cause);
}

void Fabric::obstruct(Link& link) {
    ++link.held_up;
    timeline_.counts.effect(Fault::partition);
    if (link.cause != Fault::partition) timeline_.counts.effect(link.cause);
}

bool Fabric::blocked(NodeId from, NodeId to) const {
    const auto found = links_.find({from, to});
    return found != links_.end() && found->second.blocked;
}

void Fabric::one_way(Nodes from, Nodes to) {
    for (const NodeId a : from)
        for (const NodeId b : to)
            if (a != b) block(a, b);
}

void Fabric::split(Nodes one, Nodes other) {
    one_way(one, other);
    one_way(other, one);
}

void Fabric::isolate(NodeId node, Nodes others) { split(Nodes(&node, 1), others); }

void Fabric::reset_streams(NodeId a, NodeId b) {
    for (auto& [id, connection] : connections_) {
        const NodeId one = connection->ends[0].host->id;
        const NodeId other = connection->ends[1].host->id;
        if (!((one == a && other == b) || (one == b && other == a))) continue;
        break_both(*connection);
    }
}

std::uint64_t Fabric::bytes_delivered(NodeId from, NodeId to) const {
    const auto found = links_.find({from, to});
    return found == links_.end() ? 0 : found->second.bytes_delivered;
}

std::uint64_t Fabric::held_up(NodeId from, NodeId to) const {
    const auto found = links_.find({from, to});
    return found == links_.end() ? 0 : found->second.held_up;
}

} // namespace pyralog::sim
