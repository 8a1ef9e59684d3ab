// Batches as producers compress them, made here by the same libraries: what is in them, and what is
// left of them.
#include "server/kafka_batches.h"

#include "core/env/fiber.h"
#include "server/decompress.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <string>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using wire::Compression;

namespace {

std::string gzip(const std::string& text) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string input = text, output(deflateBound(&stream, input.size()), 0);
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = reinterpret_cast<Bytef*>(output.data());
    stream.avail_out = static_cast<uInt>(output.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    output.resize(stream.total_out);
    deflateEnd(&stream);
    return output;
}

std::string lz4(const std::string& text) {
    std::string output(LZ4F_compressFrameBound(text.size(), nullptr), 0);
    output.resize(
        LZ4F_compressFrame(output.data(), output.size(), text.data(), text.size(), nullptr));
    return output;
}

std::string zstd(const std::string& text) {
    std::string output(ZSTD_compressBound(text.size()), 0);
    output.resize(ZSTD_compress(output.data(), output.size(), text.data(), text.size(), 3));
    return output;
}

std::string snappy_alone(const std::string& text) {
    std::string output;
    snappy::Compress(text.data(), text.size(), &output);
    return output;
}

// As Java's library does it, in blocks.
std::string snappy_in_blocks(const std::string& text) {
    std::string output("\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
    for (std::size_t at = 0; at < text.size(); at += 100) {
        const std::string block = snappy_alone(text.substr(at, 100));
        for (int shift = 24; shift >= 0; shift -= 8)
            output += static_cast<char>(block.size() >> shift);
        output += block;
    }
    return output;
}

struct Way {
    Compression compression;
    std::string (*compress)(const std::string& text);
};
const std::array<Way, 6> ways{{{Compression::none, [](const std::string& text) { return text; }},
                               {Compression::gzip, gzip},
                               {Compression::snappy, snappy_alone},
                               {Compression::snappy, snappy_in_blocks},
                               {Compression::lz4, lz4},
                               {Compression::zstd, zstd}}};

wire::RecordBatch some_batch() {
    wire::RecordBatchBuilder builder;
    builder.add("a", "first", 1000).add("b", "second", 1003).add("a", std::nullopt, 1001);
    builder.add("c", std::string(300, 'c'), 1002);
    return std::get<wire::RecordBatch>(wire::RecordBatch::parse(builder.build()));
}

// At offset 40, with its records compressed.
Bytes compressed_batch(const Way& way) {
    const wire::RecordBatch batch = some_batch();
    wire::BatchHeader header = batch.header();
    header.base_offset = Offset(40);
    header.attributes = static_cast<std::int16_t>(way.compression);
    constexpr std::size_t head = wire::BatchHeader::size;
    const std::string records(batch.bytes().slice(head, batch.size() - head).text());
    return wire::assemble(header, Bytes::copy_of(way.compress(records)));
}

} // namespace

// A node does it in a fiber, whose stack is small. With sanitizers it was too small.
TEST_CASE("batches are read on the stack of a fiber", "[server][compaction]") {
    StackPool stacks;
    Scheduler fibers(stacks);
    std::size_t read = 0;
    fibers.start("reader", [&] {
        for (const Way& way : ways)
            read += KafkaBatches().records_in({compressed_batch(way)}).has_value() ? 1 : 0;
    });
    while (!fibers.idle()) fibers.run_one();
    CHECK(read == ways.size());
}

TEST_CASE("records are found in batches however they are compressed", "[server][compaction]") {
    for (const Way& way : ways) {
        INFO(static_cast<int>(way.compression));
        const auto records = KafkaBatches().records_in({compressed_batch(way)});
        REQUIRE(records);
        REQUIRE(records->size() == 4);
        CHECK((*records)[0].offset == Offset(40));
        CHECK((*records)[3].offset == Offset(43));
        CHECK((*records)[1].key->text() == "b");
        CHECK_FALSE((*records)[1].deletes);
        CHECK((*records)[2].deletes);
    }
}

TEST_CASE("what is left of a batch is plain, and the same however it was compressed",
          "[server][compaction]") {
    const std::array kept{Offset(41), Offset(42)};
    std::string first;
    for (const Way& way : ways) {
        Bytes left = joined(KafkaBatches().reduced({compressed_batch(way)}, kept));
        if (first.empty()) first = left.text();
        CHECK(left.text() == first);
        const auto taken = wire::RecordBatch::take_first(left);
        const auto& batch = std::get<wire::RecordBatch>(taken);
        CHECK(batch.header().base_offset == Offset(40));
        CHECK(batch.end() == Offset(44));
        CHECK(batch.header().base_timestamp == 1000);
        CHECK(batch.header().max_timestamp == 1003);
        const auto records = wire::records_of(batch);
        REQUIRE(records.ok());
        REQUIRE(records.value().size() == 2);
        CHECK(records.value()[0].offset == Offset(41));
        CHECK(records.value()[0].value->text() == "second");
        CHECK(records.value()[1].timestamp == 1001);
    }
    // One after the other, or at once: the same is left.
    const std::array one{Offset(42)};
    const BytesChain half = KafkaBatches().reduced({compressed_batch(ways[4])}, kept);
    CHECK(joined(KafkaBatches().reduced(half, one)).text() ==
          joined(KafkaBatches().reduced({compressed_batch(ways[1])}, one)).text());
}

TEST_CASE("bytes that are not what they say are not decompressed, nor those that are too many",
          "[server][compaction]") {
    const std::string text(10'000, 'x');
    for (const Way& way : ways) {
        INFO(static_cast<int>(way.compression));
        const std::string good = way.compress(text);
        const auto of = [&](const std::string& bytes, std::size_t most) {
            return decompressed(way.compression, Bytes::copy_of(bytes), most);
        };
        REQUIRE(of(good, text.size()));
        CHECK(of(good, text.size())->text() == text);
        if (way.compression == Compression::none) continue;
        CHECK_FALSE(of(good, text.size() - 1));
        for (std::size_t size = 0; size < good.size(); ++size) {
            // Of blocks some may be whole.
            const auto less = of(good.substr(0, size), text.size());
            CHECK((!less || less->size() < text.size()));
        }
        CHECK_FALSE(of(good + "x", text.size()));
        CHECK_FALSE(of("nothing of that kind, whichever it is", text.size()));
    }
    CHECK_FALSE(KafkaBatches().records_in({Bytes::copy_of("no batch")}));
}

TEST_CASE("a batch has keys if each of its records has one, and it can be told",
          "[server][compaction]") {
    const auto batch_of = [](const Bytes& bytes) {
        return std::get<wire::RecordBatch>(wire::RecordBatch::parse(bytes));
    };
    for (const Way& way : ways) CHECK(has_keys(batch_of(compressed_batch(way))));
    wire::RecordBatchBuilder builder;
    builder.add("a", "first").add(std::nullopt, "second");
    CHECK_FALSE(has_keys(batch_of(builder.build())));
    wire::BatchHeader header = some_batch().header();
    header.attributes = static_cast<std::int16_t>(Compression::zstd);
    CHECK_FALSE(has_keys(batch_of(wire::assemble(header, Bytes::copy_of("not zstd")))));
}

TEST_CASE("records of a transaction that came to nothing are void, and markers as tombstones",
          "[server][compaction]") {
    const auto batch_at = [](std::int64_t offset, std::int64_t producer, bool is_part) {
        wire::RecordBatchBuilder builder;
        builder.from(producer, 0, 0).add("a", "first");
        if (is_part) builder.mark(wire::BatchHeader::transactional_bit);
        const auto parsed = wire::RecordBatch::parse(builder.build());
        return std::get<wire::RecordBatch>(parsed).stamped(Offset(offset), Term(1));
    };
    const KafkaBatches reader({{8, Offset(3), Offset(5)}, {7, Offset(10), Offset(20)}});
    const auto is_void = [&](std::int64_t offset, std::int64_t producer, bool is_part = true) {
        return reader.records_in(batch_at(offset, producer, is_part))->at(0).is_void;
    };
    CHECK(is_void(10, 7));
    CHECK(is_void(19, 7));
    CHECK_FALSE(is_void(9, 7));
    CHECK_FALSE(is_void(21, 7));
    CHECK_FALSE(is_void(12, 7, false));
    CHECK_FALSE(is_void(12, 8));
    CHECK(is_void(4, 8));
    const auto marker = wire::marker({7, 0, false}, 1, 5).stamped(Offset(20), Term(1));
    const auto records = reader.records_in(marker);
    REQUIRE(records);
    CHECK((records->size() == 1 && !records->at(0).key && records->at(0).deletes));
    CHECK(records->at(0).offset == Offset(20));
}
