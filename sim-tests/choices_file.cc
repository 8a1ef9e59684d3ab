#include "sim-tests/choices_file.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

constexpr std::string_view first_line = "pyralog-choices 1";

// "word rest" without the word; nothing if it begins otherwise.
std::optional<std::string_view> after(std::string_view line, std::string_view word) {
    if (!line.starts_with(word) || line.size() <= word.size() || line[word.size()] != ' ')
        return {};
    return line.substr(word.size() + 1);
}

// Numbers of an edit and what they may be.
struct NumberEdit {
    std::string_view name;
    std::optional<int> PlanEdits::* value;
    int least, most;
};
constexpr std::array number_edits{
    NumberEdit{"nodes", &PlanEdits::nodes, 1, 7},
    NumberEdit{"producers", &PlanEdits::producers, 0, 100},
    NumberEdit{"consumers", &PlanEdits::consumers, 0, 100},
    NumberEdit{"topics", &PlanEdits::topics, 1, 100},
    NumberEdit{"partitions", &PlanEdits::partitions, 1, 1000},
};

std::string parse_line(std::string_view line, ChoicesFile& file) {
    if (line.empty() || line.starts_with('#')) return {};
    if (line.starts_with("stream ")) return sim::parse_stream(line, file.list);
    if (const auto edit = after(line, "plan")) return parse_edit(*edit, file.edits);
    if (const auto bug = after(line, "bug")) return file.bug = *bug, std::string();
    if (const auto oracle = after(line, "expect")) return file.oracle = *oracle, std::string();
    if (line == "otherwise seed") return file.listed = false, std::string();
    if (const auto text = after(line, "seed"))
        if (const auto seed = sim::parse_number(*text)) return file.seed = *seed, std::string();
    if (const auto text = after(line, "dice"))
        if (const auto seed = sim::parse_number(*text)) return file.dice = *seed, std::string();
    return "what is '" + std::string(line.substr(0, 60)) + "'?";
}

} // namespace

std::vector<std::string> lines_of(const PlanEdits& edits) {
    std::vector<std::string> lines;
    for (const FaultClass off : edits.without)
        lines.push_back("without " + std::string(to_string(off)));
    for (const NumberEdit& edit : number_edits)
        if (const auto& value = edits.*edit.value)
            lines.push_back(std::string(edit.name) + ' ' + std::to_string(*value));
    if (edits.length) lines.push_back("length_us " + std::to_string(*edits.length / Duration(1us)));
    if (edits.engine) lines.emplace_back(*edits.engine ? "kv engine" : "kv model");
    if (edits.plain_clients) lines.emplace_back("plain clients");
    if (edits.plain_settings) lines.emplace_back("plain settings");
    return lines;
}

std::string parse_edit(std::string_view line, PlanEdits& edits) {
    const std::string unknown = "nothing in a plan is '" + std::string(line.substr(0, 60)) + "'";
    if (line == "plain clients") return edits.plain_clients = true, std::string();
    if (line == "plain settings") return edits.plain_settings = true, std::string();
    if (line == "kv engine" || line == "kv model")
        return edits.engine = line == "kv engine", std::string();
    if (const auto name = after(line, "without")) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(FaultClass::count_); ++i)
            if (to_string(static_cast<FaultClass>(i)) == *name)
                return edits.without.push_back(static_cast<FaultClass>(i)), std::string();
        return unknown;
    }
    if (const auto text = after(line, "length_us")) {
        constexpr std::uint64_t most = 3'600'000'000;
        const auto value = sim::parse_number(*text);
        if (!value || *value > most) return unknown;
        edits.length = Duration(1us) * static_cast<std::int64_t>(*value);
        return {};
    }
    for (const NumberEdit& edit : number_edits) {
        const auto text = after(line, edit.name);
        if (!text) continue;
        const auto value = sim::parse_number(*text);
        if (!value || *value < static_cast<std::uint64_t>(edit.least) ||
            *value > static_cast<std::uint64_t>(edit.most))
            return unknown;
        edits.*edit.value = static_cast<int>(*value);
        return {};
    }
    return unknown;
}

std::string to_string(const ChoicesFile& file, const std::vector<sim::FaultEvent>& faults) {
    std::string text(first_line);
    text += "\n# pyralog-sim";
    text += file.bug.empty() ? "" : "-bugs";
    text += " run --choices FILE\n# In a stream: N a pick; -N picks that are harmless; /N faults "
            "that did not strike; ! one that did.\n";
    text += "seed " + std::to_string(file.seed) + '\n';
    if (!file.bug.empty()) text += "bug " + file.bug + '\n';
    if (file.dice) text += "dice " + std::to_string(*file.dice) + '\n';
    if (!file.oracle.empty()) text += "expect " + file.oracle + '\n';
    for (const std::string& line : lines_of(file.edits)) text += "plan " + line + '\n';
    if (!file.listed) return text + "otherwise seed\n";
    for (const sim::FaultEvent& fault : faults)
        text += "# fault us=" + std::to_string(fault.at / Duration(1us)) +
                " stream=" + fault.stream + " number=" + std::to_string(fault.number) +
                (fault.what.empty() ? "" : " what=" + fault.what) + '\n';
    for (const auto& [name, choices] : file.list.streams)
        text += sim::to_string(name, choices) + '\n';
    return text;
}

std::string parse(std::string_view text, ChoicesFile& file) {
    file = {};
    file.listed = true;
    std::size_t count = 0;
    bool seeded = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (++count == 1) {
            if (line != first_line) return "line 1 is not '" + std::string(first_line) + "'";
            continue;
        }
        seeded = seeded || line.starts_with("seed ");
        const std::string problem = parse_line(line, file);
        if (!problem.empty()) return "line " + std::to_string(count) + ": " + problem;
    }
    if (!seeded) return "no seed";
    if (!file.listed && !file.list.streams.empty()) return "streams, and 'otherwise seed'";
    return {};
}

} // namespace pyralog::simtest
