// core/base/crc32c.h
//
// CRC-32C (Castagnoli, reflected 0x1EDC6F41), as in Kafka's batches and in our frames. In hardware
// where there is an instruction, from a table where there is none; the answer is the same.
#pragma once

#include "core/base/bytes.h"

#include <cstdint>
#include <span>

namespace pyralog {

// The checksum of `data`, continuing from `crc`: crc32c(b, crc32c(a)) is that of a followed by b.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t crc = 0);
std::uint32_t crc32c(const BytesChain& chain, std::uint32_t crc = 0);

// The one without the instruction, for machines without it and for the test of the other.
std::uint32_t crc32c_portable(std::span<const std::byte> data, std::uint32_t crc = 0);

} // namespace pyralog
