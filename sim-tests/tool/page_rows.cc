// What happens in a run, as rows.
#include "sim-tests/tool/page.h"

#include <nlohmann/json.hpp>

#include <optional>

namespace pyralog::simtest {

namespace {

using Json = nlohmann::json;

std::string row_text(const Json& row) {
    return row.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string_view outcome_text(const Produce& produce) {
    switch (produce.outcome) {
    case Outcome::stored: return "stored";
    case Outcome::refused: return "refused";
    case Outcome::unknown: return produce.completed ? "open" : "no answer";
    }
    check_failed("a known Outcome", __FILE__, __LINE__);
}

} // namespace

RunOptions RowMaker::options() {
    RunOptions options;
    options.listener = [this](const sim::TraceEvent& e) { event(e); };
    options.replicas = [this](NodeId node, GroupId group, const raft::Consensus& r) {
        replica(node, group, r);
    };
    options.ended = [this](const History& history) { ended(history); };
    return options;
}

void RowMaker::event(const sim::TraceEvent& event) {
    step_ = event.step;
    time_ = event.time;
    std::string text(event.text);
    std::optional<GroupId> group;
    if (event.kind == sim::TraceKind::call) {
        calls_[{event.node, event.id}] = Json{
            {"k", "disk"},
            {"s", event.step},
            {"n", event.node.value},
            {"b", event.time.count()},
            {"x", text}}.dump();
        return;
    }
    if (event.kind == sim::TraceKind::disk) calls_.erase({event.node, event.id});
    // They ended with their process.
    if (event.kind == sim::TraceKind::kill || event.kind == sim::TraceKind::power_cut)
        std::erase_if(calls_, [&](const auto& call) { return call.first.first == event.node; });
    if (event.kind == sim::TraceKind::sent && !event.bytes.empty()) {
        MessageText said = sent_.of(event);
        text = std::move(said.text);
        if (said.groups.size() == 1) group = *said.groups.begin();
    }
    put(event, std::move(text), group);
}

void RowMaker::put(const sim::TraceEvent& event, std::string text, std::optional<GroupId> group) {
    Json row{{"k", to_string(event.kind)}, {"s", event.step}, {"t", event.time.count()}};
    if (event.node.value != 0) row["n"] = event.node.value;
    if (event.peer.value != 0) row["p"] = event.peer.value;
    if (event.id != 0 && event.kind != sim::TraceKind::disk) row["i"] = event.id;
    if (event.size != 0) row["z"] = event.size;
    if (event.began != Duration{0}) row["b"] = event.began.count();
    if (event.until != Duration{0}) row["u"] = event.until.count();
    if (group) row["g"] = group->value;
    if (!text.empty()) row["x"] = std::move(text);
    sink_(row_text(row));
}

void RowMaker::replica(NodeId node, GroupId group, const raft::Consensus& replica) {
    const auto& vote = replica.vote();
    const bool vote_durable = replica.durable_vote() == vote;
    Json row{{"k", "replica"},
             {"s", step_},
             {"t", time_.count()},
             {"n", node.value},
             {"g", group.value},
             {"r", to_string(replica.role())},
             {"m", vote.term.value},
             {"e", replica.end().index},
             {"d", replica.durable_end().index},
             {"c", replica.committed().index}};
    if (vote.candidate)
        row["v"] = std::to_string(vote.candidate->value) + (vote_durable ? "" : " (not durable)");
    sink_(row_text(row));
}

void RowMaker::ended(const History& history) {
    for (const auto& [key, text] : calls_) {
        Json row = Json::parse(text);
        row["t"] = time_.count();
        row["s"] = step_;
        row["x"] = row["x"].get<std::string>() + " (under way)";
        sink_(row_text(row));
    }
    for (const Produce& produce : history.produces()) {
        Json row{{"k", "produce"},
                 {"s", 0},
                 {"t", produce.invoked.count()},
                 {"n", produce.client},
                 {"r", outcome_text(produce)}};
        if (produce.completed) row["u"] = produce.completed->count();
        std::string text = "Produce " + to_string(history.name(produce.partition)) + " records " +
                           std::to_string(produce.first_number) + ".." +
                           std::to_string(produce.first_number + produce.records) +
                           " acks=" + std::to_string(static_cast<int>(produce.acks));
        if (produce.outcome == Outcome::stored)
            text += " stored at offset " + std::to_string(produce.base_offset);
        row["x"] = text;
        sink_(row_text(row));
    }
    for (const Fetch& fetch : history.fetches()) {
        Json row{{"k", "fetch"},
                 {"s", 0},
                 {"t", fetch.invoked.count()},
                 {"u", fetch.completed.count()},
                 {"n", fetch.client},
                 {"r", "read"}};
        row["x"] = "Fetch " + to_string(history.name(fetch.partition)) + " from " +
                   std::to_string(fetch.from) + " saw " + std::to_string(fetch.seen.size()) +
                   " records, high watermark " + std::to_string(fetch.high_watermark);
        sink_(row_text(row));
    }
}

} // namespace pyralog::simtest
