// sim-tests/tool/page.h
//
// A run as one HTML page that needs nothing else. What goes into it is a list of rows, one for each
// thing that happened, in order; page.js draws them. A row is a JSON object whose keys are short:
//
//     k kind | s step | t time | n node | p peer | i piece | z bytes | x words | b began | u until
//     g group | r role | m term | e end | d durable end | c committed | v vote
//
// Times are nanoseconds of the world. A long run does not fit into a page that anybody wants to
// open: then what matters for all that follows (boots, faults, partitions, leaders) is kept from
// all of it, and the rest from a window around what was found.
#pragma once

#include "sim-tests/history.h"
#include "sim-tests/tool/message_text.h"
#include "sim-tests/tool/report.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pyralog::simtest {

// Makes rows of a run while it goes on. It has to outlive the options that it gave.
class RowMaker {
public:
    using Sink = std::function<void(std::string row)>;
    explicit RowMaker(Sink sink) : sink_(std::move(sink)) {}
    RowMaker(const RowMaker&) = delete;
    RowMaker& operator=(const RowMaker&) = delete;

    RunOptions options();

private:
    void event(const sim::TraceEvent& event);
    void replica(NodeId node, GroupId group, const raft::Consensus& replica);
    void ended(const History& history);
    void put(const sim::TraceEvent& event, std::string text, std::optional<GroupId> group);

    Sink sink_;
    SentTexts sent_;
    std::map<std::pair<NodeId, std::uint64_t>, std::string> calls_; // To disks, under way.
    std::uint64_t step_ = 0; // Of the last event, and the time of it.
    Duration time_{0};
};

// Which part of a run is wanted: by time, or by step.
struct PageWindow {
    std::optional<Duration> from, to;
    std::optional<std::uint64_t> from_step, to_step;
    bool given() const { return from || to || from_step || to_step; }
};

struct PageInput {
    std::vector<std::string> rows;
    SeedReport report;
    std::string plan, replay; // For people: what it was drawn to be, and the command.
    PageWindow window;
};

// Rows of the window, at most so many. All rows of a run that is not longer than that.
constexpr std::size_t page_rows_max = 16'000;

// What the page draws, as JSON.
std::string page_data(const PageInput& input);
// The page.
std::string page_html(const std::string& data);

} // namespace pyralog::simtest
