// core/log/compacted_note.h
//
// The file in which a replica notes how far its log is compacted.
#pragma once

#include "core/env/environment.h"
#include "core/wire/compaction.h"

#include <optional>
#include <string>

namespace pyralog {

// Nothing if what is there cannot be read, or is no note of this group's: nothing is lost with it.
// Waits. Errors of the disk but for damage.
Result<std::optional<wire::Compacted>> read_compacted_note(Environment& env,
                                                           const std::string& path, GroupId group);

} // namespace pyralog
