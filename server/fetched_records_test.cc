#include "server/fetched_records.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using wire::kafka::FetchResponse;

namespace {

constexpr std::size_t plenty = 1_MiB;

// A batch of records with these values, whose first one has this offset.
Bytes batch(std::int64_t first, std::initializer_list<std::string_view> values,
            std::int64_t producer = -1, std::int16_t attributes = 0, std::string_view key = {}) {
    wire::RecordBatchBuilder builder;
    for (const std::string_view value : values)
        builder.add(key.empty() ? std::nullopt : std::optional(key), value);
    Bytes plain = builder.build();
    auto parsed = wire::RecordBatch::take_first(plain);
    const auto& made = std::get<wire::RecordBatch>(parsed);
    wire::BatchHeader header = made.header();
    header.base_offset = Offset(first);
    header.producer_id = producer;
    header.producer_epoch = static_cast<std::int16_t>(producer < 0 ? -1 : 0);
    const bool has_sequence = producer >= 0 && (attributes & wire::BatchHeader::control_bit) == 0;
    header.base_sequence = has_sequence ? 0 : -1;
    header.attributes = attributes;
    constexpr std::size_t head = wire::BatchHeader::size;
    return wire::assemble(header, made.bytes().slice(head, made.size() - head));
}

Bytes in_transaction(std::int64_t first, std::int64_t producer, std::string_view value) {
    return batch(first, {value}, producer, wire::BatchHeader::transactional_bit);
}

Bytes marker(std::int64_t at, std::int64_t producer, bool commits) {
    constexpr std::int16_t bits =
        wire::BatchHeader::transactional_bit | wire::BatchHeader::control_bit;
    const std::string key{'\0', '\0', '\0', commits ? '\1' : '\0'};
    return batch(at, {"......"}, producer, bits, key);
}

std::vector<std::string> values_in(const FetchResponse::Partition& answer, std::int64_t from = 0) {
    const auto found = records_in(answer, Offset(from), plenty);
    REQUIRE(found.ok());
    std::vector<std::string> values;
    for (const wire::Record& record : found.value().records)
        values.emplace_back(record.value->text());
    return values;
}

using Values = std::vector<std::string>;

} // namespace

TEST_CASE("records are found from the offset on, in the middle of a batch", "[server]") {
    FetchResponse::Partition answer;
    answer.records = {batch(5, {"five", "six", "seven"}), batch(8, {"eight"})};
    CHECK(values_in(answer) == Values{"five", "six", "seven", "eight"});
    CHECK(values_in(answer, 7) == Values{"seven", "eight"});
    const auto found = records_in(answer, Offset(6), plenty);
    CHECK(found.value().records.front().offset == Offset(6));
    CHECK(found.value().next == Offset(9));
}

TEST_CASE("an answer without records leads nowhere else", "[server]") {
    FetchResponse::Partition answer;
    CHECK(records_in(answer, Offset(3), plenty).value().next == Offset(3));
    answer.records = BytesChain();
    CHECK(records_in(answer, Offset(3), plenty).value().next == Offset(3));
}

TEST_CASE("unpacking stops when there is enough, behind a batch", "[server]") {
    FetchResponse::Partition answer;
    answer.records = {batch(0, {"zero", "one"}), batch(2, {"two"}), batch(3, {"three"})};
    const auto found = records_in(answer, Offset(0), 1);
    CHECK(found.value().records.size() == 2);
    CHECK(found.value().next == Offset(2));
}

TEST_CASE("what is no batch, or cannot be unpacked, is told", "[server]") {
    FetchResponse::Partition answer;
    answer.records = {batch(0, {"zero"}), Bytes::copy_of("no batch at all")};
    CHECK(records_in(answer, Offset(0), plenty).error() == Error::malformed);
    constexpr std::int16_t zstd = 4;
    answer.records = {batch(0, {"not compressed, but for its word"}, -1, zstd)};
    CHECK(records_in(answer, Offset(0), plenty).error() == Error::malformed);
}

TEST_CASE("aborted transactions and markers are passed over, and nothing else", "[server]") {
    FetchResponse::Partition answer;
    answer.records = {in_transaction(0, 1, "aborted"),
                      in_transaction(1, 2, "committed"),
                      batch(2, {"plain"}, 1),
                      in_transaction(3, 1, "aborted as well"),
                      marker(4, 1, false),
                      marker(5, 2, true),
                      in_transaction(6, 1, "later"),
                      marker(7, 1, true),
                      in_transaction(8, 2, "again"),
                      marker(9, 2, false)};
    answer.aborted_transactions = {{2, 8}, {1, 0}};
    CHECK(values_in(answer) == Values{"committed", "plain", "later"});
    CHECK(records_in(answer, Offset(0), plenty).value().next == Offset(10));
    // It began before what was asked for.
    answer.records = {in_transaction(3, 1, "aborted as well"), marker(4, 1, false)};
    CHECK(values_in(answer, 3).empty());
    // Who asks for all gets no list.
    answer.aborted_transactions.reset();
    CHECK(values_in(answer, 3) == Values{"aborted as well"});
}
