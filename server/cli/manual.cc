// `pyralog man` and `pyralog config --template`: what is printed of the tables of commands and
// settings, for man and for whoever writes a file.
#include "server/cli/commands.h"
#include "server/cli/program.h"

#include <cstdio>

namespace pyralog::cli {

namespace {

// So that man takes nothing in it for an order.
std::string escaped(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        const bool begins_line = safe.empty() || safe.back() == '\n';
        if (begins_line && (c == '.' || c == '\'')) safe += "\\&";
        if (c == '\\')
            safe += "\\e";
        else if (c == '-')
            safe += "\\-";
        else
            safe += c;
    }
    return safe;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string slanted(std::string_view text) { return "\\fI" + escaped(text) + "\\fR"; }

// A whole sentence.
std::string sentence(std::string_view text) {
    const std::string whole = escaped(text);
    return whole.ends_with('.') ? whole : whole + '.';
}

// "-c, --config FILE", as it is written in front of what it does.
std::string heading(const Option& option) {
    if (option.stands_alone()) return slanted(option.names);
    std::string text;
    for (const std::string& name : names_of(option))
        text += (text.empty() ? "" : ", ") + bold(name);
    if (option.value[0] != '\0') text += ' ' + slanted(option.value);
    return text;
}

void write(std::string& page, const Option& option) {
    page += ".TP\n" + heading(option) + '\n' + sentence(option.help) + '\n';
}

// "pyralog topic create TOPIC... [OPTIONS]"
std::string synopsis(const Command& command) {
    std::string text = bold("pyralog") + ' ' + bold(command.name);
    bool has_options = false;
    for (const Option& option : command.options) {
        if (!option.stands_alone()) {
            has_options = has_options || option.times.least == 0;
            if (option.times.least > 0)
                text += ' ' + bold(option.names) + ' ' + slanted(option.value);
            continue;
        }
        const std::string name = slanted(option.names) + (option.times.most > 1 ? "..." : "");
        text += option.times.least > 0 ? ' ' + name : " [" + name + ']';
    }
    return has_options ? text + " [options]" : text;
}

constexpr const char* introduction =
    R"(.SH DESCRIPTION
Pyralog keeps logs of records on several machines, for producers and consumers that speak Kafka's
protocol: every partition is a Raft group, and what a producer was acknowledged is on the disks of a
majority. This one program is the node, and all that one needs to look after it.
.PP
Commands about topics, groups, records and clusters talk to the brokers as clients do, to begin with
those at \fB\-\-bootstrap\fR, or at the address that the settings name.
\fBstatus\fR, \fBstop\fR and \fBmetrics\fR find a node through its data directory, or through
\fB\-\-admin\fR. Long work shows how far it is, on the standard error, if that is a terminal.
)";

constexpr const char* conclusion =
    R"(.SH EXIT STATUS
.TP
0
All is well.
.TP
1
The world is not as it would have to be: a port in use, a directory of another node, nobody answers.
.TP
2
The settings or the command line are wrong.
.PP
A mistake is one line on the standard error: where, what, and what to do.
.SH FILES
.TP
\fI/etc/pyralog/pyralog.toml\fR
The settings of the service that the package installs. The program itself reads no file that
\fB\-\-config\fR does not name.
.TP
\fI/var/lib/pyralog\fR
The data of that node. It belongs to one node of one cluster for ever.
.SH EXAMPLES
Three nodes on this machine, until Ctrl\-C:
.PP
.RS
.nf
pyralog cluster up \-\-nodes 3
.fi
.RE
.PP
Lines into a topic, and out of it again:
.PP
.RS
.nf
pyralog topic create numbers \-\-partitions 3
seq 1000 | pyralog produce numbers
pyralog consume numbers
.fi
.RE
.PP
One node of a cluster of three:
.PP
.RS
.nf
pyralog start \-\-node\-id 1 \-\-cluster 1=a:9093,2=b:9093,3=c:9093
.fi
.RE
.SH SEE ALSO
.BR kcat (1)
)";

} // namespace

std::string manual_page(const std::vector<Setting>& settings) {
    std::string page = ".TH PYRALOG 1 \"\" \"" + escaped(version_text) + "\" \"User Commands\"\n";
    page += ".SH NAME\npyralog \\- a replicated log that Kafka clients can use\n.SH SYNOPSIS\n";
    for (const Command& command : all_commands()) page += synopsis(command) + "\n.br\n";
    page += introduction;
    page += ".SH COMMANDS\n";
    for (const Command& command : all_commands()) {
        page += ".SS " + escaped(command.name) + '\n' + sentence(command.help) + '\n';
        if (command.more[0] != '\0') page += sentence(command.more) + '\n';
        for (const Option& option : command.options) write(page, option);
    }
    page += ".SH OPTIONS\nThese may stand before and behind every command.\n";
    for (const Option& option : global_options()) write(page, option);
    page += ".TP\n" + bold("--version") + "\nSay which version this is, and nothing else.\n";
    page += ".TP\n" + bold("-h") + ", " + bold("--help") + "\nExplain a command.\n";
    page += ".SH SETTINGS\n" + escaped(footer) +
            "\nDurations are like 150ms, 10s or 7d; sizes like 64KiB, 10GiB or plain bytes.\n";
    for (const Setting& setting : settings) {
        page += ".TP\n" + bold(setting.name);
        if (!setting.default_value.empty()) page += " = " + escaped(setting.default_value);
        page += '\n' + sentence(setting.help) +
                " May be: " + sentence(setting.bounds.empty() ? setting.kind : setting.bounds) +
                '\n';
    }
    return page + conclusion;
}

std::string settings_template(const std::vector<Setting>& settings,
                              const std::map<std::string, server::Assignment>& given) {
    constexpr std::size_t columns = 98;
    std::string text = "# Settings of a node of Pyralog. Most stand here with their defaults; take "
                       "the # away to change\n# one. The environment overrules this file "
                       "(PYRALOG_KAFKA_PORT=9192), and flags overrule both.\n# `pyralog config "
                       "--config FILE` shows what follows, and checks it.\n";
    std::string section;
    for (const Setting& setting : settings) {
        const std::size_t point = setting.name.find('.');
        if (const std::string own = setting.name.substr(0, point); own != section) {
            section = own;
            text += "\n[" + section + "]\n";
        }
        std::string line = "\n#";
        const std::string bounds = setting.bounds.empty() ? setting.kind : setting.bounds;
        for (std::string rest = setting.help + " May be: " + bounds + '.'; !rest.empty();) {
            const std::string word = rest.substr(0, rest.find(' '));
            if (line.size() + word.size() >= columns) {
                text += line;
                line = "\n#";
            }
            line += ' ' + word;
            rest.erase(0, std::min(word.size() + 1, rest.size()));
        }
        const bool is_plain = setting.kind == "integer" || setting.kind == "bool";
        const bool is_given = given.contains(setting.name);
        const std::string value = is_given ? setting.get() : setting.default_value;
        text += line + (is_given ? "\n" : "\n#") + setting.name.substr(point + 1) + " = " +
                (is_plain ? value : '"' + value + '"') + '\n';
    }
    return text;
}

int print_manual(const Program& program) {
    std::fputs(manual_page(program.settings).c_str(), stdout);
    return 0;
}

} // namespace pyralog::cli
