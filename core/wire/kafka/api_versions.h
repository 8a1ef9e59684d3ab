// core/wire/kafka/api_versions.h: API key 18, versions 0 to 4.
//
// The first request on a connection. One in a version that we do not have is answered in version 0,
// with UNSUPPORTED_VERSION and the one entry {18, min, max}, from which the client can tell what to
// ask instead (KIP-511).
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct ApiVersionsRequest {
    static constexpr ApiKey key = ApiKey::api_versions;
    using Response = struct ApiVersionsResponse;

    std::string client_software_name;
    std::string client_software_version;
};

template <class Codec>
void describe(Codec& field, ApiVersionsRequest& r) {
    if (field.version >= 3) field(r.client_software_name, r.client_software_version);
    field.tags();
}

struct ApiVersionsResponse {
    struct Entry {
        ApiKey key{};
        std::int16_t version_min = 0;
        std::int16_t version_max = 0;
    };
    struct SupportedFeature {
        std::string name;
        std::int16_t version_min = 0;
        std::int16_t version_max = 0;
    };
    struct FinalizedFeature {
        std::string name;
        std::int16_t level_max = 0;
        std::int16_t level_min = 0;
    };

    ErrorCode error = ErrorCode::none;
    std::vector<Entry> apis;
    std::int32_t throttle_time_ms = 0;
    std::vector<SupportedFeature> supported_features;
    std::int64_t finalized_features_epoch = -1;
    std::vector<FinalizedFeature> finalized_features;
    bool zk_migration_ready = false;
};

template <class Codec>
void describe(Codec& field, ApiVersionsResponse::Entry& e) {
    field(e.key, e.version_min, e.version_max);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ApiVersionsResponse::SupportedFeature& f) {
    field(f.name, f.version_min, f.version_max);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ApiVersionsResponse::FinalizedFeature& f) {
    field(f.name, f.level_max, f.level_min);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ApiVersionsResponse& r) {
    field(r.error, r.apis);
    if (field.version >= 1) field(r.throttle_time_ms);
    field.tags(tag(0, r.supported_features, !r.supported_features.empty()),
               tag(1, r.finalized_features_epoch, r.finalized_features_epoch != -1),
               tag(2, r.finalized_features, !r.finalized_features.empty()),
               tag(3, r.zk_migration_ready, r.zk_migration_ready));
}

} // namespace pyralog::wire::kafka
