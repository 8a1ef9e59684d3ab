// io/sim/whims.h
//
// Decides which BUGGIFY sites fire (core/base/buggify.h), while a node of this world runs. Whether
// a site is active in this run is drawn when it is first reached, from a stream of the site;
// whether it fires, each time it is reached, from a stream of the site and the node. A process that
// is on its way to its end has none: its choices would change nothing.
#pragma once

#include "core/base/site.h"
#include "io/sim/timeline.h"

#include <map>
#include <optional>
#include <vector>

namespace pyralog::sim {

class Whims final : public sites::Mood {
public:
    explicit Whims(Timeline& timeline) : timeline_(timeline) {}
    ~Whims() override { end(); }
    Whims(const Whims&) = delete;
    Whims& operator=(const Whims&) = delete;

    // Around each step of a node.
    void begin(NodeId node) {
        if (timeline_.faults.whim_fires.per_million == 0) return;
        node_ = node;
        sites::mood = this;
    }
    void end() {
        if (sites::mood == this) sites::mood = nullptr;
    }

    bool strikes(sites::Site& site, std::uint32_t per_million) override;

private:
    struct Known {
        std::optional<bool> active;
        std::map<NodeId, Dice> dice;
    };

    Timeline& timeline_;
    NodeId node_;
    std::vector<Known> known_; // By the site's number.
};

} // namespace pyralog::sim
