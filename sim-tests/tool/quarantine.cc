#include "sim-tests/tool/quarantine.h"

#include <algorithm>
#include <array>

namespace pyralog::simtest {

namespace {

constexpr std::array<Excused, 32> excused{{
    {"probe/acquaintance/this-disk-was-replaced",
     "no run puts an old disk back; host_giving_up_test does"},
    {"probe/broker/cannot-accept", "no accept of the simulated network fails"},
    {"probe/broker/too-many-clients",
     "runs have fewer clients; whim broker/turns-a-client-away goes the same way"},
    {"probe/controller/applied-no-placement",
     "checked before it is proposed: only a node with other members could propose it"},
    {"probe/controller/placed-a-group-again",
     "what was applied is stored with its effects, in one batch; nothing is applied twice"},
    {"probe/group/frames-do-not-lie-end-to-end", "packets have checksums, and no node lies"},
    {"probe/group/trimmed-while-it-looked-for-the-place",
     "two have to trim one log while one of them waits for its disk; trim_test has that of a log"},
    {"probe/groups/as-many-groups-as-may-be", "runs have fewer groups; groups_test has"},
    {"probe/host/disk-has-a-group-nobody-told-of",
     "a sync must lie of the last that the small facts were told, and nothing else go; host_test "
     "has"},
    {"probe/journal/newest-file-is-missing",
     "no fault takes a whole file; host_giving_up_test does"},
    {"probe/journal/unreadable-last-round",
     "damage strikes only what is settled, as no last round is; log_damage_test has"},
    {"probe/log/begun-anew-while-a-piece-was-moved",
     "a reset has to come in the moment of one sync; trim_test has"},
    {"probe/log/mended-with-what-compaction-has-left",
     "it must rot before it is moved, and others have compacted it by then; compaction_test has"},
    {"probe/log/more-keys-than-there-is-room-for",
     "runs have fewer keys; whim log/compacts-a-little goes the same way, and so does "
     "compaction_test"},
    {"probe/log/piece-was-written-and-not-synced", "whoever cannot sync ends its node"},
    {"probe/log/time-was-only-before-the-start",
     "times that go back have to lie around a start; trim_test has"},
    {"probe/producer-ids/block-is-gone",
     "an earlier request would have to be applied between a later one and the look at its block"},
    {"probe/producers/forgets-those-of-a-deleted-group",
     "the process must end between two steps of a deletion; group_producers_test has"},
    {"probe/raft/append-fits-no-log", "packets have checksums, and no node lies"},
    {"probe/raft/barrier-before-anything-is-committed", "handlers ask Group::serves() first"},
    {"probe/raft/reset-to-what-is-here",
     "entries would have to overtake it, by which their leader tells of fewer; reset_test has"},
    {"probe/raft/unsound-message", "packets have checksums, and no node lies"},
    {"probe/raft/vote-asked-again", "a stream brings nothing twice; raft/scripts does"},
    {"probe/retention/nobody-agreed-on-producers",
     "runs forget no producers, since they judge them; group_producers_test has those that are "
     "forgotten"},
    {"probe/salvage/a-cut-is-lost", "no run has an operator who repairs"},
    {"probe/salvage/begins-late", "no run has an operator who repairs; salvage_test has"},
    {"probe/salvage/entry-that-was-only-named", "no run has an operator who repairs"},
    {"probe/segment/filled-what-cannot-be-read",
     "two blocks beside a start must be unreadable; late_damage_test has"},
    {"probe/segment/more-damage-than-is-kept",
     "what is found is mended long before there is so much; log_damage_test has"},
    {"probe/transport/a-stranger-calls", "no run has a node that is in no list; host_test has"},
    {"probe/transport/another-cluster-calls", "no run has two clusters; host_test has"},
    {"probe/transport/another-node-answers", "no run moves an address; host_test does"},
}};

bool is_excused(const std::string& name) {
    return std::ranges::find(excused, name, &Excused::name) != excused.end();
}

// All that was not seen, excused or not.
std::vector<std::string> unseen(const SweepReport& report) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < static_cast<std::size_t>(FaultClass::count_); ++i) {
        const std::string name(to_string(static_cast<FaultClass>(i)));
        if (!report.runs_with.contains(name)) names.push_back("class/" + name);
    }
    for (const auto& [name, count] : report.faults)
        if (count.fired == 0 || count.effective == 0) names.push_back("fault/" + name);
    for (const auto& [name, hits] : report.probes)
        if (hits == 0) names.push_back("probe/" + name);
    for (const auto& [name, whim] : report.whims)
        if (whim.fired == 0) names.push_back("whim/" + name);
    return names;
}

} // namespace

std::span<const Excused> quarantine() { return excused; }

std::vector<std::string> untested(const SweepReport& report) {
    std::vector<std::string> names = unseen(report);
    std::erase_if(names, is_excused);
    return names;
}

std::string site_table(const SweepReport& report) {
    if (report.probes.empty()) return {};
    std::size_t fired = 0, reached = 0;
    for (const auto& [name, hits] : report.probes) reached += hits > 0 ? 1 : 0;
    for (const auto& [name, whim] : report.whims) fired += whim.fired > 0 ? 1 : 0;
    std::string out = "probes: " + std::to_string(reached) + " of " +
                      std::to_string(report.probes.size()) +
                      " reached; whims: " + std::to_string(fired) + " of " +
                      std::to_string(report.whims.size()) + " fired\n";
    std::string missing;
    for (const std::string& name : untested(report)) missing += "  " + name + '\n';
    out += "never seen:" + (missing.empty() ? " nothing that should be" : '\n' + missing);
    if (missing.empty()) out += '\n';
    out += "excused:\n";
    const std::vector<std::string> all = unseen(report);
    for (const Excused& one : excused) {
        const bool seen = std::ranges::find(all, one.name) == all.end();
        out += "  " + std::string(one.name) + ": " +
               (seen ? "was seen, and needs no excuse" : std::string(one.reason)) + '\n';
    }
    return out;
}

std::string all_sites(const SweepReport& report) {
    std::string out = "\nprobe: how often it was reached\n";
    for (const auto& [name, hits] : report.probes)
        out += "  " + name + ' ' + std::to_string(hits) + '\n';
    out += "\nwhim: in how many runs it was active, how often it was asked, and fired\n";
    for (const auto& [name, whim] : report.whims)
        out += "  " + name + ' ' + std::to_string(whim.active) + ' ' + std::to_string(whim.asked) +
               ' ' + std::to_string(whim.fired) + '\n';
    return out;
}

} // namespace pyralog::simtest
