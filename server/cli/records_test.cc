// What `pyralog produce` makes of lines, and what `pyralog consume` shows of records.
#include "server/cli/compress.h"
#include "server/cli/lines.h"
#include "server/cli/progress.h"
#include "server/cli/record_text.h"
#include "server/kafka_batches.h"

#include <array>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::cli;

namespace {

// A pipe with a reader at its end.
struct Pipe {
    Pipe() { REQUIRE(::pipe(ends.data()) == 0); }
    ~Pipe() {
        close();
        ::close(ends[0]);
    }
    void write(std::string_view text) {
        REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    void close() {
        if (ends[1] >= 0) ::close(ends[1]);
        ends[1] = -1;
    }
    std::array<int, 2> ends{};
};

wire::Record record_of(std::optional<std::string_view> key, std::optional<std::string_view> value) {
    wire::Record record;
    record.offset = Offset(7);
    record.timestamp = 1'000;
    if (key) record.key = Bytes::copy_of(*key);
    if (value) record.value = Bytes::copy_of(*value);
    record.headers.push_back({"h", Bytes::copy_of("1")});
    record.headers.push_back({"none", {}});
    return record;
}

std::string shown(std::string_view format, const wire::Record& record) {
    const auto parsed = RecordFormat::parse(format);
    if (const auto* wrong = std::get_if<std::string>(&parsed)) return *wrong;
    std::string out;
    std::get<RecordFormat>(parsed).write(out, {"t", 3}, record);
    return out;
}

} // namespace

namespace {

NewRecord read_again(const std::string& line) {
    const auto read = record_of_json(line);
    INFO(line);
    if (const auto* wrong = std::get_if<std::string>(&read)) FAIL(*wrong);
    return std::get<NewRecord>(read);
}

std::string wrong_with(const std::string& line) {
    const auto read = record_of_json(line);
    const auto* wrong = std::get_if<std::string>(&read);
    return wrong ? *wrong : "nothing";
}

} // namespace

TEST_CASE("what is shown as JSON can be written again, whatever its bytes are", "[cli]") {
    rc::prop("key, value, headers, time and partition", [](const std::vector<std::uint8_t>& bytes) {
        const std::string text(bytes.begin(), bytes.end());
        const bool has_key = *rc::gen::arbitrary<bool>(), has_value = *rc::gen::arbitrary<bool>();
        wire::Record record;
        record.timestamp = *rc::gen::arbitrary<std::int64_t>();
        if (has_key) record.key = Bytes::copy_of(text);
        if (has_value) record.value = Bytes::copy_of("\xff" + text);
        record.headers = {{text, {}}, {"plain", Bytes::copy_of(text)}};
        const NewRecord again = read_again(json_of({"topic", 7}, record));
        RC_ASSERT(again.key == (has_key ? std::optional(text) : std::nullopt));
        RC_ASSERT(again.value == (has_value ? std::optional("\xff" + text) : std::nullopt));
        RC_ASSERT(again.timestamp == record.timestamp);
        RC_ASSERT(again.partition == 7);
        RC_ASSERT(again.headers.size() == 2u);
        RC_ASSERT((again.headers[0].key == text && !again.headers[0].value));
        RC_ASSERT(again.headers[1].value->text() == text);
    });
    const NewRecord least = read_again(R"({"value":"x"})");
    CHECK((least.value == "x" && !least.key && !least.timestamp && !least.partition));
}

TEST_CASE("a line that shows no record is refused, and it is said why", "[cli]") {
    CHECK(wrong_with("") == "is no object of JSON");
    CHECK(wrong_with("[]") == "is no object of JSON");
    CHECK(wrong_with("{\"value\":\"x\"") == "is no object of JSON");
    CHECK(wrong_with("{}") == "has no value: a text, null, or value_base64");
    CHECK(wrong_with(R"({"value":1})") == "has no value: a text, null, or value_base64");
    CHECK(wrong_with(R"({"value":"x","value_base64":""})") ==
          "has no value: a text, null, or value_base64");
    CHECK(wrong_with(R"({"value":null,"key":[]})") ==
          "has a key that is neither text nor null, or no base64");
    for (const std::string text : {"A", "AB!=", "AB", "ABC", "AAA=A"})
        CHECK(wrong_with(R"({"value":null,"key_base64":")" + text + "\"}") ==
              "has a key that is neither text nor null, or no base64");
    CHECK(wrong_with(R"({"value":null,"key_base64":"QUI"})") == "nothing");
    CHECK(wrong_with(R"({"value":null,"timestamp":"1"})") == "has a timestamp that is no number");
    CHECK(wrong_with(R"({"value":null,"partition":1.5})") == "has a partition that is no number");
    for (const std::string headers :
         {"1", "[1]", "[{}]", R"([{"key":null,"value":null}])", R"([{"key":"a","value":2}])"})
        CHECK(wrong_with(R"({"value":null,"headers":)" + headers + "}") ==
              "has headers that are not as consume --json shows them");
}

TEST_CASE("lines come whole, also from a pipe that gives them in pieces", "[cli]") {
    Pipe pipe;
    LineReader reader(pipe.ends[0]);
    CHECK_FALSE(reader.ready());
    pipe.write("one\ntw");
    CHECK(reader.ready());
    REQUIRE(reader.read().ok());
    CHECK(reader.next() == "one");
    CHECK_FALSE(reader.next());
    CHECK_FALSE(reader.ready());
    pipe.write("o\n\nend");
    REQUIRE(reader.read().ok());
    CHECK(reader.next() == "two");
    CHECK(reader.next() == "");
    CHECK(reader.line_number() == 3);
    CHECK_FALSE(reader.next());
    CHECK_FALSE(reader.ended());
    pipe.close();
    REQUIRE(reader.read().ok());
    CHECK_FALSE(reader.ended());
    CHECK(reader.next() == "end");
    CHECK(reader.ended());
    CHECK_FALSE(reader.next());
    CHECK(reader.bytes_read() == 12);
}

TEST_CASE("a key ends at the first separator", "[cli]") {
    CHECK_FALSE(split_line("a=b", {}).key);
    CHECK(split_line("a=b=c", "=").key == "a");
    CHECK(split_line("a=b=c", "=").value == "b=c");
    CHECK_FALSE(split_line("abc", "=").key);
    CHECK(split_line("abc", "=").value == "abc");
    CHECK(split_line("=x", "=").key == "");
}

TEST_CASE("keys go where Java's clients put them", "[cli]") {
    // The sums of Kafka's own tests, without their signs, modulo what tells them apart.
    const auto at = [](std::string_view key) { return partition_of_key(key, 1'000'003); };
    const auto expected = [](std::int32_t sum) { return (sum & 0x7fffffff) % 1'000'003; };
    CHECK(at("21") == expected(-973932308));
    CHECK(at("foobar") == expected(-790332482));
    CHECK(at("a-little-bit-long-string") == expected(-985981536));
    CHECK(at("a-little-bit-longer-string") == expected(-1486304829));
    CHECK(at("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8") == expected(-58897971));
    CHECK(at("abc") == expected(479470107));
}

TEST_CASE("what is compressed is what brokers read, and no larger", "[cli]") {
    wire::RecordBatchBuilder builder;
    for (int i = 0; i < 100; ++i) builder.add("key", "the same words again", 5);
    const auto parsed = wire::RecordBatch::parse(builder.build());
    const auto& batch = std::get<wire::RecordBatch>(parsed);
    for (const char* name : {"gzip", "snappy", "lz4", "zstd"}) {
        INFO(name);
        const auto compression = parse_compression(name);
        REQUIRE(compression);
        const auto taken = wire::RecordBatch::parse(compressed(batch, *compression));
        const auto* smaller = std::get_if<wire::RecordBatch>(&taken);
        REQUIRE(smaller);
        CHECK(smaller->header().compression() == *compression);
        CHECK(smaller->size() < batch.size() / 2);
        const auto again = server::plain(*smaller);
        REQUIRE(again);
        CHECK(again->bytes().text() == batch.bytes().text());
    }
    wire::RecordBatchBuilder one;
    one.add({}, "x");
    const auto small = wire::RecordBatch::parse(one.build());
    const auto& as_it_was = std::get<wire::RecordBatch>(small);
    CHECK(compressed(as_it_was, wire::Compression::gzip).text() == as_it_was.bytes().text());
    CHECK_FALSE(parse_compression("brotli"));
}

TEST_CASE("a record is shown as the format says", "[cli]") {
    const wire::Record record = record_of("k", "v");
    CHECK(shown("%s\\n", record) == "v\n");
    CHECK(shown("%t:%p@%o %k=%s %T %h 100%%\\t\\\\", record) ==
          "t:3@7 k=v 1000 h=1,none= 100%\t\\");
    CHECK(shown("%k|%s", record_of({}, {})) == "|");
    CHECK(shown("%x", record).starts_with("--format: there is no %x"));
    CHECK(shown("100%", record).starts_with("--format: there is no %"));
}

TEST_CASE("a record is a line of JSON, whatever its bytes are", "[cli]") {
    CHECK(json_of({"t", 3}, record_of("k", "a\"\n")) ==
          R"({"headers":[{"key":"h","value":"1"},{"key":"none","value":null}],"key":"k",)"
          R"("offset":7,"partition":3,"timestamp":1000,"topic":"t","value":"a\"\n"})");
    const std::string strange = json_of({"t", 3}, record_of({}, "\xff\x00\x01\x02"));
    CHECK(strange.find(R"("value_base64":"/w==")") != std::string::npos);
    CHECK(json_of({"t", 3}, record_of("\xc3\xa4", {})).find("\xc3\xa4") != std::string::npos);
    for (const char* broken : {"\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"})
        CHECK(json_of({"t", 3}, record_of(broken, {})).find("key_base64") != std::string::npos);
}

TEST_CASE("one begins at an offset, a time, or some time ago", "[cli]") {
    const WallTime now{10'000'000};
    const auto place = [&](std::string_view text) {
        const auto from = parse_from(text, now);
        return from ? std::optional(std::pair(from->kind, from->value)) : std::nullopt;
    };
    using Kind = From::Kind;
    CHECK(place("beginning") == std::pair(Kind::beginning, std::int64_t{0}));
    CHECK(place("end") == std::pair(Kind::end, std::int64_t{0}));
    CHECK(place("42") == std::pair(Kind::offset, std::int64_t{42}));
    CHECK(place("15m") == std::pair(Kind::time, std::int64_t{10'000'000 - 900'000}));
    CHECK(place("1970-01-02") == std::pair(Kind::time, std::int64_t{86'400'000}));
    CHECK(place("2026-11-23T21:00:00Z") == std::pair(Kind::time, std::int64_t{1'795'467'600'000}));
    for (const char* wrong : {"", "-1", "now", "2026-13-01", "2026-02-30", "2026-11-23T25:00:00Z",
                              "2026-11-23T21:00:00", "2026-11-23 21:00:00Z", "12x"})
        CHECK_FALSE(place(wrong));
}

TEST_CASE("a bar says how far it is, and how long it will take", "[cli]") {
    CHECK(progress_bar("t", 0, 100, 0s, 80) == "[" + std::string(30, '.') + "] 0 %  t");
    CHECK(progress_bar("t", 50, 100, 5s, 80) ==
          "[" + std::string(15, '#') + std::string(15, '.') + "] 50 %  t  5s left");
    CHECK(progress_bar("t", 200, 100, 5s, 80) == "[" + std::string(30, '#') + "] 100 %  t");
    CHECK(progress_bar("t", 7, 0, 5s, 80) == "t  7");
    CHECK(progress_bar("t", 50, 100, 5s, 10).size() == 9);
}
