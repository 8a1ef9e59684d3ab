// Links: how long a piece takes over one, and when nothing passes.
#include "io/sim/network.h"

#include "io/sim/spread.h"

namespace pyralog::sim {

namespace {

std::string link_name(NodeId from, NodeId to) {
    return "link/" + std::to_string(from.value) + '/' + std::to_string(to.value);
}

Spread draw_spread(const Faults& faults, Dice& dice) {
    const std::uint64_t exponential = faults.spread_even + faults.spread_exponential;
    const std::uint64_t heavy = exponential + faults.spread_heavy_tail;
    const std::uint64_t all = heavy + faults.spread_step;
    CHECK(all > 0);
    const std::uint64_t drawn = dice.pick(all);
    if (drawn < faults.spread_even) return Spread::even;
    if (drawn < exponential) return Spread::exponential;
    return drawn < heavy ? Spread::heavy_tail : Spread::step;
}

} // namespace

Fabric::Link::Link(Timeline& timeline, NodeId f, NodeId t)
    : from(f), to(t), time_dice(timeline.root, link_name(f, t) + "/time"),
      dice(timeline.root, link_name(f, t)) {
    if (f == t) return;
    const Faults& faults = timeline.faults;
    bytes_per_second = faults.link_bytes_per_second;
    if (faults.link_bytes_per_second_most > bytes_per_second)
        bytes_per_second = faults.link_bytes_per_second_most -
                           dice.pick(faults.link_bytes_per_second_most - bytes_per_second + 1);
    spread = draw_spread(faults, dice);
    const bool has_spread = spread == Spread::exponential ? timeline.inject(Fault::link_exponential)
                            : spread == Spread::heavy_tail ? timeline.inject(Fault::link_heavy_tail)
                            : spread == Spread::step       ? timeline.inject(Fault::link_step)
                                                           : true;
    if (!has_spread) spread = Spread::even;
    if (spread == Spread::step) {
        step_at = dice.between(Duration{0}, faults.step_within);
    }
    if (dice.chance(faults.slow_link, "slow link") && timeline.inject(Fault::slow_link)) {
        factor = static_cast<std::uint32_t>(dice.between(std::uint64_t{2}, faults.slow_factor));
    }
    if (dice.chance(faults.lossy_link, "lossy link")) lossy = timeline.inject(Fault::lossy_link);
}

Fabric::Link& Fabric::link(NodeId from, NodeId to) {
    const auto found = links_.find({from, to});
    if (found != links_.end()) return found->second;
    return links_.emplace(std::pair(from, to), Link(timeline_, from, to)).first->second;
}

Duration Fabric::delay(Link& link) {
    const Faults& faults = timeline_.faults;
    FaultCounts& counts = timeline_.counts;
    Dice& dice = link.time_dice;
    // Counted when a piece arrives: only then is it known if it was overtaken.
    if (muted_fault == Fault::delay) return {};
    if (link.from == link.to) return dice.draw(faults.loopback_time);
    const Delay& time = faults.link_time;
    Duration drawn = time.least;
    if (link.spread == Spread::exponential) {
        drawn = exponential(time.least, (time.most - time.least) / 2, dice.pick(spread_draws));
        if (drawn > time.most) counts.effect(Fault::link_exponential);
    } else if (link.spread == Spread::heavy_tail) {
        drawn = heavy_tail(time.least, (time.most - time.least) / 4, dice.pick(spread_draws));
        if (drawn > time.most) counts.effect(Fault::link_heavy_tail);
    } else {
        drawn = dice.draw(time);
    }
    if (link.spread == Spread::step && timeline_.now() >= link.step_at) {
        counts.effect(Fault::link_step);
        drawn *= step_factor;
    }
    if (link.factor > 1) counts.effect(Fault::slow_link);
    return drawn * link.factor;
}

// ---- Partitions ----

void Fabric::block(NodeId from, NodeId to, Fault cause) {
    CHECK(from != to);
    Link& cut = link(from, to);
    cut.cause = cause;
    if (cut.blocked || !timeline_.inject(Fault::partition)) return;
    if (cause != Fault::partition && !timeline_.inject(cause)) return;
    cut.blocked = true;
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
