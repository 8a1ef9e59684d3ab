#include "core/base/bytes.h"

#include <cstring>
#include <new>

namespace pyralog {

namespace {

// Small buffers are many (headers, replies) and never meet direct I/O.
constexpr std::size_t alignment_for(std::size_t size) {
    return size >= Buffer::disk_alignment ? Buffer::disk_alignment : alignof(std::max_align_t);
}

} // namespace

// The block stands behind the data, so that the data keep the alignment of the allocation.
Buffer::Buffer(std::size_t size) {
    const std::size_t tail = (size + alignof(Bytes::Block) - 1) & ~(alignof(Bytes::Block) - 1);
    const std::size_t alignment = alignment_for(size);
    const std::size_t total = (tail + sizeof(Bytes::Block) + alignment - 1) & ~(alignment - 1);
    void* memory = std::aligned_alloc(alignment, total);
    CHECK(memory != nullptr);
    auto* first = static_cast<std::byte*>(memory);
    block_ = new (first + tail) Bytes::Block{1, memory};
    if (buffer_count) {
        block_->count = buffer_count;
        block_->size = size;
        buffer_count->bytes += size;
        ++buffer_count->holders;
    }
    view_ = {first, size};
}

void Bytes::recycle(Block* block) {
    if (block->count) {
        block->count->bytes -= block->size;
        block->count->let_go();
    }
    std::free(block->allocation);
}

std::optional<Buffer> Buffer::thaw(Bytes&& bytes) {
    if (!bytes.block_ || bytes.block_->references != 1) return {};
    Buffer buffer;
    buffer.block_ = std::exchange(bytes.block_, nullptr);
    bytes.view_ = {};
    auto* first = static_cast<std::byte*>(buffer.block_->allocation);
    buffer.view_ = {first, reinterpret_cast<std::byte*>(buffer.block_)};
    return buffer;
}

Bytes Buffer::freeze(std::size_t count) && {
    CHECK(count <= view_.size());
    Bytes bytes(block_, view_.first(count));
    block_ = nullptr;
    view_ = {};
    return bytes;
}

Bytes Bytes::copy_of(std::span<const std::byte> data) {
    if (data.empty()) return {};
    Buffer copy(data.size());
    std::memcpy(copy.data(), data.data(), data.size());
    return std::move(copy).freeze();
}

Bytes joined(const BytesChain& chain) {
    if (chain.size() == 1) return chain.front();
    Buffer whole(size_of(chain));
    std::size_t at = 0;
    for (const Bytes& part : chain) {
        if (!part.empty()) std::memcpy(whole.data() + at, part.data(), part.size());
        at += part.size();
    }
    return std::move(whole).freeze();
}

} // namespace pyralog
