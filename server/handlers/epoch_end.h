// server/handlers/epoch_end.h
//
// Where the records of a leader epoch end, which is how a client finds out if what it has read is
// still there (KIP-320).
#pragma once

#include "raft/group.h"

#include <cstdint>

namespace pyralog::server {

// Of the largest epoch that is not above the one asked for. None that is known: -1 for both.
struct EpochEnd {
    std::int32_t epoch = -1;
    std::int64_t offset = -1;
};
EpochEnd epoch_end(const raft::Group& group, Term asked);

} // namespace pyralog::server
