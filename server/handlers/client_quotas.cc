// DescribeClientQuotas and AlterClientQuotas: how fast clients may be, by their names, agreed on
// through the catalogue. Of Kafka's quotas there are those of bytes; there are no users here yet.
#include "core/wire/kafka/client_quotas.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

#include <algorithm>
#include <array>
#include <set>

namespace pyralog::server {

namespace {

using wire::kafka::AlterClientQuotasRequest;
using wire::kafka::AlterClientQuotasResponse;
using wire::kafka::DescribeClientQuotasRequest;
using wire::kafka::DescribeClientQuotasResponse;
using wire::kafka::Float64;
using wire::kafka::QuotaEntity;

constexpr Duration quota_patience = 30s;
constexpr std::string_view client_type = "client-id";
constexpr std::array<std::string_view, 2> other_types{"user", "ip"}; // Which nobody here has.

// ---- Describe ----

using Component = DescribeClientQuotasRequest::Component;

std::string wrong_with(const DescribeClientQuotasRequest& request) {
    using Match = DescribeClientQuotasRequest::Match;
    std::set<std::string_view> seen;
    for (const Component& component : request.components) {
        const std::string_view type = component.entity_type;
        if (type != client_type && std::ranges::find(other_types, type) == other_types.end())
            return '"' + component.entity_type + "\" has no quotas";
        if (!seen.insert(type).second) return component.entity_type + " is named twice";
        if (component.match_type < Match::exact || component.match_type > Match::any)
            return component.entity_type + " is matched in an unknown way";
        if (component.match_type == Match::exact && !component.match)
            return component.entity_type + " is to be none in particular";
    }
    return {};
}

// All that there is has a client, and nothing else.
bool matches(const DescribeClientQuotasRequest& request, const std::optional<std::string>& client) {
    using Match = DescribeClientQuotasRequest::Match;
    if (request.strict && request.components.empty()) return false;
    return std::ranges::all_of(request.components, [&](const Component& component) {
        if (component.entity_type != client_type) return false;
        if (component.match_type == Match::any) return true;
        return component.match_type == Match::exact ? client == component.match : !client;
    });
}

// ---- Alter ----

AlterClientQuotasResponse::Entry refused(const std::vector<QuotaEntity>& entity,
                                         std::string message) {
    REACHABLE("client-quotas/refused");
    return {ErrorCode::invalid_request, std::move(message), entity};
}

// Empty, or what is wrong.
std::string read_operation(const AlterClientQuotasRequest::Operation& operation,
                           AlterQuota& command) {
    const auto* const kind = std::ranges::find(quota_names, operation.key);
    if (kind == quota_names.end()) return '"' + operation.key + "\" is no quota that there is here";
    const auto which = static_cast<QuotaKind>(kind - quota_names.begin());
    for (const AlterQuota::Edit& edit : command.edits)
        if (edit.kind == which) return operation.key + " is named twice";
    const auto rate = operation.value.whole();
    if (!operation.remove && (!rate || *rate < 1))
        return operation.key + " is to be a whole number of bytes, at least one";
    command.edits.push_back({which, operation.remove ? std::nullopt : rate});
    return {};
}

AlterClientQuotasResponse::Entry change(Node& node, const AlterClientQuotasRequest::Entry& entry,
                                        bool validate_only) {
    if (entry.entity.size() != 1 || entry.entity[0].type != client_type)
        return refused(entry.entity, "quotas are for clients here, by client-id");
    AlterQuota command{entry.entity[0].name, {}};
    if (command.client && command.client->size() > Catalogue::quota_name_bytes_max)
        return refused(entry.entity, "the name is too long");
    for (const auto& operation : entry.operations)
        if (std::string wrong = read_operation(operation, command); !wrong.empty())
            return refused(entry.entity, std::move(wrong));
    if (validate_only || command.edits.empty()) return {ErrorCode::none, {}, entry.entity};
    Result<Outcome> outcome = Error::timed_out;
    {
        const Deadline deadline(node.env.fibers, node.env.clock.now() + quota_patience);
        outcome = node.controller.submit(command);
    }
    if (!outcome.ok())
        return {to_code(outcome.error()), "the controller did not answer", entry.entity};
    SOMETIMES(outcome.value() == Outcome::done, "client-quotas/changed");
    if (outcome.value() != Outcome::done)
        return refused(entry.entity, "there are as many quotas as may be");
    return {ErrorCode::none, {}, entry.entity};
}

} // namespace

StartResult start_describe_client_quotas(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DescribeClientQuotasRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        DescribeClientQuotasResponse response;
        if (std::string wrong = wrong_with(request); !wrong.empty()) {
            response.error = ErrorCode::invalid_request;
            response.error_message = std::move(wrong);
            response.entries.reset();
            return answer(header, response);
        }
        for (const auto& [client, quota] : node.controller.catalogue().quotas()) {
            if (!matches(request, client)) continue;
            auto& entry = response.entries->emplace_back();
            entry.entity.push_back({std::string(client_type), client});
            for (std::size_t kind = 0; kind < quota_names.size(); ++kind)
                if (quota.rates.at(kind))
                    entry.values.push_back(
                        {std::string(quota_names.at(kind)), Float64::of(*quota.rates.at(kind))});
        }
        return answer(header, response);
    });
}

StartResult start_alter_client_quotas(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<AlterClientQuotasRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        AlterClientQuotasResponse response;
        std::set<std::optional<std::string>> seen;
        for (const AlterClientQuotasRequest::Entry& entry : request.entries) {
            const bool is_first =
                entry.entity.size() != 1 || seen.insert(entry.entity[0].name).second;
            response.entries.push_back(
                is_first ? change(node, entry, request.validate_only)
                         : refused(entry.entity, "the request names this client twice"));
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
