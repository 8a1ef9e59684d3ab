#include "fuzz/frames.h"

#include <algorithm>

namespace pyralog::fuzz {

wire::Frame some_frame(Input& input, GroupId group, Position at, Term term, bool any_kind) {
    using Kind = wire::Frame::Kind;
    constexpr Kind kinds[] = {Kind::records, Kind::records, Kind::term_start, Kind::members,
                              Kind::trim,    Kind::vote,    Kind::cut,        Kind::mark,
                              Kind::seal,    Kind::start,   Kind::begin};
    constexpr std::size_t entry_kinds = 5;
    constexpr std::uint64_t usual_payload = 160, payload_max = 6000;

    wire::Frame frame;
    frame.kind = kinds[input.below(any_kind ? std::size(kinds) : entry_kinds)];
    frame.group = group;
    frame.term = Term(term.value + static_cast<std::int64_t>(input.byte() % 3));
    frame.first = at;
    if (frame.kind == Kind::records)
        frame.records = 1 + static_cast<std::int32_t>(input.byte() % 8);
    const auto size = std::min(input.number_near(usual_payload), payload_max);
    std::vector<std::byte> payload(size);
    for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<std::byte>(i * 7 + size);
    const Bytes drawn = input.bytes(std::min<std::size_t>(size, 64));
    std::copy(drawn.view().begin(), drawn.view().end(), payload.begin());
    if (size > 0) frame.payload = {bytes_of(payload)};
    return frame;
}

void append_frame(Image& image, const wire::Frame& frame) {
    const Bytes header = encode_header(frame);
    const Bytes payload = joined(frame.payload);
    const std::size_t end = image.size() + wire::stored_size(frame);
    image.insert(image.end(), header.view().begin(), header.view().end());
    image.insert(image.end(), payload.view().begin(), payload.view().end());
    image.resize(end);
}

bool same(const wire::Frame& a, const wire::Frame& b) {
    return a.kind == b.kind && a.group == b.group && a.term == b.term && a.first == b.first &&
           a.records == b.records && joined(a.payload).text() == joined(b.payload).text();
}

} // namespace pyralog::fuzz
