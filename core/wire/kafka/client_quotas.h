// core/wire/kafka/client_quotas.h: API keys 48, DescribeClientQuotas, and 49, AlterClientQuotas,
// both versions 0 to 1.
//
// Kafka has a quota as a floating point number. Here it is the bits of that, and what a quota is in
// whole numbers is found out without any.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct Float64 {
    std::uint64_t bits = 0; // IEEE 754.
    bool operator==(const Float64&) const = default;

    static Float64 of(std::int64_t value); // From 0 to 2^53.
    // Nothing if it is not a whole number of that range.
    std::optional<std::int64_t> whole() const;
};

template <class Codec>
void describe(Codec& field, Float64& f) {
    field(f.bits);
}

struct DescribeClientQuotasRequest {
    static constexpr ApiKey key = ApiKey::describe_client_quotas;
    using Response = struct DescribeClientQuotasResponse;

    enum class Match : std::int8_t { exact = 0, by_default = 1, any = 2 };
    struct Component {
        std::string entity_type;
        Match match_type{};
        std::optional<std::string> match;
    };

    std::vector<Component> components;
    bool strict = false; // Else entities match that have further components.
};

template <class Codec>
void describe(Codec& field, DescribeClientQuotasRequest::Component& c) {
    field(c.entity_type, c.match_type, c.match);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeClientQuotasRequest& r) {
    field(r.components, r.strict);
    field.tags();
}

// One part of whom a quota is for. No name: for all of whom nothing else is said.
struct QuotaEntity {
    std::string type;
    std::optional<std::string> name;
    bool operator==(const QuotaEntity&) const = default;
};

template <class Codec>
void describe(Codec& field, QuotaEntity& e) {
    field(e.type, e.name);
    field.tags();
}

struct DescribeClientQuotasResponse {
    struct Value {
        std::string key;
        Float64 value;
    };
    struct Entry {
        std::vector<QuotaEntity> entity;
        std::vector<Value> values;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::optional<std::string> error_message;
    std::optional<std::vector<Entry>> entries = std::vector<Entry>();
};

template <class Codec>
void describe(Codec& field, DescribeClientQuotasResponse::Value& v) {
    field(v.key, v.value);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeClientQuotasResponse::Entry& e) {
    field(e.entity, e.values);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeClientQuotasResponse& r) {
    field(r.throttle_time_ms, r.error, r.error_message, r.entries);
    field.tags();
}

struct AlterClientQuotasRequest {
    static constexpr ApiKey key = ApiKey::alter_client_quotas;
    using Response = struct AlterClientQuotasResponse;

    struct Operation {
        std::string key;
        Float64 value;
        bool remove = false;
    };
    struct Entry {
        std::vector<QuotaEntity> entity;
        std::vector<Operation> operations;
    };

    std::vector<Entry> entries;
    bool validate_only = false;
};

template <class Codec>
void describe(Codec& field, AlterClientQuotasRequest::Operation& o) {
    field(o.key, o.value, o.remove);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AlterClientQuotasRequest::Entry& e) {
    field(e.entity, e.operations);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AlterClientQuotasRequest& r) {
    field(r.entries, r.validate_only);
    field.tags();
}

struct AlterClientQuotasResponse {
    struct Entry {
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
        std::vector<QuotaEntity> entity;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Entry> entries;
};

template <class Codec>
void describe(Codec& field, AlterClientQuotasResponse::Entry& e) {
    field(e.error, e.error_message, e.entity);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AlterClientQuotasResponse& r) {
    field(r.throttle_time_ms, r.entries);
    field.tags();
}

} // namespace pyralog::wire::kafka
