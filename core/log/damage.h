// core/log/damage.h
//
// What of a log cannot be read, and where it stands: the rest is to be had from other replicas. Its
// places are known for certain, since what is before and behind it is whole, or since an index with
// a checksum of its own says so.
#pragma once

#include "core/wire/frame.h"

#include <optional>

namespace pyralog {

struct Damage {
    Position first; // Where it begins,
    Position end;   // and where the first entry behind it does.
    // All but the payload, if it is one entry whose header is good. Without this all of it was
    // committed, so any replica that has as much committed has the same.
    std::optional<wire::Frame> entry;
};

} // namespace pyralog
