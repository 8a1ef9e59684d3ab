#include "server/cli/record_text.h"

#include "core/base/config.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>

namespace pyralog::cli {

namespace {

using Json = nlohmann::json;

std::string_view text_or_empty(const std::optional<Bytes>& bytes) {
    return bytes ? bytes->text() : std::string_view();
}

std::string headers_of(const wire::Record& record) {
    std::string text;
    for (const wire::RecordHeader& header : record.headers) {
        text += (text.empty() ? "" : ",") + header.key + '=';
        text += text_or_empty(header.value);
    }
    return text;
}

char escape_of(char c) {
    switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case '0': return '\0';
    default: return c;
    }
}

} // namespace

std::variant<RecordFormat, std::string> RecordFormat::parse(std::string_view text) {
    RecordFormat format;
    const auto literal = [&](char c) {
        if (format.pieces_.empty() || format.pieces_.back().letter != 0)
            format.pieces_.push_back({0, ""});
        format.pieces_.back().text += c;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (text[i] == '\\' && i + 1 < text.size()) {
            literal(escape_of(next));
            ++i;
        } else if (text[i] == '%') {
            if (next == '%')
                literal('%');
            else if (next != '\0' &&
                     std::string_view("sktpoTh").find(next) != std::string_view::npos)
                format.pieces_.push_back({next, ""});
            else
                return "--format: there is no %" + std::string(next == '\0' ? 0 : 1, next) +
                       ": it may be %s, %k, %t, %p, %o, %T, %h or %%";
            ++i;
        } else {
            literal(text[i]);
        }
    }
    return format;
}

void RecordFormat::write(std::string& out, const PartitionName& partition,
                         const wire::Record& record) const {
    for (const Piece& piece : pieces_) {
        switch (piece.letter) {
        case 's': out += text_or_empty(record.value); break;
        case 'k': out += text_or_empty(record.key); break;
        case 't': out += partition.topic; break;
        case 'p': out += std::to_string(partition.partition); break;
        case 'o': out += std::to_string(record.offset.value); break;
        case 'T': out += std::to_string(record.timestamp); break;
        case 'h': out += headers_of(record); break;
        default: out += piece.text; break;
        }
    }
}

namespace {

// Sequences of more than one byte must be whole, as short as they can be, and no surrogates.
bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t size = lead < 0x80   ? 1
                                 : lead < 0xc2 ? 0
                                 : lead < 0xe0 ? 2
                                 : lead < 0xf0 ? 3
                                 : lead < 0xf5 ? 4
                                               : 0;
        if (size == 0 || i + size > text.size()) return false;
        for (std::size_t j = 1; j < size; ++j) {
            const auto byte = static_cast<unsigned char>(text[i + j]);
            unsigned min = 0x80, max = 0xbf;
            if (j == 1 && lead == 0xe0) min = 0xa0;
            if (j == 1 && lead == 0xed) max = 0x9f;
            if (j == 1 && lead == 0xf0) min = 0x90;
            if (j == 1 && lead == 0xf4) max = 0x8f;
            if (byte < min || byte > max) return false;
        }
        i += size;
    }
    return true;
}

constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64(std::string_view bytes) {
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group =
                group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j)
            text += i + j > bytes.size() ? '=' : base64_digits[group >> (18 - 6 * j) & 63];
    }
    return text;
}

void put(Json& object, const std::string& name, const std::optional<Bytes>& bytes) {
    if (!bytes)
        object[name] = nullptr;
    else if (is_utf8(bytes->text()))
        object[name] = bytes->text();
    else
        object[name + "_base64"] = base64(bytes->text());
}

} // namespace

std::string json_of(const PartitionName& partition, const wire::Record& record) {
    Json object{{"topic", partition.topic},
                {"partition", partition.partition},
                {"offset", record.offset.value},
                {"timestamp", record.timestamp},
                {"headers", Json::array()}};
    put(object, "key", record.key);
    put(object, "value", record.value);
    for (const wire::RecordHeader& header : record.headers) {
        Json& one = object["headers"].emplace_back();
        put(one, "key", Bytes::copy_of(header.key));
        put(one, "value", header.value);
    }
    return object.dump();
}

namespace {

// With or without what fills up the last four letters.
std::optional<std::string> from_base64(std::string_view text) {
    while (text.ends_with('=')) text.remove_suffix(1);
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto digit = base64_digits.find(c);
        if (digit == std::string_view::npos) return {};
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes += static_cast<char>(bits >> count & 0xff);
    }
    // A letter by itself says nothing, and what is left over must be nothing, too.
    if (count >= 6 || (bits & ((1u << count) - 1)) != 0) return {};
    return bytes;
}

struct Taken {
    bool is_there = false;
    std::optional<std::string> text;
};

// What put() has put. Nothing: it is something else.
std::optional<Taken> take(const Json& object, const std::string& name) {
    const auto plain = object.find(name), coded = object.find(name + "_base64");
    if (plain != object.end() && coded != object.end()) return {};
    if (coded != object.end()) {
        if (!coded->is_string()) return {};
        auto bytes = from_base64(coded->get_ref<const std::string&>());
        if (!bytes) return {};
        return Taken{true, std::move(bytes)};
    }
    if (plain == object.end()) return Taken{};
    if (plain->is_null()) return Taken{true, {}};
    if (!plain->is_string()) return {};
    return Taken{true, plain->get<std::string>()};
}

std::optional<std::vector<wire::RecordHeader>> take_headers(const Json& all) {
    std::vector<wire::RecordHeader> headers;
    if (!all.is_array()) return {};
    for (const Json& one : all) {
        if (!one.is_object()) return {};
        const auto key = take(one, "key"), value = take(one, "value");
        if (!key || !key->text || !value) return {};
        headers.push_back({*key->text, {}});
        if (value->text) headers.back().value = Bytes::copy_of(*value->text);
    }
    return headers;
}

} // namespace

std::variant<NewRecord, std::string> record_of_json(std::string_view line) {
    const Json object = Json::parse(line, nullptr, false);
    if (!object.is_object()) return "is no object of JSON";
    NewRecord record;
    auto key = take(object, "key"), value = take(object, "value");
    if (!key) return "has a key that is neither text nor null, or no base64";
    if (!value || !value->is_there) return "has no value: a text, null, or value_base64";
    record.key = std::move(key->text);
    record.value = std::move(value->text);
    for (const auto& [name, field] : {std::pair("timestamp", &NewRecord::timestamp),
                                      std::pair("partition", &NewRecord::partition)}) {
        const auto number = object.find(name);
        if (number == object.end()) continue;
        if (!number->is_number_integer())
            return std::string("has a ") + name + " that is no number";
        record.*field = number->get<std::int64_t>();
    }
    if (const auto all = object.find("headers"); all != object.end()) {
        auto headers = take_headers(*all);
        if (!headers) return "has headers that are not as consume --json shows them";
        record.headers = std::move(*headers);
    }
    return record;
}

namespace {

// "2026-11-23T21:00:00Z", or a day alone.
std::optional<std::int64_t> parse_date(const std::string& text) {
    int year = 0, hour = 0, minute = 0, second = 0, used = 0;
    unsigned month = 0, day = 0;
    const int found = std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &used);
    if (found != 3) return {};
    if (static_cast<std::size_t>(used) != text.size()) {
        const std::string rest = text.substr(static_cast<std::size_t>(used));
        int used_of_rest = 0;
        if (std::sscanf(rest.c_str(), "T%2d:%2d:%2dZ%n", &hour, &minute, &second, &used_of_rest) !=
                3 ||
            static_cast<std::size_t>(used_of_rest) != rest.size())
            return {};
    }
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                           std::chrono::day(day)};
    if (!date.ok() || hour > 23 || minute > 59 || second > 60) return {};
    const auto days = std::chrono::sys_days(date).time_since_epoch();
    const auto time = days + std::chrono::hours(hour) + std::chrono::minutes(minute) +
                      std::chrono::seconds(second);
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

} // namespace

std::optional<From> parse_from(std::string_view text, WallTime now) {
    using Kind = From::Kind;
    if (text == "beginning") return From{Kind::beginning, 0};
    if (text == "end") return From{Kind::end, 0};
    if (const auto number = parse_integer(text)) {
        if (*number < 0) return {};
        return From{Kind::offset, *number};
    }
    if (const auto ago = parse_duration(text)) {
        if (*ago < Duration(0)) return {};
        return From{Kind::time, now.unix_ms - *ago / 1ms};
    }
    if (const auto date = parse_date(std::string(text))) return From{Kind::time, *date};
    return {};
}

} // namespace pyralog::cli
