// server/decompress.h
//
// What producers have compressed, for who must look at its records. Pure: the same bytes give the
// same answer on every node. Nobody here compresses: what a library makes of the same bytes may
// change with its version, and replicas must not.
#pragma once

#include "core/base/bytes.h"
#include "core/wire/record_batch.h"

#include <cstddef>
#include <optional>

namespace pyralog::server {

// Nothing if these are not the bytes of that kind, all of them; or if they come to more than
// `size_max`.
std::optional<Bytes> decompressed(wire::Compression compression, const Bytes& bytes,
                                  std::size_t size_max);

} // namespace pyralog::server
