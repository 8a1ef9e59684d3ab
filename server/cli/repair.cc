// `pyralog log repair`: what can be saved of the disk of a node that has no peers to ask.
//
// What the store of small facts tells is read from a copy: opening it writes. Once the new journal
// is durable beside the old one, one batch says that it counts, with all that remains to be done;
// from then until the end no node starts here, and whoever comes again does the rest.
#include "core/base/probe.h"
#include "core/log/file_names.h"
#include "core/log/salvage.h"
#include "core/wire/codec.h"
#include "core/wire/producers.h"
#include "io/real/world.h"
#include "raft/acquaintance.h"
#include "raft/host.h"
#include "raft/producer_keeper.h"
#include "server/admin/json.h"
#include "server/catalogue.h"
#include "server/cli/program.h"
#include "server/cli/table.h"
#include "server/controller.h"
#include "server/groups/coordinator.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdlib.h>

namespace pyralog::cli {

namespace {

namespace fs = std::filesystem;
using server::json_quoted;

constexpr std::string_view pending_repair_key = "repair";
// Of the partitions that one damage has to do with.
constexpr std::size_t names_told_max = 8;
// There is no such file: so it is missing, and no node starts.
constexpr std::int64_t no_journal_file = std::numeric_limits<std::int64_t>::max();

// What remains to be done when the new journal counts.
struct PendingRepair {
    struct Change {
        std::string key;
        std::optional<Bytes> value;
    };
    std::vector<std::string> set_aside;
    std::vector<Change> changes;
};
template <class Codec>
void describe(Codec& field, PendingRepair::Change& c) {
    field(c.key, c.value);
}
template <class Codec>
void describe(Codec& field, PendingRepair& p) {
    field(p.set_aside, p.changes);
}

struct RepairPlan {
    SalvageFacts facts;
    std::map<GroupId, std::string> names;
    std::optional<PendingRepair> pending; // Of one that was not finished.
    PendingRepair then;
    Salvage salvage;
};

// A copy of the store, which is gone when this ends.
class StoreCopy {
public:
    explicit StoreCopy(const std::string& directory) {
        std::error_code error;
        std::string path = (fs::temp_directory_path(error) / "pyralog-repair-XXXXXX").string();
        if (error || !::mkdtemp(path.data())) return;
        path_ = path;
        if (!fs::exists(fs::path(directory) / "kv", error)) return;
        fs::copy(fs::path(directory) / "kv", fs::path(path_) / "kv", fs::copy_options::recursive,
                 error);
        if (error) failure_ = error.message();
    }
    ~StoreCopy() {
        std::error_code error;
        if (!path_.empty()) fs::remove_all(path_, error);
    }
    StoreCopy(const StoreCopy&) = delete;
    StoreCopy& operator=(const StoreCopy&) = delete;

    const std::string& path() const { return path_; }
    std::string failure() const {
        return path_.empty() ? "cannot make a temporary directory" : failure_;
    }

private:
    std::string path_, failure_;
};

std::optional<server::Identity> identity_on(const std::string& directory) {
    std::ifstream stream(fs::path(directory) / "identity", std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    return server::parse_identity(text);
}

// ---- What is known besides the logs ----

Result<> read_facts(Environment& env, const server::Identity& identity, RepairPlan& plan) {
    TRY(env.kv.open());
    plan.facts.identity = raft::Host::journal_identity(identity.cluster, identity.node);
    raft::Acquaintance disks(env, identity.node, {});
    TRY(disks.open());
    plan.facts.newest_journal = disks.journal_file();
    if (disks.replaces_another()) plan.facts.starts = TRY(disks.starts());
    server::Catalogue catalogue(identity.members);
    bool is_sound = true;
    TRY(env.kv.scan(
        server::Catalogue::prefix,
        [&](std::string_view key, std::string_view value) {
            return is_sound = is_sound && catalogue.restore(key, value).ok();
        }));
    if (!is_sound) return Error::corrupt;
    plan.names[server::controller_group] = "the catalogue";
    for (const auto& [name, topic] : catalogue.topics())
        for (std::size_t i = 0; i < topic.partitions.size(); ++i)
            plan.names[topic.partitions[i].group] = name + ':' + std::to_string(i);
    for (const auto& [group, name] : plan.names) plan.facts.groups.push_back(group);
    const auto pending = TRY(env.kv.get(pending_repair_key));
    if (pending) plan.pending = TRY(wire::decode<PendingRepair>(Bytes::copy_of(*pending)));
    return {};
}

// Whoever has applied a log goes on within what is left of it.
Result<> keep_applied_within(KvStore& kv, const std::string& key, const SalvagedLog& log,
                             PendingRepair& then) {
    const auto stored = TRY(kv.get(key));
    if (!stored) return {};
    const auto applied = parse_integer(*stored);
    if (!applied) return Error::corrupt;
    const std::int64_t within = std::clamp(*applied, log.start.offset.value, log.end.offset.value);
    if (within != *applied) then.changes.push_back({key, Bytes::copy_of(std::to_string(within))});
    return {};
}

// What is remembered of producers as of a place that is left stays; else it is read from the log,
// which, if it begins late, cannot tell of those before.
Result<> keep_producers_within(KvStore& kv, const SalvagedLog& log, PendingRepair& then) {
    const std::string key = raft::ProducerKeeper::key_of(log.group);
    if (const auto stored = TRY(kv.get(key))) {
        const auto table = wire::decode<wire::ProducerTable>(Bytes::copy_of(*stored));
        const bool fits = table.ok() && table.value().as_of.index >= log.start.first.index &&
                          table.value().as_of.index <= log.end.index;
        if (fits) return {};
        then.changes.push_back({key, {}});
    }
    if (log.start.first.index == 0) return {};
    wire::ProducerTable none;
    none.as_of = log.start.first;
    none.has_forgotten = true;
    then.changes.push_back({key, wire::encode(none)});
    return {};
}

Result<> plan_changes(KvStore& kv, RepairPlan& plan) {
    for (const SalvagedLog& log : plan.salvage.logs) {
        plan.then.set_aside.insert(plan.then.set_aside.end(), log.set_aside.begin(),
                                   log.set_aside.end());
        if (log.lost.empty()) continue;
        if (log.group == server::controller_group)
            TRY(keep_applied_within(kv, std::string(server::Controller::applied_key), log,
                                    plan.then));
        TRY(keep_applied_within(kv, server::Coordinator::applied_key(log.group), log, plan.then));
        // How their transactions end would be read from what is lost.
        TRY(kv.scan(
            server::Coordinator::pending_prefix(log.group),
            [&](std::string_view key, std::string_view) {
                plan.then.changes.push_back({std::string(key), {}});
                return true;
            }));
        TRY(keep_producers_within(kv, log, plan.then));
    }
    return {};
}

// ---- What it does ----

Result<std::uint64_t> newest_journal_file(Disk& disk) {
    std::uint64_t newest = 0;
    for (const std::string& name : TRY(disk.list(journal_name)))
        newest = std::max(newest, journal_file_number(name).value_or(0));
    return newest;
}

// Where things were set aside.
Result<std::string> finish_repair(Environment& env, RepairPlan& plan) {
    const PendingRepair& then = *plan.pending;
    const std::string where = TRY(take_salvaged_journal(env, then.set_aside));
    const std::uint64_t newest = TRY(newest_journal_file(env.disk));
    KvStore::Batch batch;
    for (const PendingRepair::Change& change : then.changes) {
        if (change.value)
            batch.put(change.key, change.value->text());
        else
            batch.remove(change.key);
    }
    batch.put(raft::Acquaintance::journal_key, std::to_string(newest));
    batch.remove(pending_repair_key);
    TRY(env.kv.commit(std::move(batch)));
    plan.facts.newest_journal = newest;
    TRY(try_recovery(env, plan.facts));
    return where;
}

Result<std::string> carry_out(Environment& env, const JournalConfig& config, RepairPlan& plan) {
    TRY(env.kv.open());
    if (!plan.pending) {
        TRY(write_salvaged_journal(env, plan.salvage, config, plan.facts.identity));
        TRY(env.kv.commit(
            KvStore::Batch()
                .put(pending_repair_key, wire::encode(plan.then).text())
                .put(raft::Acquaintance::journal_key, std::to_string(no_journal_file))));
        plan.pending = plan.then;
    }
    return finish_repair(env, plan);
}

// ---- What it says ----

std::string offsets(Offset from, std::optional<Offset> to) {
    if (!to) return std::to_string(from.value) + " and on, if there was more";
    if (*to <= from) return "no records";
    if (*to == from + 1) return std::to_string(from.value);
    return std::to_string(from.value) + " to " + std::to_string(to->value - 1);
}

std::string ranges_of(const SalvagedLog& log, bool is_intact) {
    std::string text;
    for (const SalvagedLog::Range& range : log.lost) {
        if (range.is_intact != is_intact) continue;
        std::optional<Offset> to;
        if (range.to) to = range.to->offset;
        text += (text.empty() ? "" : ", ") + offsets(range.from.offset, to);
    }
    return text.empty() ? "-" : text;
}

std::string told(const Finding& finding) {
    return finding.path + ':' + std::to_string(finding.file_position) + ": " + finding.what;
}

std::string verdict(const Salvage& salvage, bool is_done) {
    if (!salvage.is_needed) return "nothing would be lost: a node starts here as it is";
    if (is_done) return "it is repaired: a node starts here, with what is kept";
    if (!salvage.loses())
        return "a node does not start here, and nothing would be lost: --force repairs it";
    return "a node does not start here: --force repairs it, with these losses; nothing is changed "
           "so far";
}

std::string for_people(const RepairPlan& plan, bool is_done, const std::string& where) {
    std::vector<std::vector<std::string>> rows{
        {"PARTITION", "GROUP", "KEPT", "IN JOURNAL ONLY", "LOST", "INTACT BEHIND, SET ASIDE"}};
    std::map<std::string, std::vector<std::string>> why; // And whose.
    for (const SalvagedLog& log : plan.salvage.logs) {
        const std::string& name = plan.names.at(log.group);
        const Offset journal = std::max(log.start.offset, log.segments_end.offset);
        rows.push_back({name, std::to_string(log.group.value),
                        offsets(log.start.offset, log.end.offset), offsets(journal, log.end.offset),
                        ranges_of(log, false), ranges_of(log, true)});
        for (const Finding& finding : log.why) why[told(finding)].push_back(name);
    }
    std::string text = format_table(rows) + '\n';
    for (const auto& [finding, names] : why) {
        text += finding + " (";
        for (std::size_t i = 0; i < std::min(names.size(), names_told_max); ++i)
            text += (i == 0 ? "" : ", ") + names[i];
        if (names.size() > names_told_max)
            text += " and " + std::to_string(names.size() - names_told_max) + " more";
        text += ")\n";
    }
    for (const Finding& finding : plan.salvage.unreadable)
        text += told(finding) + ": stays as it is, and is read by nobody\n";
    if (!where.empty()) text += "what is not kept is in " + where + '\n';
    return text + verdict(plan.salvage, is_done) + '\n';
}

std::string json_ranges(const SalvagedLog& log, bool is_intact) {
    std::string text;
    for (const SalvagedLog::Range& range : log.lost) {
        if (range.is_intact != is_intact) continue;
        text += std::string(text.empty() ? "" : ",") +
                "{\"from\":" + std::to_string(range.from.offset.value) +
                ",\"to\":" + (range.to ? std::to_string(range.to->offset.value) : "null") + '}';
    }
    return '[' + text + ']';
}

std::string json_findings(const std::vector<Finding>& findings) {
    std::string text;
    for (const Finding& finding : findings)
        text += std::string(text.empty() ? "" : ",") + "{\"file\":" + json_quoted(finding.path) +
                ",\"file_position\":" + std::to_string(finding.file_position) +
                ",\"what\":" + json_quoted(finding.what) + '}';
    return '[' + text + ']';
}

std::string for_programs(const RepairPlan& plan, bool is_done, const std::string& where) {
    std::string partitions;
    for (const SalvagedLog& log : plan.salvage.logs)
        partitions += std::string(partitions.empty() ? "\n" : ",\n") +
                      "{\"partition\":" + json_quoted(plan.names.at(log.group)) +
                      ",\"group\":" + std::to_string(log.group.value) +
                      ",\"start_offset\":" + std::to_string(log.start.offset.value) +
                      ",\"segments_end_offset\":" + std::to_string(log.segments_end.offset.value) +
                      ",\"end_offset\":" + std::to_string(log.end.offset.value) +
                      ",\"lost\":" + json_ranges(log, false) +
                      ",\"set_aside\":" + json_ranges(log, true) +
                      ",\"why\":" + json_findings(log.why) + '}';
    return std::string("{\"needed\":") + (plan.salvage.is_needed ? "true" : "false") +
           ",\"loses\":" + (plan.salvage.loses() ? "true" : "false") +
           ",\"done\":" + (is_done ? "true" : "false") + ",\"set_aside\":" + json_quoted(where) +
           ",\"unreadable\":" + json_findings(plan.salvage.unreadable) + ",\n\"partitions\":[" +
           partitions + "]}\n";
}

// What is in the way of looking, in one line.
std::string look_for_repair(const std::string& directory,
                            std::optional<server::Identity>& identity) {
    if (std::string wrong = look_at_stopped(directory); !wrong.empty()) return wrong;
    identity = identity_on(directory);
    if (!identity)
        return directory +
               ": its file `identity` is damaged or of another version: it is not known "
               "whose data these are";
    if (identity->members.size() > 1)
        return directory + ": node " + std::to_string(identity->node.value) +
               " has peers, which have what is missing here: start it, and it gets that from them";
    return {};
}

std::string make_plan(const std::string& directory, const real::IoConfig& io,
                      const server::Identity& identity, RepairPlan& plan) {
    const StoreCopy copy(directory);
    if (const std::string wrong = copy.failure(); !wrong.empty())
        return directory + ": its store of small facts cannot be copied: " + wrong;
    real::World store(reading_config(io, copy.path()));
    Result<> done = store.run([&](Environment& env) { return read_facts(env, identity, plan); });
    if (!done.ok())
        return directory +
               ": its store of small facts cannot be read: " + std::string(to_string(done.error()));
    if (plan.pending) return {};
    real::World disk(reading_config(io, directory));
    done = disk.run([&](Environment& env) -> Result<> {
        plan.salvage = TRY(plan_salvage(env, plan.facts));
        return {};
    });
    if (done.ok()) done = store.run([&](Environment& env) { return plan_changes(env.kv, plan); });
    if (done.ok()) return {};
    return directory + ": cannot be read: " + std::string(to_string(done.error()));
}

} // namespace

int repair_logs(const CommandLine& line, const Program& program) {
    const std::string directory =
        line.directories.empty() ? program.node.data_dir : line.directories.front();
    std::optional<server::Identity> identity;
    std::string wrong = look_for_repair(directory, identity);
    RepairPlan plan;
    if (wrong.empty()) wrong = make_plan(directory, program.io, *identity, plan);
    if (wrong.empty() && plan.pending && !line.force)
        wrong = directory + ": a repair was begun and has not come to its end: --force ends it";
    if (!wrong.empty()) {
        complain(wrong);
        return exit_failed;
    }
    const bool was_pending = plan.pending.has_value();
    const bool is_to_do = line.force && (was_pending || plan.salvage.is_needed);
    std::string where;
    if (is_to_do) {
        real::World world(reading_config(program.io, directory));
        const Result<> done = world.run([&](Environment& env) -> Result<> {
            where = TRY(carry_out(env, program.node.journal, plan));
            return {};
        });
        if (!done.ok()) {
            complain(directory + ": cannot be repaired: " + std::string(to_string(done.error())) +
                     ": nothing is deleted, and the command can be given again");
            return exit_failed;
        }
    }
    if (was_pending)
        std::fputs(line.as_json ? "{\"done\":true}\n" : "the repair has come to its end\n", stdout);
    else
        std::fputs(
            (line.as_json ? for_programs(plan, is_to_do, where) : for_people(plan, is_to_do, where))
                .c_str(),
            stdout);
    return !is_to_do && plan.salvage.loses() ? exit_failed : 0;
}

} // namespace pyralog::cli
