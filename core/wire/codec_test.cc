#include "core/wire/codec.h"

#include "core/wire/golden_test.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <limits>

using namespace pyralog;
using namespace pyralog::wire;

namespace {

enum class Colour : std::int16_t { red = 1, blue = -2 };

struct Inner {
    std::int32_t number = 0;
    std::string name;
    bool operator==(const Inner&) const = default;
};

template <class Codec>
void describe(Codec& field, Inner& i) {
    field(i.number, i.name);
    field.tags();
}

// One field of each kind.
struct Everything {
    bool yes = false;
    std::int8_t small = 0;
    std::uint64_t large = 0;
    Colour colour = Colour::red;
    Term term;
    Position place;
    Uuid id;
    std::string name;
    std::optional<std::string> nickname;
    std::vector<std::int32_t> numbers;
    std::vector<Inner> inners;
    std::optional<std::vector<Inner>> perhaps_inners;
    std::optional<Inner> perhaps_inner;
    std::optional<NodeId> perhaps_node;
    std::int32_t zigzag = 0;
    std::int64_t long_zigzag = 0;
    std::string tagged;
    std::int32_t tagged_number = 7;
    bool operator==(const Everything&) const = default;
};

template <class Codec>
void describe(Codec& field, Everything& e) {
    field(e.yes, e.small, e.large, e.colour, e.term, e.place, e.id, e.name, e.nickname);
    field(e.numbers, e.inners, e.perhaps_inners, e.perhaps_inner, e.perhaps_node);
    field.varint(e.zigzag);
    field.varlong(e.long_zigzag);
    field.tags(tag(1, e.tagged, !e.tagged.empty()), tag(5, e.tagged_number, e.tagged_number != 7));
}

struct Records {
    std::int16_t partition = 0;
    std::optional<BytesChain> records;
    Bytes trailer;
};

template <class Codec>
void describe(Codec& field, Records& r) {
    field(r.partition, r.records, r.trailer);
    field.tags();
}

Bytes bytes_in(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return Bytes::copy_of(text);
}

Everything example() {
    Everything e;
    e.yes = true;
    e.small = -2;
    e.large = 0x0102030405060708;
    e.colour = Colour::blue;
    e.term = Term(3);
    e.place = {4, Offset(5)};
    e.id.bytes[15] = 9;
    e.name = "abc";
    e.nickname = "";
    e.numbers = {1, -1};
    e.inners = {{7, "x"}, {8, ""}};
    e.perhaps_inner = Inner{1, "y"};
    e.zigzag = -65;
    e.long_zigzag = std::numeric_limits<std::int64_t>::min();
    e.tagged = "t";
    return e;
}

Everything arbitrary() {
    Everything e;
    e.yes = *rc::gen::arbitrary<bool>();
    e.small = *rc::gen::arbitrary<std::int8_t>();
    e.large = *rc::gen::arbitrary<std::uint64_t>();
    e.term = Term(*rc::gen::arbitrary<std::int32_t>());
    e.place = {*rc::gen::arbitrary<std::int64_t>(), Offset(*rc::gen::arbitrary<std::int64_t>())};
    e.name = *rc::gen::arbitrary<std::string>();
    if (*rc::gen::arbitrary<bool>()) e.nickname = *rc::gen::arbitrary<std::string>();
    e.numbers = *rc::gen::arbitrary<std::vector<std::int32_t>>();
    for (const std::int32_t number : e.numbers) e.inners.push_back({number, e.name});
    if (*rc::gen::arbitrary<bool>()) e.perhaps_inners = e.inners;
    if (*rc::gen::arbitrary<bool>()) e.perhaps_inner = Inner{1, e.name};
    if (*rc::gen::arbitrary<bool>()) e.perhaps_node = NodeId(2);
    e.zigzag = *rc::gen::arbitrary<std::int32_t>();
    e.long_zigzag = *rc::gen::arbitrary<std::int64_t>();
    return e;
}

} // namespace

TEST_CASE("each kind of field has its bytes", "[wire]") {
    CHECK(hex_of(encode(std::int32_t(-2))) == "fffffffe");
    CHECK(hex_of(encode(std::uint16_t(0x1234))) == "1234");
    CHECK(hex_of(encode(true)) == "01");
    CHECK(hex_of(encode(Colour::blue)) == "fffe");
    CHECK(hex_of(encode(Offset(258))) == "0000000000000102");
    CHECK(hex_of(encode(Position{1, Offset(2)})) == "00000000000000010000000000000002");
    CHECK(hex_of(encode(std::string("ab"))) == "00026162");
    CHECK(hex_of(encode(std::string("ab"), 0, true)) == "036162");
    CHECK(hex_of(encode(std::optional<std::string>())) == "ffff");
    CHECK(hex_of(encode(std::optional<std::string>(), 0, true)) == "00");
    CHECK(hex_of(encode(Bytes::copy_of("ab"))) == "000000026162");
    CHECK(hex_of(encode(Bytes::copy_of("ab"), 0, true)) == "036162");
    CHECK(hex_of(encode(std::optional<Bytes>())) == "ffffffff");
    CHECK(hex_of(encode(std::vector<std::int16_t>{1, 2})) == "0000000200010002");
    CHECK(hex_of(encode(std::vector<std::int16_t>{1, 2}, 0, true)) == "0300010002");
    CHECK(hex_of(encode(std::optional<std::vector<std::int16_t>>())) == "ffffffff");
    CHECK(hex_of(encode(std::optional<NodeId>())) == "ff");
    CHECK(hex_of(encode(std::optional<NodeId>(NodeId(3)))) == "0100000003");
    CHECK(hex_of(encode(Inner{1, "x"}, 0, true)) == "00000001027800");
}

TEST_CASE("a message of every kind of field has the bytes it had", "[wire]") {
    for (const bool flexible : {false, true}) {
        const std::string_view name = flexible ? "codec_compact" : "codec_plain";
        const Bytes encoded = encode(example(), 0, flexible);
        CHECK(hex_of(encoded) == golden(name, encoded));
    }
}

TEST_CASE("a message of every kind of field comes back", "[wire]") {
    for (const bool flexible : {false, true}) {
        Everything e = example();
        if (!flexible) e.tagged.clear(); // Only the flexible form has a section for it.
        const Bytes encoded = encode(e, 3, flexible);
        CHECK(encoded.size() == encoded_size(e, 3, flexible));
        const Result<Everything> decoded = decode<Everything>(encoded, 3, flexible);
        REQUIRE(decoded.ok());
        CHECK(decoded.value() == e);
    }
    rc::prop("an arbitrary message comes back", [](bool flexible) {
        const Everything e = arbitrary();
        const Result<Everything> decoded = decode<Everything>(encode(e, 0, flexible), 0, flexible);
        RC_ASSERT(decoded.ok());
        RC_ASSERT(decoded.value() == e);
    });
}

TEST_CASE("no truncation of a message is taken for one", "[wire]") {
    for (const bool flexible : {false, true}) {
        const Bytes whole = encode(example(), 0, flexible);
        for (std::size_t size = 0; size < whole.size(); ++size) {
            // A copy, so that a read past its end is one past the end of its memory.
            const Bytes part = Bytes::copy_of(whole.view().first(size));
            const Result<Everything> decoded = decode<Everything>(part, 0, flexible);
            REQUIRE_FALSE(decoded.ok());
            CHECK(decoded.error() == Error::malformed);
        }
    }
}

TEST_CASE("bytes after the message make it malformed", "[wire]") {
    CHECK_FALSE(decode<std::int16_t>(bytes_in({0, 1, 2})).ok());
}

TEST_CASE("a reader that has failed reads zeros", "[wire]") {
    Reader reader(bytes_in({0, 1}));
    std::int32_t number = 7;
    bool yes = true;
    std::optional<std::string> text = "old";
    Uuid id;
    id.bytes[0] = 1;
    reader(number, yes, text, id);
    CHECK(number == 0);
    CHECK_FALSE(yes);
    CHECK_FALSE(text.has_value());
    CHECK(id.is_zero());
    CHECK_FALSE(reader.ok());
    CHECK_FALSE(reader.complete());
    CHECK(reader.rest().empty());
}

TEST_CASE("a count or a length that lies takes no memory", "[wire]") {
    const Bytes two_gib = bytes_in({0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0});
    CHECK_FALSE(decode<std::vector<Everything>>(two_gib).ok());
    CHECK_FALSE(decode<std::vector<std::int8_t>>(two_gib).ok());
    CHECK_FALSE(decode<Bytes>(two_gib).ok());
    const Bytes compact = bytes_in({0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0});
    CHECK_FALSE(decode<std::vector<Everything>>(compact, 0, true).ok());
    CHECK_FALSE(decode<std::string>(compact, 0, true).ok());
    CHECK_FALSE(decode<Inner>(compact, 0, true).ok());

    // A count that the size of the frame allows, of elements that are not there: what is made is in
    // proportion to what was read.
    std::string frame(1_MiB, '\xff');
    frame.replace(0, 4, std::string("\x00\x0f\xff\xf0", 4));
    Reader reader(Bytes::copy_of(frame));
    std::vector<std::vector<std::string>> nested;
    reader(nested);
    CHECK_FALSE(reader.complete());
    CHECK(nested.capacity() <= 64);
}

TEST_CASE("a message of very many elements is refused", "[wire]") {
    // Of one byte each on the wire, and of many in memory.
    const std::vector<std::string> most(Reader::elements_max);
    const Bytes encoded = encode(most, 0, true);
    CHECK(decode<std::vector<std::string>>(encoded, 0, true).ok());
    std::vector<std::vector<std::string>> more(2);
    more[0] = more[1] = std::vector<std::string>(Reader::elements_max / 2);
    CHECK_FALSE(decode<std::vector<std::vector<std::string>>>(encode(more)).ok());
}

TEST_CASE("negative lengths are refused, but for the one that says none", "[wire]") {
    CHECK_FALSE(decode<std::string>(bytes_in({0xff, 0xff})).ok());
    CHECK(decode<std::optional<std::string>>(bytes_in({0xff, 0xff})).ok());
    CHECK_FALSE(decode<std::optional<std::string>>(bytes_in({0xff, 0xfe})).ok());
    CHECK_FALSE(decode<std::string>(bytes_in({0}), 0, true).ok());
    CHECK_FALSE(decode<std::optional<Inner>>(bytes_in({0})).ok());
    CHECK_FALSE(decode<bool>(bytes_in({2})).ok());
}

TEST_CASE("a string longer than Kafka allows is refused in either form", "[wire]") {
    const std::string longest(string_size_max, 'x');
    CHECK(decode<std::string>(encode(longest, 0, true), 0, true).ok());
    const Bytes longer = encode(Bytes::copy_of(longest + "x"), 0, true);
    CHECK_FALSE(decode<std::string>(longer, 0, true).ok());
}

TEST_CASE("a varint may be longer than it need be, but not wider than its type", "[wire]") {
    const auto uvarint = [](Bytes bytes, bool wide) -> std::optional<std::uint64_t> {
        Reader reader(std::move(bytes));
        std::uint32_t narrow_value = 0;
        std::uint64_t value = 0;
        if (wide) {
            reader.uvarint(value);
        } else {
            reader.uvarint(narrow_value);
            value = narrow_value;
        }
        return reader.complete() ? std::optional(value) : std::nullopt;
    };
    CHECK(uvarint(bytes_in({0x80, 0x00}), false) == 0u);
    CHECK(uvarint(bytes_in({0xff, 0xff, 0xff, 0xff, 0x0f}), false) == 0xffffffffu);
    CHECK(uvarint(bytes_in({0xff, 0xff, 0xff, 0xff, 0x1f}), false) == std::nullopt);
    CHECK(uvarint(bytes_in({0x80, 0x80, 0x80, 0x80, 0x80, 0x00}), false) == std::nullopt);
    CHECK(uvarint(bytes_in({255, 255, 255, 255, 255, 255, 255, 255, 255, 1}), true) == UINT64_MAX);
    CHECK(uvarint(bytes_in({255, 255, 255, 255, 255, 255, 255, 255, 255, 2}), true) ==
          std::nullopt);
    CHECK(uvarint(bytes_in({0x80}), true) == std::nullopt);
}

TEST_CASE("unknown tagged fields are skipped", "[wire]") {
    Everything e;
    Bytes encoded = encode(e, 0, true);
    REQUIRE(encoded.text().back() == '\0'); // An empty section.
    const BytesChain with_tags{encoded.slice(0, encoded.size() - 1),
                               bytes_in({4, 0, 1, 99, 1, 2, 2, 't', 3, 0, 9, 2, 1, 2})};
    const Result<Everything> decoded = decode<Everything>(joined(with_tags), 0, true);
    REQUIRE(decoded.ok());
    CHECK(decoded.value().tagged == "t");
    CHECK(decoded.value().tagged_number == 7);
}

TEST_CASE("a tag section that is not in order, or whose sizes lie, is refused", "[wire]") {
    const auto decodes = [](std::initializer_list<int> section) {
        const Bytes encoded = encode(Everything(), 0, true);
        const BytesChain chain{encoded.slice(0, encoded.size() - 1), bytes_in(section)};
        return decode<Everything>(joined(chain), 0, true).ok();
    };
    CHECK(decodes({0}));
    CHECK(decodes({1, 3, 0}));
    CHECK_FALSE(decodes({2, 3, 0, 3, 0}));                      // Twice.
    CHECK_FALSE(decodes({2, 3, 0, 2, 0}));                      // Falling.
    CHECK_FALSE(decodes({1, 3, 1}));                            // Beyond the end.
    CHECK_FALSE(decodes({1, 1, 3, 2, 't', 0}));                 // Longer than its value.
    CHECK_FALSE(decodes({1, 1, 1, 2, 't'}));                    // Shorter.
    CHECK_FALSE(decodes({0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1})); // As many as there are numbers.
}

TEST_CASE("large bytes are shared with what is written, small ones are copied", "[wire]") {
    const Bytes large = Bytes::copy_of(std::string(5000, 'r'));
    const Bytes small = Bytes::copy_of("small");
    for (const bool flexible : {false, true}) {
        const Records message{1, BytesChain{large, small, large}, large};
        const BytesChain chain = encode_chain(message, 0, flexible);
        const Bytes whole = encode(message, 0, flexible);
        CHECK(joined(chain).text() == whole.text());
        std::size_t shared = 0;
        for (const Bytes& part : chain) shared += part.data() == large.data();
        CHECK(shared == 3);

        const Result<Records> decoded = decode<Records>(whole, 0, flexible);
        REQUIRE(decoded.ok());
        REQUIRE(decoded.value().records.has_value());
        const BytesChain records{large, small, large};
        CHECK(joined(*decoded.value().records).text() == joined(records).text());
        // A slice of the frame.
        CHECK(decoded.value().trailer.data() > whole.data());
        CHECK(decoded.value().trailer.data() < whole.data() + whole.size());
    }
    CHECK(joined(encode_chain(Records{})).text() == encode(Records{}).text());
}

TEST_CASE("a part may have a form of its own", "[wire]") {
    Reader reader(bytes_in({0, 1, 'a', 2, 'b', 0, 1, 'c'}));
    std::string a, b, c;
    reader(a);
    reader.as({1, true}, b);
    reader(c);
    CHECK(reader.complete());
    CHECK(a + b + c == "abc");
}

TEST_CASE("a message prints as one bounded line", "[wire]") {
    CHECK(to_text(example(), 0, true) ==
          "{true -2 72623859790382856 -2 3 {4 5} 00000000000000000000000000000009 \"abc\" \"\" "
          "[1 -1] [{7 \"x\"} {8 \"\"}] none {1 \"y\"} none -65 -9223372036854775808 #1=\"t\"}");
    CHECK(to_text(Records{1, std::nullopt, Bytes::copy_of("ab")}) == "{1 none <2 bytes>}");
    CHECK(to_text(std::vector<std::int32_t>(20)) == "[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 +4 more]");
    CHECK(to_text(std::string("a\n\"")) == "\"a??\"");
    const std::vector<std::string> much(16, std::string(1000, 'x'));
    CHECK(to_text(std::vector(16, much)).size() <= Printer::text_size_max + 3);
}
