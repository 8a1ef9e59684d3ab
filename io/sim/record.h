// io/sim/record.h
//
// One thing that went into a world's hash. Two runs are the same if all their records are; where
// they are not, the first that differs says what came out of order. Values only, no addresses; what
// they mean is up to the Step.
#pragma once

#include "core/base/time.h"

#include <cstdint>
#include <string>

namespace pyralog::sim {

enum class Step : std::uint8_t; // In timeline.h.
std::string to_string(Step step);

struct Record {
    std::uint64_t index = 0; // From 1.
    Duration time{0};
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::uint64_t hash = 0; // Of everything up to it.
    std::int32_t node = 0;
    std::uint32_t payload = 0;
    std::uint64_t step = 0;  // A Step, without padding behind it.
    std::uint64_t event = 0; // The step of the world that it belongs to: the number of a finding.
    bool operator==(const Record&) const = default;
};

// One line for people.
std::string to_line(const Record& record);

} // namespace pyralog::sim
