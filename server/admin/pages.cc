#include "server/admin/pages.h"

#include "server/admin/console.h"
#include "server/admin/json.h"
#include "server/admin/observer.h"
#include "server/admin/relay.h"

#include <algorithm>
#include <array>

namespace pyralog::server {

struct Page {
    using Answer = HttpResponse (Pages::*)(const HttpRequest&) const;
    std::string_view path, methods;
    Answer answer;
    std::string_view what;
    bool of_any_node = false; // ?node=N asks that one.

    static const std::array<Page, 14> all;
    static const Page* find(std::string_view path) {
        for (const Page& page : all)
            if (page.path == path) return &page;
        return nullptr;
    }
    bool takes(std::string_view method) const {
        for (std::string_view rest = methods; !rest.empty();) {
            const std::string_view one = rest.substr(0, rest.find(','));
            if (one == method) return true;
            rest.remove_prefix(std::min(rest.size(), one.size() + 2));
        }
        return false;
    }
};

constexpr std::array<Page, 14> Page::all{{
    {"/", "GET", &Pages::console, "the console, for a browser"},
    {"/console.css", "GET", &Pages::style, "its style"},
    {"/console.js", "GET", &Pages::script, "its script"},
    {"/healthz", "GET", &Pages::health, "200 while the process works"},
    {"/readyz", "GET", &Pages::readiness, "200 while the node can serve, else 503 and why"},
    {"/metrics", "GET", &Pages::metrics, "what it has counted, for Prometheus"},
    {"/v1/status", "GET", &Pages::status, "what `pyralog status` shows"},
    {"/v1/cluster", "GET", &Pages::cluster, "the nodes, and how each is", true},
    {"/v1/topics", "GET", &Pages::topics, "the topics", true},
    {"/v1/partitions", "GET", &Pages::partitions,
     "the partitions, and why one is not well; ?topic=NAME &partition=N &state=STATE &limit=N",
     true},
    {"/v1/groups", "GET", &Pages::groups, "the consumer groups that a node coordinates", true},
    {"/v1/history", "GET", &Pages::history, "the last five minutes of a node", true},
    {"/v1/log-level", "GET, PUT", &Pages::log_level, "the least that is logged; PUT changes it"},
    {"/v1/stop", "POST", &Pages::stop, "202, and the node shuts down"},
}};

namespace {

// What is told of partitions if nobody says how many.
constexpr std::int64_t partitions_told_max = 10'000;

constexpr std::string_view json = "application/json";

HttpResponse plain(int status, std::string_view text) {
    return {status, "text/plain; charset=utf-8", std::string(text) + '\n', {}};
}

HttpResponse as_json(JsonWriter writer, int status = 200) {
    return {status, std::string(json), std::move(writer).text(), {}};
}

HttpResponse problem(int status, std::string_view what) {
    JsonWriter writer;
    writer.begin_object().field("error", what).end_object();
    return as_json(std::move(writer), status);
}

constexpr std::string_view recovering = "recovery has not finished";

void write(JsonWriter& out, const PartitionSeen& seen) {
    const PartitionFacts& facts = seen.facts;
    out.begin_object();
    if (!seen.topic.empty()) out.field("topic", seen.topic).field("partition", seen.index);
    out.field("group", seen.group.value);
    out.key("leader");
    facts.leader ? out.value(facts.leader->value) : out.null();
    out.field("term", facts.term.value).key("replicas").begin_array();
    for (const NodeId replica : facts.replicas) out.value(replica.value);
    out.end_array().field("state", to_string(seen.verdict.state)).field("why", seen.verdict.why);
    out.field("is_here", facts.is_here);
    if (facts.is_here) {
        out.field("role", to_string(facts.role)).field("start_offset", seen.start.value);
        out.field("committed_offset", seen.committed.value).field("end_offset", seen.end.value);
        out.field("damages", facts.damages).key("followers").begin_array();
        for (const PartitionFacts::Behind& one : facts.behind)
            out.begin_object()
                .field("node", one.node.value)
                .field("behind_entries", one.entries)
                .field("behind_ms", one.lasting.count() / 1'000'000)
                .end_object();
        out.end_array();
    }
    out.end_object();
}

} // namespace

AdminAnswer Pages::answer(const HttpRequest& request) const {
    const Page* const page = Page::find(request.path);
    if (!page) return {plain(404, "there is no such page; these there are:\n" + list())};
    if (!page->takes(request.method)) {
        HttpResponse refusal =
            plain(405, request.path + " takes " + std::string(page->methods) + " only");
        refusal.allow = page->methods;
        return {std::move(refusal)};
    }
    const auto node = request.parameter("node");
    const bool is_for_another = node && *node != std::to_string(config_.node_id);
    if (is_for_another && !page->of_any_node)
        return {plain(400, "each node has this page for itself alone: ask that node")};
    if (is_for_another) return {relayed(*node, request)};
    return {(this->*page->answer)(request), page->answer == &Pages::stop};
}

HttpResponse Pages::relayed(std::string_view node, const HttpRequest& request) const {
    const auto number = parse_integer(node);
    const std::vector<NodeId> members = config_.member_ids();
    const bool is_member = number && std::ranges::any_of(members, [&](NodeId member) {
                               return member.value == *number;
                           });
    if (!is_member) return problem(404, "the cluster has no node \"" + std::string(node) + '"');
    if (!broker_.observer()) return problem(503, recovering);
    const std::string named = "node " + std::string(node);
    const auto answer = broker_.relay().ask(NodeId(static_cast<std::int32_t>(*number)), request);
    if (answer.ok()) return answer.value();
    return problem(503, answer.error() == Error::timed_out ? named + " does not answer"
                                                           : named + " could not be asked");
}

HttpResponse Pages::tell(const HttpRequest& request) const {
    const Page* const page = Page::find(request.path);
    if (!page || !page->of_any_node) return problem(404, "that node has no such page");
    return (this->*page->answer)(request);
}

std::string Pages::list() {
    std::string text;
    for (const Page& page : Page::all) {
        text += std::string(page.methods) + ' ' + std::string(page.path);
        text += "  " + std::string(page.what) + '\n';
    }
    return text;
}

HttpResponse Pages::console(const HttpRequest&) const {
    return {200, "text/html; charset=utf-8", std::string(console_html()), {}};
}
HttpResponse Pages::style(const HttpRequest&) const {
    return {200, "text/css; charset=utf-8", std::string(console_css()), {}};
}
HttpResponse Pages::script(const HttpRequest&) const {
    return {200, "text/javascript; charset=utf-8", std::string(console_js()), {}};
}

HttpResponse Pages::health(const HttpRequest&) const { return plain(200, "ok"); }

std::vector<std::string> Pages::unready() const {
    const Observer* const observer = broker_.observer();
    return observer ? observer->unready() : std::vector<std::string>{std::string(recovering)};
}

HttpResponse Pages::readiness(const HttpRequest&) const {
    const std::vector<std::string> reasons = unready();
    JsonWriter out;
    out.begin_object().field("ready", reasons.empty()).key("reasons").begin_array();
    for (const std::string& reason : reasons) out.value(reason);
    out.end_array().end_object();
    return as_json(std::move(out), reasons.empty() ? 200 : 503);
}

HttpResponse Pages::metrics(const HttpRequest&) const {
    return {200, "text/plain; version=0.0.4; charset=utf-8", broker_.metrics(), {}};
}

HttpResponse Pages::status(const HttpRequest&) const {
    return {200, std::string(json), to_json(broker_.status()), {}};
}

HttpResponse Pages::cluster(const HttpRequest&) const {
    const Observer* const observer = broker_.observer();
    if (!observer) return problem(503, recovering);
    const Status status = broker_.status();
    const std::vector<std::string> reasons = unready();
    const Time now = env_.clock.now();
    JsonWriter out;
    out.begin_object().field("node", status.node.value).field("cluster", status.cluster);
    out.field("state", to_string(status.state)).field("ready", reasons.empty());
    out.key("reasons").begin_array();
    for (const std::string& reason : reasons) out.value(reason);
    out.end_array().field("formed", status.formed()).key("controller");
    write(out, observer->controller());
    out.field("topics", status.topics).field("partitions", status.partitions);
    out.field("partitions_without_leader", status.partitions_without_leader);
    out.field("disk_total_bytes", status.disk_total_bytes);
    out.field("disk_free_bytes", status.disk_free_bytes);
    out.field("disk_is_short", status.disk_is_short);
    out.field("log_level", to_string(env_.log.least())).key("nodes").begin_array();
    const auto peers = observer->node().host.transport().peers();
    for (const NodeStatus& node : status.nodes) {
        out.begin_object().field("id", node.id.value);
        out.field("address", pyralog::to_string(node.address)).field("is_up", node.is_up);
        out.field("is_self", node.id == status.node);
        for (const auto& peer : peers)
            if (peer.node == node.id)
                out.field("since_ms", (now - peer.since).count() / 1'000'000)
                    .field("peer_address", pyralog::to_string(peer.address))
                    .field("queue_bytes", peer.queue_bytes);
        out.field("replicas", node.replicas).field("partitions_led", node.partitions_led);
        out.end_object();
    }
    out.end_array().end_object();
    return as_json(std::move(out));
}

HttpResponse Pages::topics(const HttpRequest&) const {
    const Observer* const observer = broker_.observer();
    if (!observer) return problem(503, recovering);
    JsonWriter out;
    out.begin_object().field("node", config_.node_id).key("topics").begin_array();
    for (const auto& [name, topic] : observer->node().controller.catalogue().topics()) {
        std::int64_t without_leader = 0, unwell = 0, records = 0, unknown = 0;
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            const PartitionSeen seen = observer->partition(topic, static_cast<std::int32_t>(i));
            without_leader += !seen.facts.leader;
            unwell += seen.verdict.state != Verdict::State::ok;
            records += seen.facts.is_here ? seen.committed - seen.start : 0;
            unknown += !seen.facts.is_here;
        }
        out.begin_object().field("name", name).field("partitions", topic.partitions.size());
        out.field("replicas",
                  topic.partitions.empty() ? 0 : topic.partitions.front().replicas.size());
        out.field("without_leader", without_leader).field("not_ok", unwell);
        out.field("records", records).field("partitions_unknown", unknown).end_object();
    }
    out.end_array().end_object();
    return as_json(std::move(out));
}

HttpResponse Pages::partitions(const HttpRequest& request) const {
    const Observer* const observer = broker_.observer();
    if (!observer) return problem(503, recovering);
    const auto wanted_topic = request.parameter("topic");
    const auto wanted_state = request.parameter("state");
    const auto index = request.parameter("partition"), limit = request.parameter("limit");
    const auto wanted_index = parse_integer(index.value_or("0"));
    const auto most = parse_integer(limit.value_or(std::to_string(partitions_told_max)));
    if (!wanted_index || !most || *most < 0)
        return problem(400, "partition and limit must be whole numbers");
    const auto& topics = observer->node().controller.catalogue().topics();
    if (wanted_topic && !topics.contains(*wanted_topic))
        return problem(404, "there is no topic \"" + *wanted_topic + '"');
    JsonWriter out;
    std::int64_t told = 0, left_out = 0;
    out.begin_object().field("node", config_.node_id).key("partitions").begin_array();
    for (const auto& [name, topic] : topics) {
        if (wanted_topic && name != *wanted_topic) continue;
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            if (index && static_cast<std::int64_t>(i) != *wanted_index) continue;
            const PartitionSeen seen = observer->partition(topic, static_cast<std::int32_t>(i));
            const bool is_wanted =
                !wanted_state || to_string(seen.verdict.state) == *wanted_state ||
                (*wanted_state == "not-ok" && seen.verdict.state != Verdict::State::ok);
            if (!is_wanted) continue;
            if (told == *most) {
                ++left_out;
                continue;
            }
            ++told;
            write(out, seen);
        }
    }
    out.end_array().field("left_out", left_out).end_object();
    return as_json(std::move(out));
}

HttpResponse Pages::groups(const HttpRequest&) const {
    const Observer* const observer = broker_.observer();
    if (!observer) return problem(503, recovering);
    bool is_cut_short = false, is_loading = false;
    const auto lags = observer->group_lags(is_cut_short);
    if (!broker_.observer()) return problem(503, "the node is stopping"); // It was waited for.
    const Coordinator& groups = observer->node().groups;
    (void)groups.list(is_loading);
    JsonWriter out;
    out.begin_object().field("node", config_.node_id).field("is_loading", is_loading);
    out.field("offsets_cut_short", is_cut_short).key("groups").begin_array();
    groups.for_each([&](const std::string& id, const GroupState& group) {
        out.begin_object().field("id", id).field("state", to_string(group.phase()));
        out.field("protocol_type", group.protocol_type()).key("protocol");
        group.protocol() ? out.value(*group.protocol()) : out.null();
        out.field("generation", group.generation()).key("members").begin_array();
        for (const auto& [name, member] : group.members())
            out.begin_object()
                .field("id", name)
                .field("client_id", member.client_id)
                .field("host", member.client_host)
                .end_object();
        out.end_array().key("topics").begin_array();
        for (auto lag = lags.lower_bound({id, {}}); lag != lags.end() && lag->first.first == id;
             ++lag)
            out.begin_object()
                .field("topic", lag->first.second)
                .field("lag", lag->second.records)
                .field("partitions_unknown", lag->second.unknown)
                .end_object();
        out.end_array().end_object();
    });
    out.end_array().end_object();
    return as_json(std::move(out));
}

HttpResponse Pages::history(const HttpRequest&) const {
    const Observer* const observer = broker_.observer();
    if (!observer) return problem(503, recovering);
    JsonWriter out;
    out.begin_object().field("node", config_.node_id);
    out.field("interval_ms", Observer::interval.count() / 1'000'000).key("moments").begin_array();
    for (const Moment& moment : observer->history()) {
        out.begin_object().field("at_ms", moment.at.unix_ms);
        out.field("records_written", moment.records_written).field("requests", moment.requests);
        out.field("errors", moment.errors).field("bytes_in", moment.bytes_in);
        out.field("bytes_out", moment.bytes_out).field("produces", moment.produces);
        out.field("produce_p50_us", moment.produce_p50_us);
        out.field("produce_p99_us", moment.produce_p99_us);
        out.field("connections", moment.connections);
        out.field("entries_behind", moment.entries_behind).end_object();
    }
    out.end_array().end_object();
    return as_json(std::move(out));
}

HttpResponse Pages::log_level(const HttpRequest& request) const {
    const Level before = env_.log.least();
    if (request.method == "PUT") {
        const auto wanted = parse_level(request.body);
        if (!wanted)
            return problem(400, "the body must be debug, info, warning or error: "
                                "curl -X PUT -d debug .../v1/log-level");
        env_.log.set_least(*wanted);
        env_.log.warning("the log level was changed",
                         {{"from", to_string(before)}, {"to", to_string(*wanted)}});
    }
    JsonWriter out;
    out.begin_object().field("level", to_string(env_.log.least()));
    out.field("configured", to_string(config_.log_level)).end_object();
    return as_json(std::move(out));
}

HttpResponse Pages::stop(const HttpRequest&) const {
    return {202, std::string(json), "{\"stopping\":true}\n", {}};
}

} // namespace pyralog::server
