#include "sim-tests/tool/bugs.h"

#include "sim-tests/check_cluster.h"
#include "sim-tests/check_groups.h"
#include "sim-tests/check_transactions.h"
#include "sim-tests/cluster.h"
#include "sim-tests/run.h"
#include "sim-tests/tool/first_difference.h"
#include "sim-tests/tool/sweep.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

namespace pyralog::simtest {

namespace {

// More real time than this for a second of the budget, and a hunt is given up.
constexpr int patience_factor = 6;

// ---- The oracles by their short names ----

constexpr std::string_view crash = "crash";
constexpr std::string_view election = "election safety";
constexpr std::string_view one_vote = "one vote in a term";
constexpr std::string_view matching = "log matching";
constexpr std::string_view completeness = "leader completeness";
constexpr std::string_view machine = "state machine safety";
constexpr std::string_view majority = "committed is durable on a majority";
constexpr std::string_view durable_kept = "durable is kept";
constexpr std::string_view committed_kept = "committed is kept";
constexpr std::string_view elected = "elected by durable votes";
constexpr std::string_view own_term = "a leader commits its own term";
constexpr std::string_view own_entries = "a term's own entries stay";
constexpr std::string_view matched_there = "matched is durable there";
constexpr std::string_view not_stale = "reads are not stale";
constexpr std::string_view who_led = "a barrier is passed by who led";
constexpr std::string_view after_question = "answers come after the question";

std::vector<PlantedBug> votes_and_terms() {
    using namespace oracle;
    return {
        {"M01", "a vote is told before it is durable", {elected, election, durable_kept}, {}},
        {"M02", "a vote is forgotten when stepping down in its term", {one_vote, election}, {}},
        {"M03",
         "entries of older terms are committed by counting copies",
         {own_term, completeness, machine, matching},
         {}},
        {"M04",
         "a log is cut by an append that is merely late",
         {own_entries, durable_kept, committed_kept, majority, committed_not_durable, completeness,
          matched_there},
         {}},
        {"M05",
         "a conflicting tail is not cut",
         {matching, "terms tell of the log", "no term above the vote's", crash},
         {}},
        {"M06", "a follower commits beyond what was verified", {machine, matching}, {}},
        {"M07",
         "a follower acknowledges more than was verified",
         {matched_there, majority, committed_not_durable, machine, completeness, matching},
         {}},
        {"M08",
         "a refused append counts as stored",
         {matched_there, majority, committed_not_durable, machine, completeness, no_progress,
          no_agreement, crash},
         {}},
        {"M09",
         "a trimmed previous entry is taken for a conflict",
         {own_entries, durable_kept, committed_kept, majority, committed_not_durable, completeness,
          matched_there},
         {},
         rare_bug_budget},
        {"M10",
         "a log that was trimmed to nothing votes as if it were new",
         {},
         "logs that are trimmed to nothing: what trims one is an entry of it"},
        {"M11", "a second change of members before an entry of the own term", {}, "membership"},
        {"M12", "a joint majority is counted over the union", {}, "membership"},
        {"M13", "members count from when they are applied", {}, "membership"},
    };
}

std::vector<PlantedBug> disks_and_restarts() {
    using namespace oracle;
    return {
        {"M14",
         "a log that begins anew keeps a tail that contradicts it",
         {matching, machine, "terms tell of the log", crash},
         {},
         rare_bug_budget},
        {"M15",
         "a write that was overruled counts when it is done",
         {durable_not_on_media, matched_there, committed_not_durable, majority, durable_kept},
         {}},
        {"M16",
         "what was applied is stored apart from what it did",
         {catalogues_differ, no_agreement, no_progress},
         {}},
        {"M17",
         "acknowledged before the journal is durable",
         {durable_not_on_media, committed_not_durable, acknowledged_not_durable},
         {}},
        {"M18",
         "a failed sync is tried again, and believed",
         {durable_not_on_media, committed_not_durable, acknowledged_not_durable, durable_kept,
          recovered_less, refused_recovery},
         {}},
        {"M19",
         "a new journal file's name is not synced",
         {durable_not_on_media, committed_not_durable, acknowledged_not_durable, durable_kept,
          recovered_less, refused_recovery},
         {}},
        {"M19s",
         "a new segment's name is not synced",
         {durable_not_on_media, committed_not_durable, durable_kept, recovered_less,
          refused_recovery},
         {}},
        {"M20",
         "recovery accepts what lies behind a hole",
         {refused_recovery, durable_kept, recovered_less, durable_not_on_media,
          committed_not_durable, matching},
         {},
         rare_bug_budget},
        {"M21",
         "rot is taken for a torn tail",
         {durable_kept, recovered_less, completeness, majority},
         {}},
        {"M22",
         "a node begins anew when its disk is damaged",
         {durable_kept, recovered_less, completeness, majority},
         {}},
        {"M38",
         "a node begins anew when its disk is full",
         {durable_kept, recovered_less, completeness, majority},
         {}},
        {"M43",
         "a replica that has lost what it promised votes before it is level",
         {"who has forgotten abstains", completeness, majority},
         {}},
        {"M44",
         "an empty disk in place of one that was lost takes itself for new",
         {durable_kept, completeness, majority, committed_not_durable},
         {}},
    };
}

std::vector<PlantedBug> past_the_journal() {
    using namespace oracle;
    return {
        {"M39",
         "the journal names what is not durable",
         {durable_not_on_media, committed_not_durable, acknowledged_not_durable, durable_kept,
          recovered_less},
         {}},
        {"M40",
         "what a segment has ahead is taken for committed",
         {machine, majority, durable_not_on_media, matching, committed_kept, durable_kept},
         {}},
    };
}

std::vector<PlantedBug> reads_and_progress() {
    using namespace oracle;
    return {
        {"M23",
         "a leader answers for the end without asking the others",
         {old_leader_told, stale_end},
         {},
         rare_bug_budget},
        {"M24", "a new leader answers reads before it has committed", {stale_end, not_stale}, {}},
        {"M25",
         "an old answer counts for a new read",
         {after_question, who_led, not_stale, old_leader_told, stale_end},
         {}},
        {"M26", "a lease without a margin for drift", {}, "leases"},
        {"M27", "a higher term is ignored", {no_progress, no_agreement}, {}},
        {"M28", "a leader that nobody hears never steps down", {no_progress}, {}},
    };
}

std::vector<PlantedBug> what_clients_see() {
    using namespace oracle;
    return {
        {"M29",
         "an answer for what another leader put in its place",
         {acknowledged_not_durable, acknowledged_lost, moved, out_of_order},
         {}},
        {"M30",
         "a log is cut to what is known to be committed, at a restart",
         {durable_kept, recovered_less},
         {}},
        {"M31",
         "committed is raised before a conflicting tail is cut",
         {machine, matching, crash},
         {}},
        {"M32",
         "a cache knows batches by their offsets alone",
         // Clients read what was overruled, and so does the controller.
         {two_at_one_offset, read_then_lost, acknowledged_lost, invented, duplicated, batch_broken,
          moved, not_contiguous, out_of_order, refused_yet_stored, watermark, catalogues_differ},
         {}},
        {"M33",
         "a log's new start is told before it is agreed on",
         {undeleted, read_then_lost},
         {},
         rare_bug_budget},
        {"M34",
         "a new leader does not know the producers",
         {duplicated, out_of_order, moved, sequence_gap, producers_differ},
         {}},
        {"M35",
         "a marker is written before its prepare is durable",
         {transaction_torn, transaction_untrue},
         {},
         rare_bug_budget},
        {"M36", "a leader counts itself that is no voter", {}, "membership"},
        {"M37", "a removed node comes back with its old disk", {}, "membership"},
    };
}

// G: what coordinators of groups get wrong. Others have done all of these.
std::vector<PlantedBug> what_members_see() {
    using namespace oracle;
    return {
        {"G01", "an offset is acknowledged before it is committed", {offset_went_back}, {}},
        {"G02",
         "a generation is told before it is stored",
         {zombie_accepted, generation_went_back, two_assign, shared_twice},
         {}},
        {"G03", "a commit of an older generation is taken", {zombie_accepted}, {}},
        {"G04",
         "offsets are read by who takes himself for the coordinator",
         {offset_went_back},
         {}},
        {"G05",
         "groups are loaded before it is known what is committed",
         {zombie_accepted, generation_went_back, two_assign, shared_twice},
         {},
         rare_bug_budget},
    };
}

// P: what brokers get wrong about idempotent producers.
std::vector<PlantedBug> what_producers_see() {
    using namespace oracle;
    return {
        {"P01",
         "a repeated batch is acknowledged before the first is committed",
         {acknowledged_not_durable, acknowledged_lost, moved},
         {}},
        {"P02",
         "what a leader appended counts for good, also when it is overruled",
         {acknowledged_lost, acknowledged_not_durable, moved, sequence_refused, sequence_gap,
          duplicated, producers_differ},
         {}},
        {"P03",
         "a batch is taken though one before it is missing",
         {sequence_gap, out_of_order},
         {}},
        {"P04",
         "what is trimmed is forgotten of its producers",
         {duplicated, sequence_gap, producers_differ},
         {}},
        {"P05",
         "a new producer's batch is taken though the one before it was refused",
         {sequence_gap, out_of_order, sequence_refused},
         {}},
        {"P06",
         "what came after a snapshot of producers is not read again",
         {duplicated, sequence_refused, out_of_order, producers_differ},
         {}},
        {"P07", "a node hands out its ids again after a restart", {id_given_twice}, {}},
    };
}

// T: what brokers and coordinators get wrong about transactions.
std::vector<PlantedBug> what_is_committed() {
    using namespace oracle;
    return {
        {"T01", "the stable end passes over transactions that are open", {uncommitted_read}, {}},
        {"T02", "a coordinator hears who has been fenced", {fenced_yet_heard}, {}},
        {"T03", "an abort is written as a commit", {transaction_untrue, uncommitted_read}, {}},
        {"T04", "a partition takes batches of who has been fenced", {fenced_yet_heard}, {}},
        {"T05", "read_committed reads to the high watermark", {uncommitted_read}, {}},
        {"T06", "offsets of a transaction that was aborted count", {derived_never}, {}},
        {"T07", "offsets count before their transaction commits", {derived_never}, {}},
        {"T08", "offsets are told that a transaction may yet change", {derived_twice}, {}},
    };
}

// N: mistakes of our own kind. In compaction,
std::vector<PlantedBug> what_is_compacted() {
    using namespace oracle;
    return {
        {"N02",
         "compaction takes the newest record of a key for an older one",
         {newest_lost, came_back, not_contiguous},
         {}},
        {"N03",
         "compaction forgets what deletes a key at once",
         {newest_lost, came_back, prefixes_differ},
         {}},
        {"N04",
         "what a transaction wrote that was aborted is the newest of its key",
         {newest_lost, came_back},
         {}},
    };
}

// and what breaks the simulator's own promise, that a seed is one run.
std::vector<PlantedBug> what_is_not_deterministic() {
    return {
        {"N01",
         "a set of pointers is iterated in the order of addresses",
         {oracle::not_deterministic},
         {}},
    };
}

} // namespace

const std::vector<PlantedBug>& planted_bugs() {
    static const std::vector<PlantedBug> bugs = [] {
        std::vector<PlantedBug> all;
        for (auto* part :
             {votes_and_terms, disks_and_restarts, past_the_journal, reads_and_progress,
              what_clients_see, what_members_see, what_producers_see, what_is_committed,
              what_is_compacted, what_is_not_deterministic})
            std::ranges::copy(part(), std::back_inserter(all));
        return all;
    }();
    return bugs;
}

const PlantedBug* find_bug(std::string_view name) {
    const auto& bugs = planted_bugs();
    const auto found = std::ranges::find(bugs, name, &PlantedBug::name);
    return found == bugs.end() ? nullptr : &*found;
}

std::string list_bugs() {
    std::ostringstream out;
    for (const PlantedBug& bug : planted_bugs()) {
        out << bug.name << std::string(6 - bug.name.size(), ' ') << bug.what;
        if (bug.planted())
            out << " (" << bug.budget / 1s << " s)";
        else
            out << "; waits for " << bug.waits_for;
        out << '\n';
        for (const std::string_view oracle : bug.oracles) out << "      " << oracle << '\n';
    }
    return out.str();
}

namespace {

// What a hunt has found out.
struct Hunt {
    const PlantedBug& bug;
    std::optional<SeedReport> caught;
    std::uint64_t seeds = 0, reached = 0;
    Duration cpu{0};
    std::map<std::string, std::uint64_t> fired; // By oracle, expected or not: so many seeds.
};

bool is_expected(const PlantedBug& bug, const std::string& oracle) {
    return std::ranges::find(bug.oracles, oracle) != bug.oracles.end();
}

Hunt hunt(const PlantedBug& bug, const BugOptions& options) {
    Hunt hunt{bug, {}, 0, 0, {}, {}};
    const Duration budget = options.budget.value_or(bug.budget);
    SweepOptions sweeping;
    sweeping.first = options.first_seed;
    sweeping.time = patience_factor * budget / options.jobs;
    sweeping.jobs = options.jobs;
    sweeping.bug = bug.name;
    sweeping.twice = is_expected(bug, std::string(oracle::not_deterministic));
    sweeping.keep_going = true;
    sweeping.quiet = true;
    sweeping.watch = [&](const SeedReport& report) {
        ++hunt.seeds;
        hunt.cpu += report.cpu;
        if (report.bug_hits > 0) ++hunt.reached;
        if (report.exit_code != exit_pass) ++hunt.fired[report.oracle];
        if (report.exit_code != exit_pass && report.bug_hits > 0 &&
            is_expected(bug, report.oracle) &&
            run_apart(report.seed, {}, {}).exit_code == exit_pass)
            hunt.caught = report;
        return !hunt.caught && hunt.cpu < budget;
    };
    (void)sweep(sweeping);
    return hunt;
}

void print_row(const Hunt& hunt) {
    std::string others;
    for (const auto& [oracle, seeds] : hunt.fired) {
        if (hunt.caught && oracle == hunt.caught->oracle && seeds == 1) continue;
        others += (others.empty() ? "" : ", ") + oracle + " x" + std::to_string(seeds);
    }
    std::printf("%-5s %-7s %-36s %8.1f %6llu %8llu %8s  %s%s\n", std::string(hunt.bug.name).c_str(),
                hunt.caught ? "caught" : "MISSED", hunt.caught ? hunt.caught->oracle.c_str() : "-",
                seconds(hunt.cpu), static_cast<unsigned long long>(hunt.seeds),
                static_cast<unsigned long long>(hunt.reached),
                hunt.caught ? std::to_string(hunt.caught->seed).c_str() : "-",
                std::string(hunt.bug.what).c_str(),
                others.empty() ? "" : (" [" + others + "]").c_str());
    std::fflush(stdout);
}

// Which oracles have seen which bug: one line for each oracle that saw any.
void print_matrix(const std::vector<Hunt>& hunts) {
    std::map<std::string, std::string> lines;
    for (const Hunt& hunt : hunts)
        for (const auto& [oracle, seeds] : hunt.fired)
            lines[oracle] +=
                ' ' + std::string(hunt.bug.name) + (is_expected(hunt.bug, oracle) ? "" : "?");
    std::printf("\noracle                               has seen (?: not expected of it)\n");
    for (const auto& [oracle, bugs] : lines) std::printf("%-36s%s\n", oracle.c_str(), bugs.c_str());
}

std::string to_json(const std::vector<Hunt>& hunts) {
    std::ostringstream out;
    out << "{\"bugs\": [";
    bool first = true;
    for (const Hunt& hunt : hunts) {
        out << (first ? "\n" : ",\n") << R"(  {"name": ")" << hunt.bug.name << R"(", "what": ")"
            << hunt.bug.what << R"(", "caught": )" << (hunt.caught ? "true" : "false");
        first = false;
        if (hunt.caught)
            out << R"(, "oracle": ")" << hunt.caught->oracle << R"(", "seed": )"
                << hunt.caught->seed;
        out << R"(, "cpu_s": )" << seconds(hunt.cpu) << R"(, "seeds": )" << hunt.seeds
            << R"(, "reached": )" << hunt.reached << R"(, "fired": {)";
        bool first_oracle = true;
        for (const auto& [oracle, seeds] : hunt.fired) {
            out << (first_oracle ? "" : ", ") << '"' << oracle << "\": " << seeds;
            first_oracle = false;
        }
        out << "}}";
    }
    out << "\n], \"waiting\": [";
    first = true;
    for (const PlantedBug& bug : planted_bugs()) {
        if (bug.planted()) continue;
        out << (first ? "\n" : ",\n") << R"(  {"name": ")" << bug.name << R"(", "what": ")"
            << bug.what << R"(", "for": ")" << bug.waits_for << "\"}";
        first = false;
    }
    out << "\n]}\n";
    return out.str();
}

} // namespace

int hunt_bugs(const BugOptions& options) {
    const PlantedBug* const only = options.only.empty() ? nullptr : find_bug(options.only);
    if (!options.only.empty() && (!only || !only->planted())) {
        std::fprintf(stderr, "no bug of that name is planted:\n%s", list_bugs().c_str());
        return exit_usage;
    }
    const bool quiet = options.json_path == "-";
    if (!quiet)
        std::printf("bug   verdict oracle                                  cpu_s  seeds  reached"
                    "     seed  what [other oracles]\n");
    std::vector<Hunt> hunts;
    for (const PlantedBug& bug : planted_bugs()) {
        if (!bug.planted() || (only && only != &bug)) continue;
        hunts.push_back(hunt(bug, options));
        if (!quiet) print_row(hunts.back());
    }
    const auto caught = std::ranges::count_if(hunts, [](const Hunt& h) { return !!h.caught; });
    if (!quiet) {
        for (const PlantedBug& bug : planted_bugs())
            if (!bug.planted() && !only)
                std::printf("%-5s waits for %s: %s\n", std::string(bug.name).c_str(),
                            std::string(bug.waits_for).c_str(), std::string(bug.what).c_str());
        print_matrix(hunts);
        std::printf("\nplanted=%zu caught=%zu\n", hunts.size(), static_cast<std::size_t>(caught));
    }
    if (quiet)
        std::printf("%s", to_json(hunts).c_str());
    else if (!options.json_path.empty())
        std::ofstream(options.json_path) << to_json(hunts);
    return static_cast<std::size_t>(caught) == hunts.size() ? exit_pass : exit_safety;
}

} // namespace pyralog::simtest
