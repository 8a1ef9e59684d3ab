// server/admin/json.h
//
// Writes JSON, front to back. Whoever uses it opens and closes in the right order; commas come by
// themselves.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>

namespace pyralog::server {

// As a string of JSON, with its quotes. Bytes that are no UTF-8 are shown as U+FFFD.
std::string json_quoted(std::string_view text);

class JsonWriter {
public:
    JsonWriter& begin_object() { return begin('{'); }
    JsonWriter& end_object() { return end('}'); }
    JsonWriter& begin_array() { return begin('['); }
    JsonWriter& end_array() { return end(']'); }
    JsonWriter& key(std::string_view name);

    JsonWriter& value(std::string_view text) { return raw(json_quoted(text)); }
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
    template <std::integral Int>
    JsonWriter& value(Int number) {
        return raw(std::to_string(number));
    }
    JsonWriter& null() { return raw("null"); }

    template <class Value>
    JsonWriter& field(std::string_view name, const Value& what) {
        return key(name).value(what);
    }
    // Null if there is none.
    template <class Value>
    JsonWriter& field(std::string_view name, const std::optional<Value>& what) {
        key(name);
        return what ? value(*what) : null();
    }

    std::string text() && { return std::move(text_) + '\n'; }

private:
    JsonWriter& begin(char bracket);
    JsonWriter& end(char bracket);
    JsonWriter& raw(std::string_view text);
    void separate();

    std::string text_;
    bool needs_comma_ = false;
};

} // namespace pyralog::server
