// sim-tests/choices_file.h
//
// A run in a file of text: the seed that its plan is drawn from, what of that plan is otherwise,
// and its choices (io/sim/choices.h). `pyralog-sim run --record` writes one, `shrink` makes it
// small, `run --choices` plays it, and people may edit it in between.
//
//     pyralog-choices 1
//     seed 33
//     bug M04                       planted, if any
//     dice 17                       where streams draw from, if not from the seed
//     expect durable is kept        the oracle that fires
//     plan without pieces           what is changed in the plan
//     otherwise seed                what no stream here tells; without this line it is harmless
//     stream link/1->2/time: 12 -3 /7 ! 400
//     # fault us=81273 stream=nemesis/kills number=2      for people: what struck, and when
#pragma once

#include "io/sim/choices.h"
#include "sim-tests/swarm.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

struct ChoicesFile {
    std::uint64_t seed = 0;
    std::string bug;
    std::optional<std::uint64_t> dice;
    std::string oracle; // Expected; empty: none.
    PlanEdits edits;
    bool listed = false; // What is not in the list is harmless; else all is drawn.
    sim::ChoiceList list;
    bool operator==(const ChoicesFile&) const = default;

    // For a World. The list stays here.
    sim::ChoiceOptions options() const { return {listed ? &list : nullptr, false, false, dice}; }
};

std::string to_string(const ChoicesFile& file, const std::vector<sim::FaultEvent>& faults = {});
// What is wrong with it, or nothing.
std::string parse(std::string_view text, ChoicesFile& file);

// "nodes 3", "without pieces": as in a file, in one order.
std::vector<std::string> lines_of(const PlanEdits& edits);
std::string parse_edit(std::string_view line, PlanEdits& edits);

} // namespace pyralog::simtest
