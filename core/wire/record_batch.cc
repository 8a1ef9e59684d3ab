#include "core/wire/record_batch.h"

#include "core/base/crc32c.h"
#include "core/wire/codec.h"
#include "core/wire/frame.h"

namespace pyralog::wire {

static_assert(RecordBatch::size_max == Frame::payload_size_max);

namespace {

constexpr std::size_t magic_at = 16;
constexpr std::int64_t record_size_min = 7; // Six varints and the attributes, each of one byte.

// What the bytes must be before anything in them is believed.
std::optional<BatchFlaw> flaw_of_frame(const Bytes& bytes, bool alone) {
    if (bytes.size() > magic_at) {
        // In all three formats the magic stands in the same place.
        const auto magic = std::to_integer<std::int8_t>(bytes.data()[magic_at]);
        if (magic == 0 || magic == 1) return BatchFlaw::old_format;
        if (magic != BatchHeader::magic_now) return BatchFlaw::corrupt;
    }
    if (bytes.size() < BatchHeader::size) return BatchFlaw::corrupt;
    Reader reader(bytes);
    BatchHeader header;
    reader(header);
    const std::int64_t size = std::int64_t(header.batch_length) + BatchHeader::uncounted_size;
    if (size < std::int64_t(BatchHeader::size)) return BatchFlaw::corrupt;
    if (size > std::int64_t(RecordBatch::size_max)) return BatchFlaw::too_large;
    if (size > std::int64_t(bytes.size())) return BatchFlaw::corrupt;
    if (alone && size < std::int64_t(bytes.size())) return BatchFlaw::invalid;
    return std::nullopt;
}

std::optional<BatchFlaw> flaw_of_content(const BatchHeader& header, std::size_t records_size) {
    if ((header.attributes & BatchHeader::compression_mask) >
        static_cast<std::int16_t>(Compression::zstd)) {
        return BatchFlaw::unknown_compression;
    }
    // Only a broker says when something was appended.
    if (header.is_log_append_time()) return BatchFlaw::invalid;
    if (header.record_count < 1 || header.record_count > RecordBatch::records_max) {
        return BatchFlaw::invalid;
    }
    if (header.last_offset_delta < header.record_count - 1 ||
        header.last_offset_delta >= RecordBatch::records_max)
        return BatchFlaw::invalid;
    // A producer's base offset means nothing, but sums with it must not overflow.
    if (header.base_offset.value > INT64_MAX - RecordBatch::records_max) return BatchFlaw::invalid;
    if (records_size == 0) return BatchFlaw::invalid;
    if (header.compression() == Compression::none &&
        header.record_count * record_size_min > std::int64_t(records_size)) {
        return BatchFlaw::invalid;
    }
    if (header.has_producer() && header.producer_epoch < 0) return BatchFlaw::invalid;
    return std::nullopt;
}

void append_uvarint(std::string& to, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
    to += static_cast<char>(value);
}

void append_varint(std::string& to, std::int64_t value) {
    append_uvarint(to, detail::zigzag(value));
}

void append_sized(std::string& to, std::optional<std::string_view> text) {
    if (!text) return append_varint(to, -1);
    append_varint(to, static_cast<std::int64_t>(text->size()));
    to += *text;
}

// Looks at records without making anything of them. Fails by being no longer ok.
class RecordWalk {
public:
    explicit RecordWalk(std::span<const std::byte> records) : rest_(records) {}

    bool ok() const { return ok_; }
    bool done() const { return rest_.empty(); }

    std::int64_t varint(int bits) {
        std::uint64_t value = 0;
        for (int shift = 0; shift < bits && !rest_.empty(); shift += 7) {
            const auto byte = std::to_integer<std::uint64_t>(rest_.front());
            rest_ = rest_.subspan(1);
            const std::uint64_t part = byte & 0x7f;
            if (bits - shift < 7 && part >> (bits - shift) != 0) break;
            value |= part << shift;
            if ((byte & 0x80) == 0) return detail::unzigzag(value);
        }
        ok_ = false;
        return 0;
    }

    std::span<const std::byte> take(std::int64_t size) {
        if (size < 0 || size > static_cast<std::int64_t>(rest_.size())) {
            ok_ = false;
            return {};
        }
        const auto taken = rest_.first(static_cast<std::size_t>(size));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }

    // A key or a value. Size -1 says that there is none.
    void skip_sized(bool may_be_none) {
        const std::int64_t size = varint(32);
        if (size != -1 || !may_be_none) take(size);
    }

private:
    std::span<const std::byte> rest_;
    bool ok_ = true;
};

bool is_sound(RecordWalk record, std::int32_t offset_delta) {
    record.take(1); // Attributes.
    record.varint(64);
    if (record.varint(32) != offset_delta) return false;
    record.skip_sized(true);
    record.skip_sized(true);
    const std::int64_t headers = record.varint(32);
    if (headers < 0) return false;
    for (std::int64_t i = 0; i < headers && record.ok(); ++i) {
        record.skip_sized(false);
        record.skip_sized(true);
    }
    return record.ok() && record.done();
}

std::optional<Bytes> take_sized(Reader& reader) {
    std::int32_t size = 0;
    reader.varint(size);
    if (size == -1) return std::nullopt;
    reader.require(size >= 0);
    return reader.take(reader.ok() ? static_cast<std::size_t>(size) : 0);
}

} // namespace

std::string_view to_string(BatchFlaw flaw) {
    switch (flaw) {
    case BatchFlaw::corrupt: return "corrupt";
    case BatchFlaw::old_format: return "old format";
    case BatchFlaw::invalid: return "invalid";
    case BatchFlaw::unknown_compression: return "unknown compression";
    case BatchFlaw::too_large: return "too large";
    }
    check_failed("a known BatchFlaw", __FILE__, __LINE__);
}

std::variant<RecordBatch, BatchFlaw> RecordBatch::parse(Bytes bytes) {
    if (const auto flaw = flaw_of_frame(bytes, true)) return *flaw;
    auto taken = take_first(bytes);
    const auto* const batch = std::get_if<RecordBatch>(&taken);
    if (!batch) return taken;
    const BatchHeader& header = batch->header_;
    if (header.last_offset_delta != header.record_count - 1) return BatchFlaw::invalid;
    // Only coordinators write markers, and what a producer has not numbered.
    const bool is_numbered = !header.has_producer() || header.base_sequence >= 0;
    if (header.is_control() || !is_numbered) return BatchFlaw::invalid;
    return taken;
}

std::variant<RecordBatch, BatchFlaw> RecordBatch::take_first(Bytes& rest) {
    if (const auto flaw = flaw_of_frame(rest, false)) return *flaw;
    Reader reader(rest);
    BatchHeader header;
    reader(header);
    const std::size_t size =
        static_cast<std::size_t>(header.batch_length) + BatchHeader::uncounted_size;
    const Bytes bytes = rest.slice(0, size);
    if (crc32c(bytes.view().subspan(BatchHeader::summed_from)) != header.crc) {
        return BatchFlaw::corrupt;
    }
    if (const auto flaw = flaw_of_content(header, size - BatchHeader::size)) return *flaw;
    rest = rest.slice(size, rest.size() - size);
    return RecordBatch(header, bytes);
}

bool RecordBatch::records_are_sound() const {
    if (header_.compression() != Compression::none) return true;
    RecordWalk walk(bytes_.view().subspan(BatchHeader::size));
    for (std::int32_t i = 0; i < header_.record_count; ++i) {
        const std::span<const std::byte> record = walk.take(walk.varint(32));
        if (!walk.ok() || !is_sound(RecordWalk(record), i)) return false;
    }
    return walk.done();
}

BytesChain RecordBatch::stamped(Offset base, Term leader_epoch) const {
    BatchHeader header = header_;
    header.base_offset = base;
    header.leader_epoch = leader_epoch;
    return {encode(header), bytes_.slice(BatchHeader::size, bytes_.size() - BatchHeader::size)};
}

RecordReader::RecordReader(const RecordBatch& batch)
    : header_(batch.header()),
      rest_(batch.bytes().slice(BatchHeader::size, batch.size() - BatchHeader::size)) {
    CHECK(header_.compression() == Compression::none);
}

Result<std::optional<Record>> RecordReader::next() {
    if (read_ == header_.record_count) {
        if (!rest_.empty()) return Error::malformed;
        return std::optional<Record>();
    }
    Reader outer(rest_);
    std::int32_t size = 0;
    outer.varint(size);
    outer.require(size >= 0);
    Reader field(outer.take(outer.ok() ? static_cast<std::size_t>(size) : 0));
    if (!outer.ok()) return Error::malformed;

    std::int8_t attributes = 0;
    std::int64_t timestamp_delta = 0;
    std::int32_t offset_delta = 0;
    std::int32_t header_count = 0;
    Record record;
    field(attributes);
    field.varlong(timestamp_delta);
    field.varint(offset_delta);
    record.key = take_sized(field);
    record.value = take_sized(field);
    field.varint(header_count);
    field.require(header_count >= 0 && offset_delta > last_delta_ &&
                  offset_delta <= header_.last_offset_delta);
    for (std::int32_t i = 0; i < header_count && field.ok(); ++i) {
        const std::optional<Bytes> key = take_sized(field);
        field.require(key.has_value());
        if (!field.ok()) break;
        RecordHeader& header = record.headers.emplace_back();
        header.key = key->text();
        header.value = take_sized(field);
    }
    if (!field.complete()) return Error::malformed;

    record.offset = header_.base_offset + offset_delta;
    // Foreign numbers: their sum may be more than there are, and must not be undefined.
    record.timestamp =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(header_.base_timestamp) +
                                  static_cast<std::uint64_t>(timestamp_delta));
    bytes_ = rest_.slice(0, rest_.size() - outer.rest().size());
    rest_ = outer.rest();
    last_delta_ = offset_delta;
    ++read_;
    return std::optional<Record>(std::move(record));
}

Result<std::vector<Record>> records_of(const RecordBatch& batch) {
    if (batch.header().compression() != Compression::none) return Error::unavailable;
    RecordReader reader(batch);
    std::vector<Record> records;
    while (std::optional<Record> record = TRY(reader.next())) {
        records.push_back(*std::move(record));
    }
    return records;
}

RecordBatchBuilder& RecordBatchBuilder::add(std::optional<std::string_view> key,
                                            std::optional<std::string_view> value,
                                            std::int64_t timestamp,
                                            std::span<const RecordHeader> headers) {
    if (header_.record_count == 0) {
        header_.base_timestamp = timestamp;
        header_.max_timestamp = timestamp;
    }
    header_.max_timestamp = std::max(header_.max_timestamp, timestamp);

    std::string record(1, '\0'); // Its attributes: none are defined.
    append_varint(record, timestamp - header_.base_timestamp);
    append_varint(record, header_.record_count);
    append_sized(record, key);
    append_sized(record, value);
    append_varint(record, static_cast<std::int64_t>(headers.size()));
    for (const RecordHeader& header : headers) {
        append_sized(record, header.key);
        append_sized(record, header.value ? std::optional(header.value->text()) : std::nullopt);
    }
    append_sized(records_, record);
    header_.last_offset_delta = header_.record_count++;
    return *this;
}

RecordBatchBuilder& RecordBatchBuilder::from(std::int64_t producer_id, std::int16_t producer_epoch,
                                             std::int32_t base_sequence) {
    header_.producer_id = producer_id;
    header_.producer_epoch = producer_epoch;
    header_.base_sequence = base_sequence;
    return *this;
}

RecordBatchBuilder& RecordBatchBuilder::mark(std::int16_t bits) {
    header_.attributes = static_cast<std::int16_t>(header_.attributes | bits);
    return *this;
}

Bytes RecordBatchBuilder::build() const {
    CHECK(header_.record_count > 0);
    return assemble(header_, Bytes::copy_of(records_));
}

Bytes assemble(BatchHeader header, const Bytes& records) {
    const std::size_t size = BatchHeader::size + records.size();
    CHECK(size <= RecordBatch::size_max);
    header.batch_length = static_cast<std::int32_t>(size - BatchHeader::uncounted_size);
    header.crc =
        crc32c(records.view(), crc32c(encode(header).view().subspan(BatchHeader::summed_from)));
    return joined({encode(header), records});
}

} // namespace pyralog::wire
