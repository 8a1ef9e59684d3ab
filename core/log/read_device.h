// core/log/read_device.h
//
// Reads from a file that is open for aligned access, that is, past the page cache.
#pragma once

#include "core/env/environment.h"
#include "core/wire/frame.h"

#include <optional>

namespace pyralog {

// From anywhere, as many bytes as there are up to `count`.
Result<Bytes> read_device(File& device, std::uint64_t position, std::size_t count);

// The frame that stands there in a segment, if it is this very entry, and whole. Nothing if it is
// not, or cannot be read. The file is open in this way.
Result<std::optional<wire::Frame>> read_frame(File& file, Disk::Access access,
                                              std::uint64_t position, const wire::Frame& entry);

// The same of an extent, wherever it says. Nothing also if that file is not there. Also through the
// page cache, which can read what is beside a bad sector: what is named was durable once.
Result<std::optional<wire::Frame>> read_extent(Disk& disk, const wire::Frame& extent);

} // namespace pyralog
