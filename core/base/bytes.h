// core/base/bytes.h
//
// Bytes have two lives. A Buffer is young: one owner, writable, aligned for the disk. Frozen, it
// becomes Bytes: any number of owners, and nobody may write again. A produce request is read into a
// Buffer once; its records reach the log file, the followers and the consumers as slices of it.
//
// Writable or shared, never both: that is the one rule that makes it safe not to copy.
#pragma once

#include "core/base/check.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace pyralog {

// How many bytes the buffers have that were made while this was the one that counts, and that are
// still there: what a simulated process holds. In the server there is none.
//
// Buffers may outlive the process, so whoever begins a count leaves it, and the last buffer ends
// it.
struct BufferCount {
    std::size_t bytes = 0;
    std::size_t holders = 1; // Buffers, and who began it.
    void let_go() {
        if (--holders == 0) delete this;
    }
};
inline BufferCount* buffer_count = nullptr; // The one that counts now; set by the simulated world.

class Bytes {
public:
    Bytes() = default;
    Bytes(const Bytes& other) : block_(other.block_), view_(other.view_) { retain(); }
    Bytes(Bytes&& other) noexcept { swap(other); }
    Bytes& operator=(Bytes other) noexcept {
        swap(other);
        return *this;
    }
    ~Bytes() { release(); }

    static Bytes copy_of(std::span<const std::byte> data);
    static Bytes copy_of(std::string_view text) { return copy_of(std::as_bytes(std::span(text))); }

    std::span<const std::byte> view() const { return view_; }
    std::string_view text() const {
        return {reinterpret_cast<const char*>(view_.data()), view_.size()};
    }
    const std::byte* data() const { return view_.data(); }
    std::size_t size() const { return view_.size(); }
    bool empty() const { return view_.empty(); }

    // The part [first, first + count), sharing the memory. O(1).
    Bytes slice(std::size_t first, std::size_t count) const {
        CHECK(first <= size() && count <= size() - first);
        Bytes part(*this);
        part.view_ = view_.subspan(first, count);
        return part;
    }

private:
    friend class Buffer;
    // Counted without atomics: a Bytes never leaves its node's thread.
    struct Block {
        std::uint32_t references;
        void* allocation;
        BufferCount* count = nullptr; // That it is a part of,
        std::size_t size = 0;         // with so much.
    };

    Bytes(Block* block, std::span<const std::byte> view) : block_(block), view_(view) {}
    void swap(Bytes& other) noexcept {
        std::swap(block_, other.block_);
        std::swap(view_, other.view_);
    }
    void retain() {
        if (block_) ++block_->references;
    }
    void release() {
        if (block_ && --block_->references == 0) recycle(block_);
    }
    static void recycle(Block* block);

    Block* block_ = nullptr;
    std::span<const std::byte> view_;
};

// What one gather write sends, in order.
using BytesChain = std::vector<Bytes>;

inline std::size_t size_of(const BytesChain& chain) {
    std::size_t total = 0;
    for (const Bytes& part : chain) total += part.size();
    return total;
}

// One run of memory with the bytes of the whole chain. Copies, unless the chain is one piece.
Bytes joined(const BytesChain& chain);

// Writable memory with one owner. Its content is not initialised.
class Buffer {
public:
    // Direct I/O wants memory, places and sizes that are multiples of this.
    static constexpr std::size_t disk_alignment = 4096;

    Buffer() = default;
    explicit Buffer(std::size_t size);
    Buffer(Buffer&& other) noexcept
        : block_(std::exchange(other.block_, nullptr)), view_(std::exchange(other.view_, {})) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(block_, other.block_);
        std::swap(view_, other.view_);
        return *this;
    }
    ~Buffer() {
        if (block_) Bytes::recycle(block_);
    }

    std::span<std::byte> view() { return view_; }
    std::byte* data() { return view_.data(); }
    std::size_t size() const { return view_.size(); }

    // The way back, for memory that is used again and again: everything that was allocated, and
    // writable, if nobody else shares it. Nothing otherwise.
    static std::optional<Buffer> thaw(Bytes&& bytes);

    // The first `count` bytes, from now on shared and unchangeable.
    Bytes freeze(std::size_t count) &&;
    Bytes freeze() && {
        const std::size_t count = size();
        return std::move(*this).freeze(count);
    }

private:
    Bytes::Block* block_ = nullptr;
    std::span<std::byte> view_;
};

} // namespace pyralog
