#include "server/cli/commands.h"

#include <algorithm>

namespace pyralog::cli {

namespace {

using Line = CommandLine;
using Do = CommandLine::Command;

const Option json{"--json", "", "For programs", &Line::as_json};
const Option reference{"--reference", "", "Every one of them, as a table in Markdown",
                       &Line::as_reference};
const Option bootstrap{"--bootstrap", "HOST:PORT",
                       "A broker, as clients reach it; several with commas between them",
                       &Line::bootstrap};
const Option stopped{"DIRECTORY", "", "The data directory of a stopped node", &Line::directories};

Option stopped_ones() {
    Option option = stopped;
    option.times.most = any_number;
    return option;
}
Option named(const char* what, const char* help, Times times = {1, 1}) {
    return {what, "", help, &Line::names, times};
}

std::vector<Command> node_commands() {
    return {
        {Do::start,
         "start",
         "Run a node until it is told to stop",
         {},
         "It is told so by SIGINT, by SIGTERM or by pyralog stop. Nothing on the disk is touched "
         "before all settings, the directory and the ports have been looked at."},
        {Do::stop, "stop", "Stop the node, and wait until it has", {}},
        {Do::status, "status", "Say how the node and its cluster are", {json}},
        {Do::config,
         "config",
         "Show all settings and check them",
         {json,
          reference,
          {"--template", "",
           "A file to begin with: what is given, and all other settings as comments",
           &Line::as_template}}},
        {Do::metrics, "metrics", "Show what the node has counted", {reference}},
    };
}

std::vector<Command> log_commands() {
    return {
        {Do::log_digest,
         "log digest",
         "Checksums of all logs; with several directories, whether they agree",
         {stopped_ones(), json}},
        {Do::log_verify,
         "log verify",
         "All that is wrong with a directory, and what a node would make of it",
         {stopped, json}},
        {Do::log_dump,
         "log dump",
         "Every frame, a line each",
         {stopped, json, {"--group", "NUMBER", "Only this one's", &Line::group}}},
        {Do::log_stats, "log stats", "What each log holds", {stopped, json}},
        {Do::log_repair,
         "log repair",
         "Say what would be lost, of a directory that a lone node refuses; with --force, do it",
         {stopped, {"--force", "", "Do it, and set aside what is not kept", &Line::force}, json},
         "Without --force nothing is changed, and it exits with 1 if something would be lost. A "
         "log "
         "has no holes: of each partition all is kept up to the first entry that is lost, and what "
         "is intact behind that is set aside with what is damaged. A node with "
         "peers is not repaired so: it gets what it lacks from them."},
        {Do::disk_probe,
         "disk probe",
         "Measure, for a few seconds, how long durable writes take, and say what follows",
         {{"DIRECTORY", "", "Where; a node's data directory by itself", &Line::directories}, json}},
    };
}

std::vector<Command> topic_commands() {
    return {
        {Do::topic_list, "topic list", "All topics", {bootstrap, json}},
        {Do::topic_describe,
         "topic describe",
         "Partitions of topics, who leads them, and what they hold",
         {named("TOPIC", "Its name; of all topics by itself", {0, any_number}), bootstrap, json}},
        {Do::topic_create,
         "topic create",
         "Make topics",
         {named("TOPIC", "Its name", {1, any_number}),
          {"--partitions", "N", "How many, if not as many as the cluster is set to",
           &Line::partitions},
          {"--replicas", "N", "On how many nodes each partition is, likewise", &Line::replicas},
          {"--topic-config",
           "NAME=VALUE",
           "A setting of it, as Kafka calls it; may be repeated",
           &Line::topic_configs,
           {0, any_number}},
          bootstrap,
          json},
         "It returns when every partition has a leader."},
        {Do::topic_alter,
         "topic alter",
         "Change settings of topics, or how many partitions they have",
         {named("TOPIC", "Its name", {1, any_number}),
          {"--partitions", "N", "How many there are to be; more than there are", &Line::partitions},
          {"--topic-config",
           "NAME=VALUE",
           "What to set, as Kafka calls it; may be repeated",
           &Line::topic_configs,
           {0, any_number}},
          {"--reset",
           "NAME",
           "What is to have its default again; may be repeated",
           &Line::resets,
           {0, any_number}},
          bootstrap,
          json},
         "Partitions can be added, and none taken away. Keys go to other partitions from then on: "
         "of one key older and newer records may be in two."},
        {Do::topic_delete,
         "topic delete",
         "Delete topics, and all that they hold",
         {named("TOPIC", "Its name", {1, any_number}), bootstrap, json}},
    };
}

std::vector<Command> group_commands() {
    return {
        {Do::group_list, "group list", "All groups, and who coordinates them", {bootstrap, json}},
        {Do::group_describe,
         "group describe",
         "A group's members, its offsets and lags",
         {named("GROUP", "Its name"), bootstrap, json}},
        {Do::group_delete,
         "group delete",
         "Forget groups that have no members",
         {named("GROUP", "Its name", {1, any_number}), bootstrap, json}},
        {Do::group_reset_offsets,
         "group reset-offsets",
         "Say where a group that has no members goes on",
         {named("GROUP", "Its name"),
          {"--topic",
           "NAME[:PARTITION]",
           "Of this topic, or of one partition of it",
           &Line::topic,
           {1, 1}},
          {"--to", "earliest|latest|OFFSET", "Where to", &Line::to, {1, 1}},
          bootstrap,
          json}},
    };
}

std::vector<Command> record_commands() {
    return {
        {Do::produce,
         "produce",
         "Write lines to a topic",
         {named("TOPIC", "Its name"),
          {"--file", "FILE", "Lines of this file, and not of the standard input", &Line::file},
          {"--key-separator", "TEXT", "What stands before the first of these is the record's key",
           &Line::key_separator},
          {"--empty-is-null", "",
           "A record whose value would be empty has none: it deletes its key",
           &Line::empty_is_null},
          {"--records", "",
           "Lines are records as consume --json shows them: with key, headers, time and partition",
           &Line::as_records},
          {"--partition", "N", "To this one; by the key if not, or to each in turn",
           &Line::partition},
          {"--acks", "all|1|0", "Who must have a record before it counts as written", &Line::acks},
          {"--compression", "none|gzip|snappy|lz4|zstd", "What batches are compressed with",
           &Line::compression},
          bootstrap,
          json},
         "With --acks all, which is so by itself, each line is written exactly once, whatever "
         "happens to brokers meanwhile; with 1 it may be written twice, and with 0 nobody says "
         "whether it was. Keys go to the partitions where Java's clients put them."},
        {Do::consume,
         "consume",
         "Read the records of a topic",
         {named("TOPIC", "Its name"),
          {"--from", "beginning|end|OFFSET|TIME",
           "Where to begin; by itself at the beginning, or with --follow at the end", &Line::from},
          {"--partition", "N", "Only this one", &Line::partition},
          {"--group", "NAME",
           "As a member of this group: share the partitions, go on where it is, and commit",
           &Line::in_group},
          {"--isolation", "read_committed|read_uncommitted",
           "Of transactions only what is committed, which is so by itself, or all",
           &Line::isolation},
          {"--count", "N", "No more records than so many", &Line::count},
          {"--follow", "", "Wait for more at the end, until interrupted", &Line::follow},
          {"--format", "TEXT", "How a record is shown; the value and a line's end by itself",
           &Line::format},
          bootstrap,
          json},
         "TIME is like 2026-11-23T21:00:00Z, which is UTC, or 15m, which is so long ago; a number "
         "is an offset. Records come in order within a partition. In the format %s is the "
         "value, %k the key, %t the topic, %p the partition, %o the offset, %T the time in "
         "milliseconds, %h the headers, %% a percent sign; \\n, \\t and \\\\ are as in C. With "
         "--json a record is one line; what is not UTF-8 is told in base64, as key_base64 or "
         "value_base64. With --group it commits what it has shown, each second and when it ends; "
         "if it is killed, that may be shown again. --from then says where to begin in partitions "
         "of which the group has committed nothing, and without --follow it ends where its "
         "partitions ended when it was given them."},
    };
}

std::vector<Command> cluster_commands() {
    return {
        {Do::cluster_up,
         "cluster up",
         "Run a trial cluster on this machine until interrupted",
         {{"--nodes", "N", "How many; as many as there are in DIRECTORY, or 3", &Line::nodes},
          {"--dir", "DIRECTORY", "Where their data is; pyralog-cluster by itself",
           &Line::directory}},
         "Each node is a process of its own, and node N listens for clients at the --port (9092 by "
         "itself) + 100 * (N - 1), for its peers one above, and at its admin port two above. The "
         "data stays, and a later cluster up goes on with it. Settings are for all nodes."},
        {Do::cluster_status,
         "cluster status",
         "Which brokers there are, and which partitions are not well",
         {bootstrap, json},
         "It exits with 1 if a partition has no leader."},
    };
}

std::vector<Command> document_commands() {
    return {
        {Do::completion,
         "completion",
         "Print what a shell must read to complete the words of this program",
         {{"SHELL", "bash|zsh|fish", "For which one", &Line::shell, {1, 1}}},
         "For bash: source <(pyralog completion bash)."},
        {Do::man, "man", "Print the manual page", {}, "To read it: pyralog man | man -l -."},
    };
}

} // namespace

std::span<const Command> all_commands() {
    static const std::vector<Command> all = [] {
        std::vector<Command> joined;
        for (std::vector<Command>& part :
             std::array{node_commands(), topic_commands(), record_commands(), group_commands(),
                        cluster_commands(), log_commands(), document_commands()})
            std::ranges::move(part, std::back_inserter(joined));
        return joined;
    }();
    return all;
}

std::span<const CommandGroup> all_command_groups() {
    static constexpr std::array<CommandGroup, 5> all{{
        {"topic", "Look after topics"},
        {"group", "Look after consumer groups"},
        {"cluster", "Try out a cluster, and look at one"},
        {"log", "Look into the logs of nodes that are stopped"},
        {"disk", "Look at the disk below a directory"},
    }};
    return all;
}

std::span<const Option> global_options() {
    static const std::vector<Option> all{
        {"-c,--config", "FILE", "Settings, as TOML", &Line::config_file},
        {"-p,--port", "PORT", "The port for clients (default 9092)", SettingName{"kafka.port"}},
        {"-d,--data-dir", "DIRECTORY", "The directory of the node's data",
         SettingName{"node.data_dir"}},
        {"--node-id", "NUMBER", "The number of this node", SettingName{"node.id"}},
        {"--cluster", "LIST", "All nodes, as 1=HOST:PORT,2=HOST:PORT: where peers listen",
         SettingName{"cluster.members"}},
        {"--cluster-name", "NAME", "The name of the cluster", SettingName{"cluster.name"}},
        {"--advertise", "HOST:PORT", "What clients are told to connect to",
         SettingName{"kafka.advertise"}},
        {"--admin-port", "PORT", "The port for status, stop and metrics (default 9094)",
         SettingName{"admin.port"}},
        {"--set", "NAME=VALUE", "Any setting; may be repeated", &Line::sets, {0, any_number}},
        {"--admin", "HOST:PORT", "status, stop, metrics: the admin address of the node",
         &Line::admin},
    };
    return all;
}

std::pair<std::string, std::string> words_of(const Command& command) {
    const std::string name = command.name;
    const std::size_t space = name.find(' ');
    if (space == std::string::npos) return {name, ""};
    return {name.substr(0, space), name.substr(space + 1)};
}

std::string joined(const std::vector<std::string>& words, const char* between) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
    return text;
}

std::vector<std::string> first_words() {
    std::vector<std::string> words;
    for (const Command& command : all_commands()) {
        const std::string word = words_of(command).first;
        if (words.empty() || words.back() != word) words.push_back(word);
    }
    return words;
}

namespace {

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(at, begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

} // namespace

std::vector<std::string> names_of(const Option& option) { return split(option.names, ','); }

std::vector<std::string> words_meant(const Option& option) {
    const std::string value = option.value;
    std::vector<std::string> words;
    for (const std::string& word : split(value, '|')) {
        const bool is_literal =
            std::ranges::none_of(word, [](char c) { return c >= 'A' && c <= 'Z'; });
        if (!word.empty() && is_literal) words.push_back(word);
    }
    return words;
}

} // namespace pyralog::cli
