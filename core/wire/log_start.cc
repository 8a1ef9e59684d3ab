#include "core/wire/log_start.h"

#include "core/base/crc32c.h"
#include "core/wire/codec.h"

namespace pyralog::wire {

namespace {

// The payload of a start. The rest is in the header of the frame.
struct FirstRecord {
    Offset offset;
};

template <class Codec>
void describe(Codec& field, FirstRecord& f) {
    field(f.offset);
}

} // namespace

BytesChain trim_payload(const Trim& trim) { return {encode(trim)}; }

Result<Trim> trim_of(const Frame& frame) {
    CHECK(frame.kind == Frame::Kind::trim);
    const Result<Trim> read = decode<Trim>(joined(frame.payload));
    if (!read.ok()) return Error::corrupt;
    const Trim& trim = read.value();
    const bool is_before = trim.first.index >= 0 && trim.first.index <= frame.first.index &&
                           trim.first.offset >= Offset() && trim.offset >= trim.first.offset &&
                           trim.offset <= frame.first.offset;
    if (!is_before) return Error::corrupt;
    return trim;
}

Frame start_frame(GroupId group, const LogStart& start) {
    Frame frame;
    frame.kind = Frame::Kind::start;
    frame.group = group;
    frame.term = start.before;
    frame.first = start.first;
    frame.payload = {encode(FirstRecord{start.offset})};
    frame.payload_crc = crc32c(frame.payload);
    return frame;
}

Result<LogStart> start_of(const Frame& frame) {
    CHECK(frame.kind == Frame::Kind::start);
    const Result<FirstRecord> read = decode<FirstRecord>(joined(frame.payload));
    if (!read.ok() || read.value().offset < frame.first.offset) return Error::corrupt;
    return LogStart{frame.first, frame.term, read.value().offset};
}

} // namespace pyralog::wire
