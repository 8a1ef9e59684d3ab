#include "io/sim/whims.h"

#include <string>

namespace pyralog::sim {

bool Whims::strikes(sites::Site& site, std::uint32_t per_million) {
    ++site.hits;
    if (site.number >= known_.size()) known_.resize(site.number + 1);
    Known& known = known_[site.number];
    const std::string name = "whim/" + std::string(site.name);
    if (!known.active)
        known.active = Dice(timeline_.root, name).chance(timeline_.faults.whim_is_active);
    if (!*known.active) return false;
    site.active = true;
    auto dice = known.dice.find(node_);
    if (dice == known.dice.end())
        dice = known.dice
                   .emplace(node_, Dice(timeline_.root, name + '/' + std::to_string(node_.value)))
                   .first;
    const Chance chance = per_million > 0 ? Chance{per_million} : timeline_.faults.whim_fires;
    if (!dice->second.chance(chance)) return false;
    ++site.fired;
    timeline_.trace(node_, [&] { return name; });
    return true;
}

} // namespace pyralog::sim
