#include "core/wire/codec.h"

#include <charconv>

namespace pyralog::wire {

void Reader::read_bool(bool& value) {
    std::uint8_t byte = 0;
    read_integer(byte);
    require(byte <= 1);
    value = byte == 1;
}

void Reader::read_uuid(Uuid& value) {
    value = Uuid();
    if (value.bytes.size() > remaining()) return fail();
    std::memcpy(value.bytes.data(), frame_.data() + at_, value.bytes.size());
    at_ += value.bytes.size();
}

// Forms that are longer than they need be are taken, as every Kafka broker takes them. What does
// not fit the width is refused, and so is a number that does not end.
std::uint64_t Reader::take_uvarint(int bits) {
    std::uint64_t value = 0;
    for (int shift = 0; shift < bits; shift += 7) {
        std::uint8_t byte = 0;
        read_integer(byte);
        const std::uint64_t part = byte & 0x7f;
        if (bits - shift < 7 && part >> (bits - shift) != 0) break;
        value |= part << shift;
        if ((byte & 0x80) == 0) return failed_ ? 0 : value;
    }
    fail();
    return 0;
}

std::optional<std::size_t> Reader::take_length(Prefix prefix) {
    std::int64_t length = 0;
    if (flexible) {
        length = static_cast<std::int64_t>(take_uvarint(32)) - 1;
    } else if (prefix == Prefix::string) {
        std::int16_t narrow = 0;
        read_integer(narrow);
        length = narrow;
    } else {
        std::int32_t narrow = 0;
        read_integer(narrow);
        length = narrow;
    }
    if (length < -1 || length > static_cast<std::int64_t>(remaining())) fail();
    if (prefix == Prefix::string && length > static_cast<std::int64_t>(string_size_max)) fail();
    if (failed_ || length == -1) return std::nullopt;
    return static_cast<std::size_t>(length);
}

void Reader::read_string(std::string& value, std::size_t size) {
    value.assign(frame_.text().substr(at_, size));
    at_ += size;
}

Bytes Reader::take(std::size_t size) {
    if (size > remaining()) fail();
    if (failed_) return {};
    Bytes slice = frame_.slice(at_, size);
    at_ += size;
    return slice;
}

BytesChain MemorySink::finish() && {
    CHECK(at_ == buffer_.size());
    const Bytes copied = std::move(buffer_).freeze();
    BytesChain chain;
    chain.reserve(2 * shared_.size() + 2); // One of them for a header that comes in front.
    std::size_t from = 0;
    for (Shared& shared : shared_) {
        if (shared.at > from) chain.push_back(copied.slice(from, shared.at - from));
        chain.push_back(std::move(shared.bytes));
        from = shared.at;
    }
    if (copied.size() > from) chain.push_back(copied.slice(from, copied.size() - from));
    return chain;
}

void Printer::word(std::string_view text) {
    if (full()) return;
    const char previous = text_.empty() ? '{' : text_.back();
    if (previous != '{' && previous != '[' && previous != '=') text_ += ' ';
    text_ += text;
}

void Printer::open(char bracket) { word(std::string_view(&bracket, 1)); }

void Printer::print_signed(std::int64_t value) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    word({digits.data(), end});
}

void Printer::print_unsigned(std::uint64_t value) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    word({digits.data(), end});
}

void Printer::print_string(std::string_view value) {
    std::string shown = "\"";
    for (const char c : value.substr(0, string_shown_max)) {
        const bool is_plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
        shown += is_plain ? c : '?';
    }
    shown += value.size() > string_shown_max ? "\"..." : "\"";
    word(shown);
}

void Printer::print_size(std::size_t bytes) { word("<" + std::to_string(bytes) + " bytes>"); }

void Printer::print_uuid(const Uuid& value) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : value.bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    word(text);
}

void Printer::print_count_left_out(std::size_t count) {
    word("+" + std::to_string(count) + " more");
}

std::string Printer::text() && {
    if (text_.size() > text_size_max) {
        text_.resize(text_size_max);
        text_ += "...";
    }
    return std::move(text_);
}

} // namespace pyralog::wire
