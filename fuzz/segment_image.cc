// A segment file: frames, perhaps with a footer, perhaps with one byte changed.
#include "core/wire/segment.h"
#include "fuzz/frames.h"
#include "fuzz/target.h"

#include <algorithm>

namespace pyralog::fuzz {

namespace {

constexpr GroupId group{5};

struct MadeSegment {
    wire::SegmentHeader header;
    wire::SegmentIndex index{Position()};
    Image image;
    std::vector<std::size_t> frame_ends;
};

MadeSegment make_segment(Input& input) {
    MadeSegment made;
    made.header = {group, {static_cast<std::int64_t>(input.byte()), Offset(input.byte())}};
    made.index = wire::SegmentIndex(made.header.first);
    const Bytes header = encode(made.header);
    made.image.assign(header.view().begin(), header.view().end());
    Term term(1);
    while (!input.done() && made.image.size() < image_max) {
        const wire::Frame frame = some_frame(input, group, made.index.end, term, false);
        made.index.add(frame);
        append_frame(made.image, frame);
        made.frame_ends.push_back(made.image.size());
        term = frame.term;
    }
    return made;
}

Bytes frames_of(const Bytes& file) {
    return file.slice(wire::SegmentHeader::size, file.size() - wire::SegmentHeader::size);
}

wire::SegmentIndex scan(const Bytes& file, Position first, std::size_t* taken) {
    wire::SegmentIndex index(first);
    const wire::SegmentScan found = scan_segment(file, group, index);
    CHECK(found.taken <= file.size() && index.bytes == wire::SegmentHeader::size + found.taken);
    *taken = found.taken;
    return index;
}

// Any place that an index names lies in the file, at the beginning of a frame.
void check_places(const wire::SegmentIndex& index, const MadeSegment& made, Input& input) {
    for (int i = 0; i < 4; ++i) {
        const auto place = input.byte() % 2 == 0
                               ? index.place_of(Offset(static_cast<std::int64_t>(input.number(2))))
                               : index.place_of_index(static_cast<std::int64_t>(input.number(2)));
        CHECK(place == wire::SegmentHeader::size ||
              std::binary_search(made.frame_ends.begin(), made.frame_ends.end(), place));
    }
}

// The footer as it is found at the end of a file.
std::optional<wire::SegmentIndex> footer_of(const Bytes& file, const wire::SegmentHeader& header) {
    if (file.size() < wire::SegmentFooter::trailer_size) return {};
    const auto trailer = wire::decode_trailer(
        file.view().subspan(file.size() - wire::SegmentFooter::trailer_size), file.size());
    if (!trailer) return {};
    return wire::decode_footer(file.view().subspan(trailer->file_position, trailer->body_bytes),
                               *trailer, header);
}

void check_sealed(const MadeSegment& made, std::size_t position, std::byte mask) {
    Image image = made.image;
    const Bytes footer = encode_footer(made.index);
    image.insert(image.end(), footer.view().begin(), footer.view().end());
    const auto read = footer_of(bytes_of(image), made.header);
    CHECK(read && *read == made.index);
    // A footer that is not as it was written is none: then the file is scanned.
    position = made.image.size() + position % footer.size();
    image[position] ^= mask;
    const auto harmed = footer_of(bytes_of(image), made.header);
    CHECK(mask == std::byte{0} ? harmed.has_value() : (!harmed || *harmed == made.index));
}

void check_one_change(const MadeSegment& made, std::size_t position, std::byte mask) {
    Image image = made.image;
    position %= image.size();
    image[position] ^= mask;
    const Bytes file = bytes_of(image);
    if (position < wire::SegmentHeader::size) {
        CHECK(mask == std::byte{0} || !wire::decode_segment_header(file.view()));
        return;
    }
    std::size_t taken = 0;
    const wire::SegmentIndex index = scan(frames_of(file), made.header.first, &taken);
    const std::size_t end = wire::SegmentHeader::size + taken;
    if (end == image.size()) {
        CHECK(index == made.index); // It hit padding.
        return;
    }
    // Everything up to the frame that was hit, and nothing from there on.
    const auto hit = std::upper_bound(made.frame_ends.begin(), made.frame_ends.end(), position) -
                     made.frame_ends.begin();
    CHECK(end == (hit == 0 ? wire::SegmentHeader::size
                           : made.frame_ends[static_cast<std::size_t>(hit - 1)]));
}

} // namespace

bool run_segment_image(std::span<const std::byte> bytes) {
    Input input(bytes);
    std::size_t taken = 0;
    if (input.byte() % 8 == 7) {
        const Bytes file = input.all();
        const auto header = wire::decode_segment_header(file.view());
        if (file.size() >= wire::SegmentHeader::size)
            (void)scan(frames_of(file), header ? header->first : Position(), &taken);
        (void)footer_of(file, header.value_or(wire::SegmentHeader()));
        return header.has_value();
    }
    const std::size_t position = input.number(3);
    const auto mask = static_cast<std::byte>(input.byte());
    const Bytes wanted = input.bytes(12);
    Input places(wanted.view());
    const MadeSegment made = make_segment(input);
    const Bytes file = bytes_of(made.image);
    CHECK(wire::decode_segment_header(file.view()) == made.header);
    const wire::SegmentIndex index = scan(frames_of(file), made.header.first, &taken);
    CHECK(index == made.index && taken + wire::SegmentHeader::size == file.size());
    check_places(index, made, places);
    check_sealed(made, position, mask);
    check_one_change(made, position, mask);
    return true;
}

} // namespace pyralog::fuzz
