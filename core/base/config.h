// core/base/config.h
//
// A setting is declared once and described once. Reading the file, the environment and the flags,
// --help, the reference, validation, and the simulator's choice of odd values all walk the same
// description:
//
//     struct LogConfig {
//         std::size_t segment_bytes = 128_MiB;
//         template <class Visitor>
//         void describe(Visitor& setting) {
//             setting("log.segment_bytes", segment_bytes, Bounds<std::size_t>{64_KiB, 1_GiB},
//                     "A segment that has grown to this size is sealed and the next one begun.");
//         }
//     };
//
// The bounds are not decoration: the simulator draws every setting from within them, so a bound
// that is too wide is found.
#pragma once

#include "core/base/random.h"
#include "core/base/time.h"
#include "core/base/types.h"

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog {

template <class T>
struct Bounds {
    T min, max;
};

// What a text setting may be, when not everything: for messages and for the reference.
struct AnyText {
    std::size_t bytes_max = 1024;
};

// A text with a form of its own: an address, a list. `format` must write what `parse` can read.
template <class T>
struct TextForm {
    std::optional<T> (*parse)(std::string_view text);
    std::string (*format)(const T& value);
    std::string_view example; // What it must look like.
};

// How values are written: 150ms, 7d; 64KiB, 10GiB; true, false. An answer of nothing means that the
// text is not of this kind.
std::optional<Duration> parse_duration(std::string_view text);
std::optional<std::uint64_t> parse_bytes(std::string_view text);
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<bool> parse_bool(std::string_view text);
std::string format_duration(Duration value);
std::string format_bytes(std::uint64_t value);

// One setting of a config, with its type forgotten. Refers into the config it was made from.
struct Setting {
    std::string name; // With its section: "raft.election_timeout".
    std::string help;
    std::string kind;          // "duration", "size", "integer", "bool" or "text".
    std::string bounds;        // "50ms to 60s".
    std::string default_value; // What it held when it was described.
    std::function<std::string()> get;
    // Empty if the value was taken; else what is wrong with it, in words that can follow its name.
    std::function<std::string(std::string_view)> set;
    // A value from within the bounds: often near an end, often near the default.
    std::function<void(Random&)> randomise;
};

// Sizes are std::size_t, counts are std::int64_t or int.
class SettingList {
public:
    void operator()(std::string_view name, Duration& value, Bounds<Duration> bounds,
                    std::string_view help);
    void operator()(std::string_view name, std::size_t& value, Bounds<std::size_t> bounds,
                    std::string_view help);
    void operator()(std::string_view name, std::int64_t& value, Bounds<std::int64_t> bounds,
                    std::string_view help);
    void operator()(std::string_view name, int& value, Bounds<int> bounds, std::string_view help);
    void operator()(std::string_view name, bool& value, std::string_view help);
    void operator()(std::string_view name, std::string& value, AnyText bounds,
                    std::string_view help);
    template <class T>
    void operator()(std::string_view name, T& value, TextForm<T> form, std::string_view help) {
        add_text(
            name, form.example, help, [&value, form] { return form.format(value); },
            [&value, form](std::string_view text) {
                std::optional<T> parsed = form.parse(text);
                if (parsed) value = std::move(*parsed);
                return parsed.has_value();
            });
    }

    std::vector<Setting> settings;

private:
    void add_text(std::string_view name, std::string_view example, std::string_view help,
                  std::function<std::string()> get, std::function<bool(std::string_view)> take);
};

// The settings of `config`, in the order of its description. `config` must outlive the list.
template <class Config>
std::vector<Setting> settings_of(Config& config) {
    SettingList list;
    config.describe(list);
    return std::move(list.settings);
}

// The one with this name, or null.
Setting* find_setting(std::vector<Setting>& settings, std::string_view name);

// The name that the user probably meant: nearest by edits, if near at all.
std::string nearest_setting(const std::vector<Setting>& settings, std::string_view name);

} // namespace pyralog
