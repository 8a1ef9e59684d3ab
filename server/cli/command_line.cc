#include "server/cli/command_line.h"

#include "server/cli/commands.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <deque>

namespace pyralog::cli {

namespace {

std::string mistake(const std::string& what) {
    return "pyralog: " + what + ": see `pyralog --help`\n";
}

// CLI11 puts some of its messages on several lines.
std::string one_line(std::string text) {
    for (char& c : text)
        if (c == '\n') c = ' ';
    while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
    return text;
}

// An option on the parser, with the words that were given for it if they mean more than a text.
struct Given {
    const Option* option = nullptr;
    const CLI::Option* parsed = nullptr;
    std::string text;
};

std::string help_of_group(const std::string& name) {
    for (const CommandGroup& group : all_command_groups())
        if (group.name == name) return group.help;
    return {};
}

// Reads the command line by the table, into `line`.
class Parser {
public:
    Parser() : app_(summary, "pyralog") {
        app_.require_subcommand(0, 1); // None is told below, in words that name them.
        app_.fallthrough();            // The same flags before and behind the command.
        app_.footer(footer);
        app_.set_version_flag("--version", version_text);
        for (const Option& option : global_options()) add(app_, option);
        for (const Command& command : all_commands()) add(command);
    }

    std::variant<CommandLine, Farewell> parse(int argc, const char* const* argv);

private:
    void add(const Command& command) {
        const auto [first, second] = words_of(command);
        CLI::App* parent = &app_;
        if (!second.empty()) {
            CLI::App*& group = groups_[first];
            if (!group) group = app_.add_subcommand(first, help_of_group(first));
            group->require_subcommand(0, 1);
            parent = group;
        }
        CLI::App* const added =
            parent->add_subcommand(second.empty() ? first : second, command.help);
        for (const Option& option : command.options) add(*added, option);
        added->callback([this, &command] { line_.command = command.command; });
    }
    void add(CLI::App& app, const Option& option);
    std::optional<Farewell> take(const Given& given);
    std::optional<Farewell> take_sets();

    CLI::App app_;
    std::map<std::string, CLI::App*> groups_;
    CommandLine line_;
    std::deque<Given> given_; // Their texts are referred to.
};

void Parser::add(CLI::App& app, const Option& option) {
    CLI::Option* added = nullptr;
    if (const auto* flag = std::get_if<bool CommandLine::*>(&option.field)) {
        app.add_flag(option.names, line_.**flag, option.help);
        return;
    }
    if (const auto* text = std::get_if<std::string CommandLine::*>(&option.field)) {
        added = app.add_option(option.names, line_.**text, option.help);
    } else if (const auto* list =
                   std::get_if<std::vector<std::string> CommandLine::*>(&option.field)) {
        added = app.add_option(option.names, line_.**list, option.help);
        // Of those with dashes one at a time, or they would take the words behind them.
        if (option.stands_alone())
            added->expected(option.times.least, option.times.most);
        else
            added->allow_extra_args(false);
    } else if (const auto* maybe =
                   std::get_if<std::optional<std::string> CommandLine::*>(&option.field)) {
        added = app.add_option(option.names, line_.**maybe, option.help);
    } else if (const auto* number =
                   std::get_if<std::optional<std::int64_t> CommandLine::*>(&option.field)) {
        added = app.add_option(option.names, line_.**number, option.help);
    } else {
        Given& given = given_.emplace_back();
        given.option = &option;
        given.parsed = added = app.add_option(option.names, given.text, option.help);
    }
    if (option.value[0] != '\0' || option.stands_alone()) added->type_name(option.value);
    if (option.times.least > 0) added->required();
}

// What is wrong with it, if anything.
std::optional<Farewell> Parser::take(const Given& given) {
    const std::string name = names_of(*given.option).back();
    if (const auto* setting = std::get_if<SettingName>(&given.option->field)) {
        line_.assignments.push_back({server::Source::flag, name, setting->name, given.text});
        return {};
    }
    std::vector<Address> addresses;
    std::string_view rest = given.text;
    do {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const auto address = parse_address(rest.substr(0, comma));
        if (!address)
            return Farewell{mistake(name + " must look like HOST:PORT, not \"" + given.text + '"'),
                            2};
        addresses.push_back(*address);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
    } while (!rest.empty());
    if (const auto* all = std::get_if<std::vector<Address> CommandLine::*>(&given.option->field)) {
        line_.** all = std::move(addresses);
    } else {
        line_.*std::get<std::optional<Address> CommandLine::*>(given.option->field) =
            addresses.front();
    }
    return {};
}

// `--set NAME=VALUE`. What is wrong with one of them, if anything.
std::optional<Farewell> Parser::take_sets() {
    for (const std::string& set : line_.sets) {
        const auto equals = set.find('=');
        if (equals == std::string::npos)
            return Farewell{mistake("--set \"" + set + "\" must look like NAME=VALUE"), 2};
        line_.assignments.push_back(
            {server::Source::flag, "--set", set.substr(0, equals), set.substr(equals + 1)});
    }
    return {};
}

std::variant<CommandLine, Farewell> Parser::parse(int argc, const char* const* argv) {
    try {
        app_.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return Farewell{app_.help()};
    } catch (const CLI::CallForVersion&) {
        return Farewell{std::string(version_text) + '\n'};
    } catch (const CLI::ParseError& error) {
        return Farewell{mistake(one_line(error.what())), 2};
    }
    if (app_.get_subcommands().empty())
        return Farewell{mistake("say what to do: " + joined(first_words(), ", ")), 2};
    const CLI::App& first = *app_.get_subcommands().front();
    std::vector<std::string> seconds;
    for (const Command& command : all_commands())
        if (words_of(command).first == first.get_name() && !words_of(command).second.empty())
            seconds.push_back(command.name);
    if (!seconds.empty() && first.get_subcommands().empty())
        return Farewell{mistake("say what to do: " + joined(seconds, ", ")), 2};
    for (const Given& given : given_) {
        if (given.parsed->count() == 0) continue;
        if (auto mistaken = take(given)) return std::move(*mistaken);
    }
    if (auto mistaken = take_sets()) return std::move(*mistaken);
    return std::move(line_);
}

} // namespace

std::variant<CommandLine, Farewell> parse_command_line(int argc, const char* const* argv) {
    return Parser().parse(argc, argv);
}

std::vector<server::Assignment> read_environment(const char* const* environment,
                                                 const std::vector<Setting>& settings) {
    constexpr std::string_view prefix = "PYRALOG_";
    std::vector<server::Assignment> assignments;
    for (; *environment != nullptr; ++environment) {
        const std::string_view variable = *environment;
        const auto equals = variable.find('=');
        if (!variable.starts_with(prefix) || equals == std::string_view::npos) continue;
        const std::string name(variable.substr(0, equals));
        // Kubernetes tells every container of a service named "pyralog" in variables like these.
        if (name.starts_with("PYRALOG_SERVICE_") || name == "PYRALOG_PORT" ||
            name.starts_with("PYRALOG_PORT_"))
            continue;
        std::string setting;
        for (const Setting& s : settings)
            if (server::environment_name(s.name) == name) setting = s.name;
        // Of no setting: then as a name, in which one letter is perhaps wrong.
        if (setting.empty()) {
            for (const char c : name.substr(prefix.size()))
                setting += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            if (const auto cut = setting.find('_'); cut != std::string::npos) setting[cut] = '.';
        }
        assignments.push_back(
            {server::Source::environment, name, setting, std::string(variable.substr(equals + 1))});
    }
    return assignments;
}

} // namespace pyralog::cli
