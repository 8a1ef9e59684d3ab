#include "core/log/read_device.h"

#include "core/log/file_names.h"

namespace pyralog {

namespace {

// A device may return another sector's bytes, and the right ones the next time.
constexpr int frame_reads_max = 2;

} // namespace

Result<Bytes> read_device(File& device, std::uint64_t position, std::size_t count) {
    constexpr std::uint64_t alignment = Buffer::disk_alignment;
    const std::uint64_t first = position / alignment * alignment;
    const std::uint64_t end = (position + count + alignment - 1) / alignment * alignment;
    Buffer memory(end - first);
    const std::size_t got = TRY(device.read_at(first, memory.view()));
    const Bytes bytes = std::move(memory).freeze(got);
    const std::size_t before = std::min<std::size_t>(position - first, bytes.size());
    return bytes.slice(before, std::min(count, bytes.size() - before));
}

namespace {

Result<Bytes> read_buffered(File& file, std::uint64_t position, std::size_t count) {
    Buffer memory(count);
    const std::size_t got = TRY(file.read_at(position, memory.view()));
    return std::move(memory).freeze(got);
}

} // namespace

Result<std::optional<wire::Frame>> read_frame(File& file, Disk::Access access,
                                              std::uint64_t position, const wire::Frame& entry) {
    const std::size_t payload_size = size_of(entry.payload) + entry.damaged;
    const std::size_t size = wire::Frame::header_size + payload_size;
    for (int reads = 0; reads < frame_reads_max; ++reads) {
        const Result<Bytes> read = access == Disk::Access::aligned
                                       ? read_device(file, position, size)
                                       : read_buffered(file, position, size);
        if (!read.ok() && read.error() == Error::corrupt) continue;
        const Bytes bytes = TRY(read);
        if (bytes.size() < size) continue;
        auto header = wire::decode_header_in_segment(
            wire::HeaderBytes(bytes.view().first(wire::Frame::header_size)));
        if (!header.ok() || header.value().payload_size != payload_size) continue;
        wire::Frame frame = std::move(header).value().frame;
        if (payload_size > 0) frame.payload = {bytes.slice(wire::Frame::header_size, payload_size)};
        if (wire::is_same_entry(frame, entry) && wire::payload_intact(frame))
            return std::optional(std::move(frame));
    }
    return std::optional<wire::Frame>();
}

Result<std::optional<wire::Frame>> read_extent(Disk& disk, const wire::Frame& extent) {
    CHECK(extent.place.is_known());
    const std::string path =
        group_directory(extent.group) + '/' + segment_file_name(extent.place.segment);
    for (const auto access : {Disk::Access::aligned, Disk::Access::buffered}) {
        const auto file = disk.open(path, Disk::Open::existing, access);
        if (!file.ok() && file.error() == Error::not_found) break;
        if (!file.ok()) return file.error();
        auto frame = TRY(read_frame(*file.value(), access, extent.place.file_position, extent));
        if (frame) return frame;
    }
    return std::optional<wire::Frame>();
}

} // namespace pyralog
