// core/env/disk.h
//
// What a file system promises, and no more. The simulator breaks whatever is not promised here, so
// that code which leans on the habits of one file system fails in a test and not in production.
//
// All calls may wait. A call on a file is carried out even if its fiber is cancelled meanwhile: the
// kernel may hold the buffer. What the device refuses comes back as Error::device_failed (nobody
// knows what the disk holds), Error::out_of_space, or, for names, Error::not_found and
// already_exists.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog {

// Is a write to survive a power cut when it returns, or is a later sync() going to see to that?
enum class Durability : std::uint8_t { later, now };

class File {
public:
    virtual ~File() = default; // Closes. Never syncs.

    // Fills `into` from `position`. Fewer bytes than asked for means that the file ends there. A
    // sector that cannot be read is Error::corrupt: the bytes were there.
    virtual Result<std::size_t> read_at(std::uint64_t position, std::span<std::byte> into) = 0;

    // Writes all of `data`. Until it is durable a power cut may leave in each sector the new bytes,
    // the old ones, or garbage, and any order between sectors and between writes.
    // Durability::now makes these bytes durable, and the file size they need; nothing else.
    // After an error nobody knows what was written.
    virtual Result<> write_at(std::uint64_t position, const BytesChain& data,
                              Durability durability = Durability::later) = 0;

    // Makes durable every write that had returned before this call. If it fails, nobody knows which
    // of them are durable, and trying again proves nothing: the owner must give up the file.
    virtual Result<> sync() = 0;

    virtual Result<std::uint64_t> size() = 0;
    virtual Result<> resize(std::uint64_t size) = 0; // Grows with zeros. Durable after sync().
};

class Disk {
public:
    virtual ~Disk() = default;

    enum class Open : std::uint8_t { existing, create_new };

    // How a file is going to be written. `aligned` promises that every position, size and address
    // is a multiple of Buffer::disk_alignment, and gets past the page cache where that is possible.
    enum class Access : std::uint8_t { buffered, aligned };

    // Paths are relative to the node's data directory, with '/' between their parts.
    virtual Result<std::unique_ptr<File>> open(std::string_view path, Open how,
                                               Access access = Access::buffered) = 0;
    virtual Result<std::vector<std::string>> list(std::string_view directory) = 0; // Sorted names.
    virtual Result<> create_directory(std::string_view path) = 0; // Its parent must exist.
    virtual Result<> rename(std::string_view from, std::string_view to) = 0; // Replaces `to`.
    virtual Result<> remove(std::string_view path) = 0; // A file or an empty directory.

    // Makes durable every create, rename and remove in `directory` that had returned before. The
    // data directory itself is "".
    virtual Result<> sync_directory(std::string_view directory) = 0;

    // Bytes of the file system that holds the data directory, and how many of them this process may
    // still fill. Others fill it too: this is old by the time it is read.
    struct Space {
        std::uint64_t total = 0;
        std::uint64_t free = 0;
    };
    virtual Result<Space> space() = 0;
};

} // namespace pyralog
