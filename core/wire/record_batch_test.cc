#include "core/wire/record_batch.h"

#include "core/base/crc32c.h"
#include "core/wire/codec.h"
#include "core/wire/golden_test.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <functional>

using namespace pyralog;
using namespace pyralog::wire;

namespace {

Bytes three_records() {
    const std::vector<RecordHeader> headers{{"h", Bytes::copy_of("v")}, {"none", std::nullopt}};
    RecordBatchBuilder builder;
    builder.add("key", "value", 1000)
        .add(std::nullopt, "", 990)
        .add("", std::nullopt, 1010, headers);
    return builder.build();
}

RecordBatch batch_of(const Bytes& bytes) {
    auto parsed = RecordBatch::parse(bytes);
    REQUIRE(std::holds_alternative<RecordBatch>(parsed));
    return std::get<RecordBatch>(parsed);
}

std::optional<BatchFlaw> flaw_of(const Bytes& bytes) {
    const auto parsed = RecordBatch::parse(bytes);
    if (const auto* flaw = std::get_if<BatchFlaw>(&parsed)) return *flaw;
    return std::nullopt;
}

// The batch with another header, and a checksum that is right all the same.
std::optional<BatchFlaw> flaw_with(const std::function<void(BatchHeader&)>& change) {
    const Bytes good = three_records();
    BatchHeader header = batch_of(good).header();
    change(header);
    return flaw_of(
        assemble(header, good.slice(BatchHeader::size, good.size() - BatchHeader::size)));
}

Bytes with_byte(const Bytes& bytes, std::size_t at, std::uint8_t value) {
    std::string text(bytes.text());
    text[at] = static_cast<char>(value);
    return Bytes::copy_of(text);
}

} // namespace

TEST_CASE("a batch that was built parses, and its records come back", "[wire]") {
    const RecordBatch batch = batch_of(three_records());
    CHECK(batch.records() == 3);
    CHECK(batch.header().base_timestamp == 1000);
    CHECK(batch.header().max_timestamp == 1010);
    CHECK(batch.header().compression() == Compression::none);
    CHECK_FALSE(batch.header().has_producer());
    CHECK(batch.end() == Offset(3));

    const Result<std::vector<Record>> records = records_of(batch);
    REQUIRE(records.ok());
    REQUIRE(records.value().size() == 3);
    const Record& first = records.value()[0];
    CHECK(first.offset == Offset(0));
    CHECK(first.timestamp == 1000);
    CHECK(first.key->text() == "key");
    CHECK(first.value->text() == "value");
    CHECK(first.value->data() > batch.bytes().data()); // A slice, not a copy.
    const Record& second = records.value()[1];
    CHECK(second.timestamp == 990);
    CHECK_FALSE(second.key.has_value());
    CHECK(second.value->empty());
    const Record& third = records.value()[2];
    CHECK(third.offset == Offset(2));
    CHECK_FALSE(third.value.has_value());
    REQUIRE(third.headers.size() == 2);
    CHECK(third.headers[0].key == "h");
    CHECK(third.headers[0].value->text() == "v");
    CHECK_FALSE(third.headers[1].value.has_value());
}

TEST_CASE("a stamp changes offset and epoch, and shares the records", "[wire]") {
    const Bytes original = three_records();
    const RecordBatch batch = batch_of(original);
    const BytesChain stamped = batch.stamped(Offset(1'000'000'007), Term(12));
    REQUIRE(stamped.size() == 2);
    CHECK(stamped[0].size() == BatchHeader::size);
    CHECK(stamped[1].data() == original.data() + BatchHeader::size);

    const RecordBatch placed = batch_of(joined(stamped));
    CHECK(placed.first() == Offset(1'000'000'007));
    CHECK(placed.end() == Offset(1'000'000'010));
    CHECK(placed.header().leader_epoch == Term(12));
    BatchHeader expected = batch.header();
    expected.base_offset = Offset(1'000'000'007);
    expected.leader_epoch = Term(12);
    CHECK(placed.header() == expected);
    CHECK(placed.bytes().slice(16, placed.size() - 16).text() ==
          original.slice(16, original.size() - 16).text());
}

TEST_CASE("a batch has the bytes it had", "[wire]") {
    const std::vector<RecordHeader> headers{{"h", Bytes::copy_of("x")}};
    RecordBatchBuilder builder;
    builder.add("k", "first", 1700000000000).add(std::nullopt, "second", 1700000000003, headers);
    const Bytes bytes = joined(batch_of(builder.build()).stamped(Offset(40), Term(3)));
    CHECK(hex_of(bytes) == golden("record_batch", bytes));
    CHECK(batch_of(bytes_of_hex(golden("record_batch", bytes))).end() == Offset(42));
}

TEST_CASE("no truncation of a batch is taken for one", "[wire]") {
    const Bytes whole = three_records();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CHECK(flaw_of(Bytes::copy_of(whole.view().first(size))) == BatchFlaw::corrupt);
    }
}

TEST_CASE("a changed byte is found, but where a leader may change it", "[wire]") {
    const Bytes good = three_records();
    for (std::size_t at = 0; at < good.size(); ++at) {
        const auto old = std::to_integer<std::uint8_t>(good.data()[at]);
        const auto flaw = flaw_of(with_byte(good, at, old ^ 0x40));
        const bool is_stamped = at < 8 || (at >= 12 && at < 16);
        CHECK(flaw.has_value() == !is_stamped);
    }
}

TEST_CASE("each flaw of a batch is told apart", "[wire]") {
    const Bytes good = three_records();
    CHECK(flaw_of(with_byte(good, 16, 0)) == BatchFlaw::old_format);
    CHECK(flaw_of(with_byte(good, 16, 1)) == BatchFlaw::old_format);
    CHECK(flaw_of(with_byte(good, 16, 3)) == BatchFlaw::corrupt);
    CHECK(flaw_of(Bytes()) == BatchFlaw::corrupt);
    CHECK(flaw_of(joined({good, good})) == BatchFlaw::invalid); // Not exactly one.
    CHECK(flaw_of(joined({good, Bytes::copy_of("x")})) == BatchFlaw::invalid);
    CHECK(flaw_of(with_byte(good, 8, 0x7f)) == BatchFlaw::too_large);
    CHECK(flaw_of(with_byte(good, 8, 0xff)) == BatchFlaw::corrupt);

    CHECK_FALSE(flaw_with([](BatchHeader&) {}).has_value());
    CHECK(flaw_with([](BatchHeader& h) { h.attributes = 5; }) == BatchFlaw::unknown_compression);
    CHECK(flaw_with([](BatchHeader& h) { h.attributes = BatchHeader::control_bit; }) ==
          BatchFlaw::invalid);
    CHECK(flaw_with([](BatchHeader& h) { h.attributes = BatchHeader::log_append_time_bit; }) ==
          BatchFlaw::invalid);
    CHECK(flaw_with([](BatchHeader& h) { h.record_count = 2; }) == BatchFlaw::invalid);
    CHECK(flaw_with([](BatchHeader& h) { h.record_count = -1; }) == BatchFlaw::invalid);
    CHECK(flaw_with([](BatchHeader& h) { h.record_count = h.last_offset_delta = 0; }) ==
          BatchFlaw::invalid);
    CHECK(flaw_with([](BatchHeader& h) {
              h.record_count = 1000; // More than so few bytes can hold.
              h.last_offset_delta = 999;
          }) == BatchFlaw::invalid);
    CHECK(flaw_with([](BatchHeader& h) {
              h.attributes = static_cast<std::int16_t>(Compression::gzip);
              h.record_count = RecordBatch::records_max + 1;
              h.last_offset_delta = RecordBatch::records_max;
          }) == BatchFlaw::invalid);
    CHECK(flaw_with([](BatchHeader& h) { h.producer_id = 7; }) == BatchFlaw::invalid);
    CHECK(flaw_with([](BatchHeader& h) { h.base_offset = Offset(INT64_MAX); }) ==
          BatchFlaw::invalid);
    CHECK(flaw_of(assemble(batch_of(good).header(), Bytes())) == BatchFlaw::invalid);
}

TEST_CASE("a producer's identity is carried", "[wire]") {
    const RecordBatch batch =
        batch_of(RecordBatchBuilder().add("k", "v").from(77, 3, 1000).build());
    CHECK(batch.header().has_producer());
    CHECK(batch.header().producer_id == 77);
    CHECK(batch.header().producer_epoch == 3);
    CHECK(batch.header().base_sequence == 1000);
}

TEST_CASE("a compressed batch passes untouched", "[wire]") {
    const Bytes blob = Bytes::copy_of(std::string(300, '\xa5'));
    for (const Compression compression :
         {Compression::gzip, Compression::snappy, Compression::lz4, Compression::zstd}) {
        BatchHeader header;
        header.attributes = static_cast<std::int16_t>(compression);
        header.record_count = 50; // More than 300 bytes could hold uncompressed.
        header.last_offset_delta = 49;
        const RecordBatch batch = batch_of(assemble(header, blob));
        CHECK(batch.header().compression() == compression);
        const BytesChain stamped = batch.stamped(Offset(5), Term(1));
        CHECK(stamped[1].text() == blob.text());
        CHECK(batch_of(joined(stamped)).end() == Offset(55));
        CHECK(records_of(batch).error() == Error::unavailable);
    }
}

TEST_CASE("several batches are taken off one by one", "[wire]") {
    const Bytes good = three_records();
    Bytes rest = joined({good, good, good.slice(0, 70)});
    for (int i = 0; i < 2; ++i) {
        const auto parsed = RecordBatch::take_first(rest);
        REQUIRE(std::holds_alternative<RecordBatch>(parsed));
        CHECK(std::get<RecordBatch>(parsed).bytes().text() == good.text());
    }
    const auto parsed = RecordBatch::take_first(rest);
    REQUIRE(std::holds_alternative<BatchFlaw>(parsed));
    CHECK(std::get<BatchFlaw>(parsed) == BatchFlaw::corrupt);
    CHECK(rest.size() == 70);
}

TEST_CASE("records that lie about themselves are malformed", "[wire]") {
    const auto read = [](std::initializer_list<int> bytes, std::int32_t count) {
        std::string text;
        for (const int byte : bytes) text += static_cast<char>(byte);
        BatchHeader header;
        header.record_count = count;
        header.last_offset_delta = count - 1;
        const RecordBatch batch = batch_of(assemble(header, Bytes::copy_of(text)));
        auto records = records_of(batch);
        CHECK(batch.records_are_sound() == records.ok());
        return records;
    };
    // Size, attributes, timestamp, offset, key, value, headers.
    CHECK(read({12, 0, 0, 0, 1, 1, 0}, 1).ok());
    CHECK_FALSE(read({14, 0, 0, 0, 1, 1, 0}, 1).ok());       // Beyond the batch.
    CHECK_FALSE(read({10, 0, 0, 0, 1, 1, 0, 0}, 1).ok());    // Shorter than it is.
    CHECK_FALSE(read({1, 0, 0, 0, 1, 1, 0}, 1).ok());        // Negative.
    CHECK_FALSE(read({12, 0, 0, 2, 1, 1, 0}, 1).ok());       // Not the next offset.
    CHECK_FALSE(read({12, 0, 0, 0, 3, 1, 0}, 1).ok());       // Key of length -2.
    CHECK_FALSE(read({12, 0, 0, 0, 1, 100, 0}, 1).ok());     // Value beyond its record.
    CHECK_FALSE(read({12, 0, 0, 0, 1, 1, 2}, 1).ok());       // A header that is missing.
    CHECK_FALSE(read({16, 0, 0, 0, 1, 1, 2, 1, 1}, 1).ok()); // A header without a key.
    CHECK_FALSE(read({12, 0, 0, 0, 1, 1, 1}, 1).ok());       // -1 headers.
    CHECK_FALSE(read({12, 0, 0, 0, 1, 1, 0, 0}, 1).ok());    // More than the records.
    CHECK_FALSE(read({26, 0, 0, 0, 1, 1, 254, 255, 255, 255, 15, 0, 0, 0}, 1).ok());
}

TEST_CASE("a record's time wraps rather than overflows", "[wire]") {
    BatchHeader header;
    header.record_count = 1;
    header.base_timestamp = INT64_MAX;
    const std::string record("\x0c\x00\x02\x00\x01\x01\x00", 7); // One millisecond later.
    const auto records = records_of(batch_of(assemble(header, Bytes::copy_of(record))));
    REQUIRE(records.ok());
    CHECK(records.value()[0].timestamp == INT64_MIN);
}

TEST_CASE("arbitrary records come back from their batch", "[wire]") {
    rc::prop("built, stamped, parsed and read", [](std::int64_t base, std::int32_t term) {
        const auto values = *rc::gen::nonEmpty(rc::gen::arbitrary<std::vector<std::string>>());
        RecordBatchBuilder builder;
        std::int64_t time = 0;
        for (const std::string& value : values) {
            builder.add(value.size() % 3 == 0 ? std::nullopt
                                              : std::optional(std::string_view(value)),
                        value, time);
            time += 17 - static_cast<std::int64_t>(value.size());
        }
        CHECK(builder.size() == builder.build().size());
        base &= 0xffffffffffff;
        const Bytes bytes = joined(batch_of(builder.build()).stamped(Offset(base), Term(term)));
        const auto records = records_of(batch_of(bytes));
        RC_ASSERT(records.ok());
        RC_ASSERT(records.value().size() == values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            RC_ASSERT(records.value()[i].value->text() == values[i]);
            RC_ASSERT(records.value()[i].offset == Offset(base + std::int64_t(i)));
        }
    });
}

TEST_CASE("arbitrary changes to the records do no harm, and are seen alike", "[wire]") {
    const Bytes good = three_records();
    REQUIRE(batch_of(good).records_are_sound());
    rc::prop("read or refused", [&] {
        std::string text(good.text().substr(BatchHeader::size));
        const int changes = *rc::gen::inRange(1, 4);
        for (int i = 0; i < changes; ++i) {
            text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
        }
        text.resize(*rc::gen::inRange<std::size_t>(21, text.size() + 1));
        const RecordBatch batch = batch_of(assemble(batch_of(good).header(), Bytes::copy_of(text)));
        const auto records = records_of(batch);
        RC_ASSERT(batch.records_are_sound() == records.ok());
        if (records.ok()) RC_ASSERT(records.value().size() == 3u);
    });
}

TEST_CASE("a stored batch may have lost records, and one from a producer may not", "[wire]") {
    RecordBatchBuilder builder;
    for (const char* const value : {"a", "b", "c", "d"}) builder.add("k", value, 5);
    const auto whole = std::get<RecordBatch>(RecordBatch::parse(builder.build()));
    BytesChain kept;
    RecordReader reader(whole);
    for (int i = 0; i < 4; ++i) {
        REQUIRE(reader.next().ok());
        if (i == 1 || i == 2) kept.push_back(reader.bytes());
    }
    BatchHeader header = whole.header();
    header.base_offset = Offset(40);
    header.record_count = 2;
    const Bytes stored = assemble(header, joined(kept));
    CHECK(flaw_of(stored) == BatchFlaw::invalid);
    Bytes rest = stored;
    const auto taken = RecordBatch::take_first(rest);
    const auto& batch = std::get<RecordBatch>(taken);
    CHECK(batch.first() == Offset(40));
    CHECK(batch.end() == Offset(44));
    const auto records = records_of(batch);
    REQUIRE(records.ok());
    REQUIRE(records.value().size() == 2);
    CHECK(records.value()[0].offset == Offset(41));
    CHECK(records.value()[1].offset == Offset(42));
    CHECK(records.value()[1].value->text() == "c");

    // In the wrong order, or beyond the last offset, they are malformed.
    const auto reads = [&](BatchHeader h, const BytesChain& bytes) {
        Bytes all = assemble(h, joined(bytes));
        return records_of(std::get<RecordBatch>(RecordBatch::take_first(all))).ok();
    };
    CHECK_FALSE(reads(header, {kept[1], kept[0]}));
    CHECK_FALSE(reads(header, {kept[0], kept[0]}));
    header.last_offset_delta = 1;
    CHECK_FALSE(reads(header, kept));
}
