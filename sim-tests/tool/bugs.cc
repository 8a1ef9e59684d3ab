#include "sim-tests/tool/bugs.h"

#include "sim-tests/check_cluster.h"
#include "sim-tests/run.h"

namespace pyralog::simtest {

const std::vector<PlantedBug>& planted_bugs() {
    using namespace oracle;
    constexpr std::string_view election = "election safety";
    constexpr std::string_view matching = "log matching";
    constexpr std::string_view completeness = "leader completeness";
    constexpr std::string_view machine = "state machine safety";
    constexpr std::string_view majority = "committed is durable on a majority";
    static const std::vector<PlantedBug> bugs{
        {"M01", "a vote is told before it is durable", {election}},
        {"M02",
         "a vote is forgotten when stepping down in the same term",
         {"one vote in a term", election}},
        {"M03",
         "entries of older terms are committed by counting copies",
         {completeness, machine, matching}},
        {"M04",
         "a log is cut by an append that is merely late",
         {"durable is kept", "committed is kept", majority, committed_not_durable, completeness}},
        {"M05",
         "a conflicting tail is not cut",
         {matching, "terms tell of the log", "no term above the vote's", "crash"}},
        {"M06", "a follower commits beyond what was verified", {machine, matching}},
        {"M07",
         "a follower acknowledges more than was verified",
         {majority, committed_not_durable, machine, completeness, matching}},
        {"M08",
         "a refused append counts as stored",
         {majority, committed_not_durable, machine, completeness, "crash"}},
        {"M15",
         "a write that was overruled counts when it is done",
         {committed_not_durable, majority, "durable is in the log", "durable is kept"}},
        {"M17",
         "acknowledged before the journal is durable",
         {committed_not_durable, acknowledged_not_durable}},
        {"M24", "a new leader answers reads before it has committed", {stale_end}},
        {"M25", "an old answer counts for a new read", {stale_end}},
        {"M27", "a higher term is ignored", {no_progress, no_agreement}},
        {"M28", "a leader that nobody hears never steps down", {no_progress}},
    };
    return bugs;
}

} // namespace pyralog::simtest
