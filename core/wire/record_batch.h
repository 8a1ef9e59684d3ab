// core/wire/record_batch.h
//
// Kafka's record batch, version 2: what a producer sends, what a log stores, what a consumer gets,
// the same bytes. A header of 61 bytes, then the records, compressed as one blob or plain.
//
//     at   0 base_offset i64    8 batch_length i32   12 leader_epoch i32   16 magic i8 = 2
//         17 crc u32           21 attributes i16     23 last_offset_delta i32
//         27 base_timestamp i64                      35 max_timestamp i64
//         43 producer_id i64   51 producer_epoch i16 53 base_sequence i32  57 record_count i32
//         61 records
//
// The length counts what follows it. The checksum covers everything from the attributes on, so a
// leader gives a batch its offset and its term without touching it: stamped() makes a header, and
// shares the rest.
//
// Compaction takes records out of a stored batch: those that are left keep their offsets, and the
// last offset of the batch stays what it was. A producer sends none such.
//
// A RecordBatch has been checked, as far as that goes without looking at its records; of those that
// are not compressed, records_are_sound() can tell more. It owns a reference to its bytes.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/types.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pyralog::wire {

enum class Compression : std::uint8_t { none, gzip, snappy, lz4, zstd };

struct BatchHeader {
    static constexpr std::size_t size = 61;
    static constexpr std::size_t uncounted_size = 12; // What batch_length leaves out.
    static constexpr std::size_t summed_from = 21;    // Where the checksum begins.
    static constexpr std::int8_t magic_now = 2;

    static constexpr std::int16_t compression_mask = 7;
    static constexpr std::int16_t log_append_time_bit = 1 << 3;
    static constexpr std::int16_t transactional_bit = 1 << 4;
    static constexpr std::int16_t control_bit = 1 << 5;

    Offset base_offset;
    std::int32_t batch_length = 0;
    Term leader_epoch{-1};
    std::int8_t magic = magic_now;
    std::uint32_t crc = 0;
    std::int16_t attributes = 0;
    std::int32_t last_offset_delta = 0;
    std::int64_t base_timestamp = 0; // Milliseconds since 1970; -1 where there is none.
    std::int64_t max_timestamp = 0;
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = -1;
    std::int32_t base_sequence = -1;
    std::int32_t record_count = 0;

    // Meaningful once the batch has been checked: three bits can say more than there is.
    Compression compression() const {
        return static_cast<Compression>(attributes & compression_mask);
    }
    bool is_log_append_time() const { return (attributes & log_append_time_bit) != 0; }
    bool is_transactional() const { return (attributes & transactional_bit) != 0; }
    bool is_control() const { return (attributes & control_bit) != 0; }
    bool has_producer() const { return producer_id >= 0; }

    bool operator==(const BatchHeader&) const = default;
};

template <class Codec>
void describe(Codec& field, BatchHeader& h) {
    field(h.base_offset, h.batch_length, h.leader_epoch, h.magic, h.crc, h.attributes);
    field(h.last_offset_delta, h.base_timestamp, h.max_timestamp);
    field(h.producer_id, h.producer_epoch, h.base_sequence, h.record_count);
}

// Why bytes are not a batch to append. Kafka has an answer of its own for each.
enum class BatchFlaw : std::uint8_t {
    corrupt,             // Cut short, or the checksum differs: CORRUPT_MESSAGE.
    old_format,          // Magic 0 or 1: UNSUPPORTED_FOR_MESSAGE_FORMAT.
    invalid,             // Not exactly one batch, or one that no client may send: INVALID_RECORD.
    unknown_compression, // UNSUPPORTED_COMPRESSION_TYPE.
    too_large,           // MESSAGE_TOO_LARGE.
};

std::string_view to_string(BatchFlaw flaw);

struct RecordHeader {
    std::string key;
    std::optional<Bytes> value;
};

struct Record {
    Offset offset;
    std::int64_t timestamp = 0;
    std::optional<Bytes> key; // Slices of the batch.
    std::optional<Bytes> value;
    std::vector<RecordHeader> headers;
};

class RecordBatch {
public:
    // What fits a frame of the log. A broker may be configured for less.
    static constexpr std::size_t size_max = 64_MiB;
    // A compressed batch can claim any number of records, and each would take an offset.
    static constexpr std::int32_t records_max = 1 << 24;

    // The batch that these bytes are, all of them, from a producer: with no offset left out.
    static std::variant<RecordBatch, BatchFlaw> parse(Bytes bytes);

    // Takes the first of several batches, as a fetch returns them, off the front of `rest`. Leaves
    // `rest` alone if that is none.
    static std::variant<RecordBatch, BatchFlaw> take_first(Bytes& rest);

    const BatchHeader& header() const { return header_; }
    const Bytes& bytes() const { return bytes_; }
    std::size_t size() const { return bytes_.size(); }
    std::int32_t records() const { return header_.record_count; }
    Offset first() const { return header_.base_offset; }
    Offset end() const { return header_.base_offset + header_.last_offset_delta + 1; }

    // Whether a RecordReader would read all of them, at a fraction of its cost. A broker that asks
    // before it appends spares its consumers records that they could not get past. Of compressed
    // records nothing is known, and they count as sound.
    bool records_are_sound() const;

    // The batch at its place in the log: a new header, and the records as a part shared with this.
    BytesChain stamped(Offset base, Term leader_epoch) const;

private:
    friend class RecordReader;
    RecordBatch(BatchHeader header, Bytes bytes) : header_(header), bytes_(std::move(bytes)) {}

    BatchHeader header_;
    Bytes bytes_;
};

// Reads the records of a batch that is not compressed, one by one. A record that reaches beyond the
// batch, that is not behind the one before it, or that is missing makes it malformed.
class RecordReader {
public:
    explicit RecordReader(const RecordBatch& batch);

    // The next record; nothing after the last.
    Result<std::optional<Record>> next();
    // That record as it stands in the batch.
    const Bytes& bytes() const { return bytes_; }

private:
    BatchHeader header_;
    Bytes rest_;
    Bytes bytes_;
    std::int32_t read_ = 0;
    std::int32_t last_delta_ = -1;
};

// All of them. Error::unavailable if the batch is compressed.
Result<std::vector<Record>> records_of(const RecordBatch& batch);

// Makes batches that are not compressed, for clients, tools and tests.
class RecordBatchBuilder {
public:
    RecordBatchBuilder& add(std::optional<std::string_view> key,
                            std::optional<std::string_view> value, std::int64_t timestamp = 0,
                            std::span<const RecordHeader> headers = {});

    // The idempotent producer this batch is from.
    RecordBatchBuilder& from(std::int64_t producer_id, std::int16_t producer_epoch,
                             std::int32_t base_sequence);

    // Part of a transaction, or a marker: bits of BatchHeader::attributes.
    RecordBatchBuilder& mark(std::int16_t bits);

    std::int32_t records() const { return header_.record_count; }
    std::size_t size() const { return BatchHeader::size + records_.size(); }

    // The batch of what was added. At least one record must have been.
    Bytes build() const;

private:
    BatchHeader header_;
    std::string records_;
};

// A batch of records that are encoded, and perhaps compressed, already. Fills in the length and the
// checksum, and believes the rest of the header.
Bytes assemble(BatchHeader header, const Bytes& records);

} // namespace pyralog::wire
