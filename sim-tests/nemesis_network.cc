#include "sim-tests/nemesis.h"

namespace pyralog::simtest {

void Nemesis::partition(sim::Dice& dice) {
    sim::Fabric& network = cluster_.world().network();
    network.heal_all();
    std::vector<NodeId> all = cluster_.nodes();
    shuffle(dice, all);
    const std::size_t brokers = all.size();
    const std::size_t cut = brokers > 1 ? 1 + dice.pick(brokers - 1) : 1;
    std::vector<NodeId> one(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(cut));
    std::vector<NodeId> other(all.begin() + static_cast<std::ptrdiff_t>(cut), all.end());
    // Clients are somewhere too, and may see one side, the other, or both.
    for (const NodeId client : clients_) {
        const std::uint64_t side = dice.pick(3);
        if (side == 0) one.push_back(client);
        if (side == 1) other.push_back(client);
    }
    switch (dice.pick(6)) {
    case 0: network.one_way(one, other); break;
    case 1: network.one_way(other, one); break;
    case 2:
        if (brokers > 2) {
            const NodeId bridge = all.back();
            std::erase(one, bridge);
            std::erase(other, bridge);
            network.bridge(bridge, one, other);
            break;
        }
        [[fallthrough]];
    case 3:
        if (brokers > 3) {
            network.ring(all);
            break;
        }
        [[fallthrough]];
    default: network.split(one, other);
    }
    heal_later(dice);
}

void Nemesis::isolate(NodeId node, sim::Dice& dice) {
    sim::Fabric& network = cluster_.world().network();
    network.heal_all();
    std::vector<NodeId> others = cluster_.nodes();
    std::erase(others, node);
    network.isolate(node, others);
    heal_later(dice);
}

void Nemesis::heal_later(sim::Dice& dice) {
    const std::uint64_t number = ++partitions_;
    later(dice.between(Duration(10ms), plan_.nemesis.partition_most), [this, number] {
        if (number == partitions_) cluster_.world().network().heal_all();
    });
}

} // namespace pyralog::simtest
