#include "server/cli/command_line.h"

#include <CLI/CLI.hpp>

namespace pyralog::cli {

namespace {

// The flags that have a name of their own; `--set` reaches all other settings.
struct Flag {
    const char* names;
    const char* setting;
    const char* help;
};
constexpr Flag flags[] = {
    {"-p,--port", "kafka.port", "The port for clients (default 9092)"},
    {"-d,--data-dir", "node.data_dir", "The directory of the node's data"},
    {"--node-id", "node.id", "The number of this node"},
    {"--cluster", "cluster.members", "All nodes, as 1=HOST:PORT,2=HOST:PORT: where peers listen"},
    {"--cluster-name", "cluster.name", "The name of the cluster"},
    {"--advertise", "kafka.advertise", "What clients are told to connect to, as HOST:PORT"},
    {"--admin-port", "admin.port", "The port for status, stop and metrics (default 9094)"},
};

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

// `--set NAME=VALUE`. What is wrong with it, if anything.
std::optional<Farewell> add_assignment(CommandLine& line, const std::string& set) {
    const auto equals = set.find('=');
    if (equals == std::string::npos)
        return Farewell{mistake("--set \"" + set + "\" must look like NAME=VALUE"), 2};
    line.assignments.push_back(
        {server::Source::flag, "--set", set.substr(0, equals), set.substr(equals + 1)});
    return {};
}

// Nothing is given by an empty text. What is wrong with it, if anything.
std::optional<Farewell> take_address(const std::string& option, const std::string& text,
                                     std::optional<Address>& into) {
    if (text.empty()) return {};
    into = parse_address(text);
    if (into) return {};
    return Farewell{mistake(option + " must look like HOST:PORT, not \"" + text + '"'), 2};
}

// `pyralog log …`: each tells of itself by its parsing.
void add_log_commands(CLI::App& app, CommandLine& line) {
    using Command = CommandLine::Command;
    struct One {
        Command command;
        const char *name, *help;
    };
    constexpr One all[] = {
        {Command::log_digest, "digest",
         "Checksums of all logs; with several directories, whether they agree"},
        {Command::log_verify, "verify",
         "All that is wrong with a directory, and what a node would make of it"},
        {Command::log_dump, "dump", "Every frame, a line each"},
        {Command::log_stats, "stats", "What each log holds"},
    };
    CLI::App* const log = app.add_subcommand("log", "Look into the logs of nodes that are stopped");
    log->require_subcommand(1);
    for (const One& one : all) {
        CLI::App* const added = log->add_subcommand(one.name, one.help);
        CLI::Option* const directories = added->add_option("DIRECTORY", line.directories,
                                                           "The data directory of a stopped node");
        if (one.command != Command::log_digest) directories->expected(0, 1);
        added->add_flag("--json", line.as_json, "For programs");
        if (one.command == Command::log_dump)
            added->add_option("--group", line.group, "Only this one's")->type_name("NUMBER");
        added->callback([&line, command = one.command] { line.command = command; });
    }
}

void add_disk_commands(CLI::App& app, CommandLine& line) {
    CLI::App* const disk = app.add_subcommand("disk", "Look at the disk below a directory");
    disk->require_subcommand(1);
    CLI::App* const probe = disk->add_subcommand(
        "probe", "Measure, for a few seconds, how long durable writes take, and say what follows");
    probe->add_option("DIRECTORY", line.directories, "Where; a node's data directory by itself")
        ->expected(0, 1);
    probe->add_flag("--json", line.as_json, "For programs");
    probe->callback([&line] { line.command = CommandLine::Command::disk_probe; });
}

// `pyralog group …`: these talk to brokers, as clients do.
void add_group_commands(CLI::App& app, CommandLine& line, std::string& bootstrap) {
    using Command = CommandLine::Command;
    struct One {
        Command command;
        const char *name, *help;
    };
    constexpr One all[] = {
        {Command::group_list, "list", "All groups, and who coordinates them"},
        {Command::group_describe, "describe", "A group's members, its offsets and lags"},
        {Command::group_delete, "delete", "Forget groups that have no members"},
        {Command::group_reset_offsets, "reset-offsets",
         "Say where a group that has no members goes on"},
    };
    CLI::App* const group = app.add_subcommand("group", "Look after consumer groups");
    group->require_subcommand(1);
    for (const One& one : all) {
        CLI::App* const added = group->add_subcommand(one.name, one.help);
        if (one.command != Command::group_list) {
            CLI::Option* const names = added->add_option("GROUP", line.names, "Its name");
            names->required();
            if (one.command != Command::group_delete) names->expected(1);
        }
        if (one.command == Command::group_reset_offsets) {
            added->add_option("--topic", line.topic, "Of this topic, or of one partition of it")
                ->type_name("NAME[:PARTITION]")
                ->required();
            added->add_option("--to", line.to, "Where to")
                ->type_name("earliest|latest|OFFSET")
                ->required();
        }
        added->add_option("--bootstrap", bootstrap, "A broker, as clients reach it")
            ->type_name("HOST:PORT");
        added->add_flag("--json", line.as_json, "For programs");
        added->callback([&line, command = one.command] { line.command = command; });
    }
}

} // namespace

std::variant<CommandLine, Farewell> parse_command_line(int argc, char** argv) {
    CommandLine line;
    CLI::App app("A replicated log that Kafka clients can use.", "pyralog");
    app.require_subcommand(0, 1); // None is told below, in words that name them.
    app.fallthrough();            // The same flags before and behind the command.
    app.footer("Every setting can also be given in the file, or as PYRALOG_SECTION_NAME in the\n"
               "environment; flags overrule the environment, which overrules the file.\n"
               "`pyralog config` shows them all, with their values and where those come from.");
    app.set_version_flag("--version", "pyralog 0.1.0");

    std::string file, admin;
    std::vector<std::string> sets, values(std::size(flags));
    std::vector<CLI::Option*> options;
    CLI::Option* const config =
        app.add_option("-c,--config", file, "Settings, as TOML")->type_name("FILE");
    for (std::size_t i = 0; i < std::size(flags); ++i)
        options.push_back(
            app.add_option(flags[i].names, values[i], flags[i].help)->type_name("VALUE"));
    app.add_option("--set", sets, "Any setting, as NAME=VALUE; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    app.add_option("--admin", admin, "status, stop, metrics: the admin address of the node")
        ->type_name("HOST:PORT");

    CLI::App* const start = app.add_subcommand("start", "Run a node until it is told to stop");
    CLI::App* const stop = app.add_subcommand("stop", "Stop the node, and wait until it has");
    CLI::App* const status = app.add_subcommand("status", "Say how the node and its cluster are");
    CLI::App* const show = app.add_subcommand("config", "Show all settings and check them");
    status->add_flag("--json", line.as_json, "For programs");
    show->add_flag("--json", line.as_json, "For programs");
    show->add_flag("--reference", line.as_reference, "Every setting with its bounds, as Markdown");
    CLI::App* const metrics = app.add_subcommand("metrics", "Show what the node has counted");
    metrics->add_flag("--reference", line.as_reference, "What it may count, as Markdown");
    add_log_commands(app, line);
    add_disk_commands(app, line);
    std::string bootstrap;
    add_group_commands(app, line, bootstrap);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return Farewell{app.help()};
    } catch (const CLI::CallForVersion&) {
        return Farewell{"pyralog 0.1.0\n"};
    } catch (const CLI::ParseError& error) {
        return Farewell{mistake(one_line(error.what())), 2};
    }

    if (app.get_subcommands().empty())
        return Farewell{
            mistake("say what to do: start, stop, status, config, metrics, log, disk or "
                    "group"),
            2};

    using Command = CommandLine::Command;
    if (start->parsed()) line.command = Command::start;
    if (stop->parsed()) line.command = Command::stop;
    if (status->parsed()) line.command = Command::status;
    if (show->parsed()) line.command = Command::config;
    if (metrics->parsed()) line.command = Command::metrics;
    if (config->count() > 0) line.config_file = file;
    if (auto mistaken = take_address("--admin", admin, line.admin)) return std::move(*mistaken);
    if (auto mistaken = take_address("--bootstrap", bootstrap, line.bootstrap))
        return std::move(*mistaken);
    for (std::size_t i = 0; i < std::size(flags); ++i)
        if (options[i]->count() > 0)
            line.assignments.push_back({server::Source::flag, options[i]->get_name(false, true),
                                        flags[i].setting, values[i]});
    for (const std::string& set : sets)
        if (auto mistaken = add_assignment(line, set)) return std::move(*mistaken);
    return line;
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
