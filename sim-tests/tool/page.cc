#include "sim-tests/tool/page.h"

#include "core/base/check.h"

#include <nlohmann/json.hpp>
#include <page_parts.h>

#include <algorithm>
#include <limits>

namespace pyralog::simtest {

namespace {

using Json = nlohmann::json;

constexpr std::size_t sparse_rows_max = 8'000;

struct Row {
    Json json;
    std::int64_t time = 0;
    std::uint64_t step = 0;
    bool is_span = false; // A client's request: has an end, and no step.
    bool sparse = false;  // Kept from all of the run.
};

// Faults of the wire that are many, and show at their messages anyway.
bool is_small_fault(const std::string& text) {
    return text.starts_with("split_write") || text.starts_with("short_read") ||
           text.starts_with("slow_disk") || text.starts_with("fenced");
}

// Rows that say what holds from then on.
class Sparse {
public:
    bool operator()(const Json& row) {
        const std::string kind = row.at("k");
        for (const char* name : {"boot", "exit", "kill", "power cut", "pause", "resume",
                                 "link blocked", "link healed", "note"})
            if (kind == name) return true;
        if (kind == "fault") return !is_small_fault(row.at("x"));
        if (kind != "replica") return false;
        const auto key = std::pair(row.at("n").get<int>(), row.at("g").get<std::int64_t>());
        const auto now = std::pair(row.at("r").get<std::string>(), row.at("m").get<int>());
        return std::exchange(standing_[key], now) != now;
    }

private:
    std::map<std::pair<int, std::int64_t>, std::pair<std::string, int>> standing_;
};

std::vector<Row> parse(const std::vector<std::string>& texts) {
    std::vector<Row> rows;
    Sparse sparse;
    for (const std::string& text : texts) {
        Row row;
        // A worker that died may have left half a row.
        row.json = Json::parse(text, nullptr, false);
        if (row.json.is_discarded()) continue;
        row.time = row.json.at("t");
        row.step = row.json.at("s");
        const std::string kind = row.json.at("k");
        row.is_span = kind == "produce" || kind == "fetch";
        row.sparse = !row.is_span && sparse(row.json);
        rows.push_back(std::move(row));
    }
    return rows;
}

// From when to when everything is shown.
struct Times {
    std::int64_t from = std::numeric_limits<std::int64_t>::min();
    std::int64_t to = std::numeric_limits<std::int64_t>::max();
    bool has(const Row& row) const {
        if (row.is_span) return row.time <= to && row.json.value("u", row.time) >= from;
        return row.time >= from && row.time <= to;
    }
};

// Steps as times: rows come in the order of both.
Times asked_for(const PageWindow& window, const std::vector<Row>& rows) {
    Times times;
    if (window.from) times.from = window.from->count();
    if (window.to) times.to = window.to->count();
    bool begun = false;
    for (const Row& row : rows) {
        if (row.is_span) continue;
        if (window.from_step && !begun && row.step >= *window.from_step) {
            times.from = row.time;
            begun = true;
        }
        if (window.to_step && row.step <= *window.to_step) times.to = row.time;
    }
    return times;
}

// The last rows up to what was found that there is room for, and a few behind it.
Times around_the_end(const std::vector<Row>& rows, Times times) {
    std::size_t count = 0;
    for (std::size_t i = rows.size(); i-- > 0;) {
        if (rows[i].is_span || rows[i].sparse || !times.has(rows[i])) continue;
        if (++count <= page_rows_max) continue;
        times.from = rows[i].time + 1;
        break;
    }
    return times;
}

Json choose(std::vector<Row>& rows, const Times& times) {
    // What each replica was when the window begins.
    std::map<std::pair<int, std::int64_t>, std::size_t> standing;
    std::size_t sparse = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Row& row = rows[i];
        if (row.sparse && !times.has(row)) ++sparse;
        if (row.json.at("k") == "replica" && row.time < times.from)
            standing[{row.json.at("n").get<int>(), row.json.at("g").get<std::int64_t>()}] = i;
    }
    for (const auto& [key, i] : standing) rows[i].sparse = true;
    std::size_t too_many = sparse > sparse_rows_max ? sparse - sparse_rows_max : 0;
    Json chosen = Json::array();
    for (Row& row : rows) {
        const bool inside = times.has(row);
        if (!inside && (!row.sparse || (too_many > 0 && too_many-- > 0))) continue;
        chosen.push_back(std::move(row.json));
    }
    return chosen;
}

void replace(std::string& text, std::string_view what, std::string_view by) {
    const std::size_t at = text.find(what);
    CHECK(at != std::string::npos);
    text.replace(at, what.size(), by);
}

} // namespace

std::string page_data(const PageInput& input) {
    std::vector<Row> rows = parse(input.rows);
    const Times times = around_the_end(rows, asked_for(input.window, rows));
    Json data{{"seed", input.report.seed},
              {"plan", input.plan},
              {"commit", built_from()},
              {"replay", input.replay},
              {"exit_code", input.report.exit_code},
              {"oracle", input.report.oracle},
              {"detail", input.report.detail},
              {"step", input.report.event},
              {"time", input.report.time.count()}};
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (const Row& row : rows)
        if (!row.is_span && times.has(row)) first = std::min(first, row.time);
    data["window"] = rows.empty() ? 0 : std::min(first, input.report.time.count());
    const std::size_t all = rows.size();
    data["rows"] = choose(rows, times);
    data["left_out"] = all - data["rows"].size();
    return data.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string page_html(const std::string& data) {
    std::string safe;
    safe.reserve(data.size());
    // "</script>" would end the data, wherever it is.
    for (const char c : data) safe += c == '<' ? std::string("\\u003c") : std::string(1, c);
    std::string page = page_part_html;
    replace(page, "/*STYLE*/", page_part_style);
    replace(page, "/*SCRIPT*/", page_part_script);
    replace(page, "/*DATA*/", safe);
    return page;
}

} // namespace pyralog::simtest
