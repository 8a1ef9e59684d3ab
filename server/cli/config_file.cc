#include "server/cli/command_line.h"

#include <toml++/toml.h>

#include <fstream>
#include <sstream>

namespace pyralog::cli {

namespace {

// Nobody writes so much by hand; /dev/zero goes on for ever.
constexpr std::size_t file_bytes_max = 1 << 20;

struct Walk {
    const std::string& path;
    const std::vector<Setting>& settings;
    std::vector<server::Assignment> assignments;
    std::string mistake;

    std::string place(const toml::node& node) const {
        return path + ':' + std::to_string(node.source().begin.line);
    }

    bool is_setting(const std::string& name) const {
        for (const Setting& setting : settings)
            if (setting.name == name) return true;
        return false;
    }

    std::optional<std::string> scalar(const toml::node& node) {
        if (const auto* text = node.as_string()) return text->get();
        if (const auto* number = node.as_integer()) return std::to_string(number->get());
        if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
        return {};
    }

    // The items of a list, with commas between them.
    std::optional<std::string> list(const toml::node& node) {
        std::string joined;
        const auto add = [&](std::string_view before, const toml::node& item) {
            const auto value = scalar(item);
            if (!value) return false;
            if (!joined.empty()) joined += ',';
            joined += before;
            joined += *value;
            return true;
        };
        if (const auto* array = node.as_array()) {
            for (const toml::node& item : *array)
                if (!add("", item)) return {};
        } else if (const auto* table = node.as_table()) {
            for (const auto& [key, item] : *table)
                if (!add(std::string(key.str()) + '=', item)) return {};
        }
        return joined;
    }

    void table(const std::string& prefix, const toml::table& entries) {
        for (const auto& [key, node] : entries) {
            const std::string name = prefix + std::string(key.str());
            if (const auto* inner = node.as_table(); inner && !is_setting(name)) {
                table(name + '.', *inner);
                continue;
            }
            const bool many = node.is_array() || node.is_table();
            const auto value = many ? list(node) : scalar(node);
            if (!value) {
                mistake = place(node) + ": " + name +
                          " must be a text, a whole number, true or false: write durations and "
                          "sizes as \"150ms\" and \"64KiB\"";
                return;
            }
            assignments.push_back({server::Source::file, place(node), name, *value});
        }
    }
};

} // namespace

std::variant<std::vector<server::Assignment>, std::string>
parse_config(std::string_view text, const std::string& path, const std::vector<Setting>& settings) {
    try {
        Walk walk{path, settings, {}, {}};
        const toml::table parsed = toml::parse(text, path);
        walk.table("", parsed);
        if (!walk.mistake.empty()) return walk.mistake;
        return std::move(walk.assignments);
    } catch (const toml::parse_error& error) {
        return path + ':' + std::to_string(error.source().begin.line) +
               ": is not TOML: " + std::string(error.description());
    }
}

std::variant<std::vector<server::Assignment>, std::string>
read_config_file(const std::string& path, const std::vector<Setting>& settings) {
    std::ifstream stream(path, std::ios::binary);
    std::string text(file_bytes_max, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.is_open() || stream.bad() ||
        (stream.fail() && stream.gcount() == 0 && !stream.eof()))
        return path + ": cannot be read: is it there, and may you read it?";
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() == file_bytes_max) return path + ": is longer than 1 MiB: not a file of ours";
    return parse_config(text, path, settings);
}

} // namespace pyralog::cli
