#include "core/wire/log_start.h"

#include "core/wire/with_producers.h"

namespace pyralog::wire {

namespace {

Result<WithProducers<Trim>> read_trim(const Frame& frame) {
    CHECK(frame.kind == Frame::Kind::trim);
    auto read = decode<WithProducers<Trim>>(joined(frame.payload));
    if (!read.ok()) return Error::corrupt;
    const Trim& trim = read.value().said;
    const bool is_before = trim.first.index >= 0 && trim.first.index <= frame.first.index &&
                           trim.first.offset >= Offset() && trim.offset <= frame.first.offset;
    if (!is_before || !LogStart{trim.first, {}, trim.offset}.is_sensible()) return Error::corrupt;
    if (!read.value().is_whole(trim.first, frame.first)) return Error::corrupt;
    return read;
}

} // namespace

BytesChain trim_payload(const Trim& trim, const std::optional<ProducerTable>& producers) {
    return {encode(WithProducers<Trim>{trim, producers})};
}

Result<Trim> trim_of(const Frame& frame) { return TRY(read_trim(frame)).said; }

Result<std::optional<ProducerTable>> producers_of_trim(const Frame& frame) {
    return TRY(read_trim(frame)).producers;
}

Frame start_frame(GroupId group, const LogStart& start) {
    CHECK(start.is_sensible());
    Frame frame;
    frame.kind = Frame::Kind::start;
    frame.group = group;
    frame.term = start.before;
    frame.first = start.first;
    frame.records = static_cast<std::int32_t>(start.offset - start.first.offset);
    return frame;
}

Result<LogStart> start_of(const Frame& frame) {
    CHECK(frame.kind == Frame::Kind::start);
    if (!frame.payload.empty() || frame.damaged > 0) return Error::corrupt;
    return LogStart{frame.first, frame.term, frame.first.offset + frame.records};
}

} // namespace pyralog::wire
