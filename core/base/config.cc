#include "core/base/config.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace pyralog {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// Largest first, which is the order in which a value is written.
constexpr std::array<Unit, 7> duration_units{{{"d", 86'400'000'000'000},
                                              {"h", 3'600'000'000'000},
                                              {"m", 60'000'000'000},
                                              {"s", 1'000'000'000},
                                              {"ms", 1'000'000},
                                              {"us", 1'000},
                                              {"ns", 1}}};
constexpr std::array<Unit, 5> byte_units{{{"TiB", std::uint64_t{1} << 40},
                                          {"GiB", std::uint64_t{1} << 30},
                                          {"MiB", std::uint64_t{1} << 20},
                                          {"KiB", std::uint64_t{1} << 10},
                                          {"B", 1}}};

// Whole numbers with a unit, no fraction: what is written is what is meant.
template <std::size_t N>
std::optional<std::uint64_t> parse_with_unit(std::string_view text,
                                             const std::array<Unit, N>& units) {
    std::uint64_t number = 0;
    const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc()) return {};
    const std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
    for (const Unit& u : units) {
        if (u.name != unit) continue;
        std::uint64_t product = 0;
        if (__builtin_mul_overflow(number, u.factor, &product)) return {};
        if (product > static_cast<std::uint64_t>(INT64_MAX)) return {};
        return product;
    }
    return {};
}

template <std::size_t N>
std::string format_with_unit(std::uint64_t value, const std::array<Unit, N>& units) {
    if (value == 0) return "0" + std::string(units.back().name);
    for (const Unit& u : units)
        if (value % u.factor == 0) return std::to_string(value / u.factor) + std::string(u.name);
    return std::to_string(value);
}

// Edges find bugs: half of the draws are the smallest, the largest or a near neighbour of those;
// the rest are spread over the orders of magnitude.
std::int64_t odd_value(Random& random, std::int64_t min, std::int64_t max) {
    switch (random.below(4)) {
    case 0: return min;
    case 1: return random.chance(1, 2) ? max : std::max(min, max - 1);
    default: break;
    }
    const std::uint64_t span = static_cast<std::uint64_t>(max - min);
    std::uint64_t width = 1;
    const std::uint64_t magnitude = random.below(63);
    width <<= magnitude;
    return min + static_cast<std::int64_t>(random.below(std::min(span, width) + 1));
}

template <class T>
std::string outside(const std::string& given, T min, T max, std::string (*format)(T)) {
    return "is " + given + ", but must be from " + format(min) + " to " + format(max);
}

std::string format_count(std::int64_t value) { return std::to_string(value); }
std::string format_size(std::size_t value) { return format_bytes(value); }

template <class T>
void add(std::vector<Setting>& settings, std::string_view name, std::string_view kind, T& value,
         Bounds<T> bounds, std::string_view help, std::string (*format)(T),
         std::optional<T> (*parse)(std::string_view), std::string_view example) {
    CHECK(bounds.min <= value && value <= bounds.max);
    Setting setting;
    setting.name = name;
    setting.help = help;
    setting.kind = kind;
    setting.bounds = format(bounds.min) + " to " + format(bounds.max);
    setting.default_value = format(value);
    setting.get = [&value, format] { return format(value); };
    setting.set = [&value, bounds, format, parse,
                   example = std::string(example)](std::string_view text) -> std::string {
        const std::optional<T> parsed = parse(text);
        if (!parsed) return "is \"" + std::string(text) + "\", but must look like " + example;
        if (*parsed < bounds.min || *parsed > bounds.max)
            return outside(std::string(text), bounds.min, bounds.max, format);
        value = *parsed;
        return {};
    };
    setting.randomise = [&value, bounds](Random& random) {
        if constexpr (std::is_same_v<T, Duration>)
            value = Duration(odd_value(random, bounds.min.count(), bounds.max.count()));
        else
            value = static_cast<T>(odd_value(random, static_cast<std::int64_t>(bounds.min),
                                             static_cast<std::int64_t>(bounds.max)));
    };
    settings.push_back(std::move(setting));
}

std::size_t edits_between(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

} // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    const auto ns = parse_with_unit(text, duration_units);
    if (!ns) return {};
    return Duration(static_cast<std::int64_t>(*ns));
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    if (const auto plain = parse_integer(text); plain && *plain >= 0)
        return static_cast<std::uint64_t>(*plain);
    return parse_with_unit(text, byte_units);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, failure] = std::from_chars(text.data(), end, number);
    if (failure != std::errc() || rest != end) return {};
    return number;
}

std::optional<bool> parse_bool(std::string_view text) {
    if (text == "true") return true;
    if (text == "false") return false;
    return {};
}

std::string format_duration(Duration value) {
    return format_with_unit(static_cast<std::uint64_t>(value.count()), duration_units);
}
std::string format_bytes(std::uint64_t value) { return format_with_unit(value, byte_units); }

void SettingList::operator()(std::string_view name, Duration& value, Bounds<Duration> bounds,
                             std::string_view help) {
    add<Duration>(settings, name, "duration", value, bounds, help, format_duration, parse_duration,
                  "150ms, 10s or 7d");
}

void SettingList::operator()(std::string_view name, std::size_t& value, Bounds<std::size_t> bounds,
                             std::string_view help) {
    add<std::size_t>(settings, name, "size", value, bounds, help, format_size, parse_bytes,
                     "4096, 64KiB or 10GiB");
}

void SettingList::operator()(std::string_view name, std::int64_t& value,
                             Bounds<std::int64_t> bounds, std::string_view help) {
    add<std::int64_t>(settings, name, "integer", value, bounds, help, format_count, parse_integer,
                      "a whole number");
}

void SettingList::operator()(std::string_view name, int& value, Bounds<int> bounds,
                             std::string_view help) {
    add<int>(
        settings, name, "integer", value, bounds, help, [](int v) { return std::to_string(v); },
        [](std::string_view text) -> std::optional<int> {
            const auto number = parse_integer(text);
            if (!number || *number < INT32_MIN || *number > INT32_MAX) return {};
            return static_cast<int>(*number);
        },
        "a whole number");
}

void SettingList::operator()(std::string_view name, bool& value, std::string_view help) {
    add<bool>(
        settings, name, "bool", value, Bounds<bool>{false, true}, help,
        [](bool v) { return std::string(v ? "true" : "false"); }, parse_bool, "true or false");
}

void SettingList::operator()(std::string_view name, std::string& value, AnyText bounds,
                             std::string_view help) {
    Setting setting;
    setting.name = name;
    setting.help = help;
    setting.kind = "text";
    setting.default_value = value;
    setting.get = [&value] { return value; };
    setting.set = [&value, bounds](std::string_view text) -> std::string {
        if (text.size() > bounds.bytes_max)
            return "is longer than " + std::to_string(bounds.bytes_max) + " bytes";
        value = text;
        return {};
    };
    setting.randomise = [](Random&) {}; // Names and addresses are the simulator's to give.
    settings.push_back(std::move(setting));
}

void SettingList::add_text(std::string_view name, std::string_view example, std::string_view help,
                           std::function<std::string()> get,
                           std::function<bool(std::string_view)> take) {
    Setting setting;
    setting.name = name;
    setting.help = help;
    setting.kind = "text";
    setting.bounds = example;
    setting.default_value = get();
    setting.get = std::move(get);
    setting.set = [take = std::move(take),
                   example = std::string(example)](std::string_view text) -> std::string {
        if (take(text)) return {};
        return "is \"" + std::string(text) + "\", but must look like " + example;
    };
    setting.randomise = [](Random&) {}; // As above.
    settings.push_back(std::move(setting));
}

Setting* find_setting(std::vector<Setting>& settings, std::string_view name) {
    for (Setting& setting : settings)
        if (setting.name == name) return &setting;
    return nullptr;
}

std::string nearest_setting(const std::vector<Setting>& settings, std::string_view name) {
    std::string nearest;
    std::size_t fewest = name.size() / 3 + 1;
    for (const Setting& setting : settings) {
        const std::size_t edits = edits_between(name, setting.name);
        if (edits >= fewest) continue;
        fewest = edits;
        nearest = setting.name;
    }
    return nearest;
}

} // namespace pyralog
