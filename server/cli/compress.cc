#include "server/cli/compress.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

namespace pyralog::cli {

namespace {

using wire::Compression;

std::optional<std::string> with_gzip(std::string records) {
    constexpr int with_gzip_header = 16 + MAX_WBITS, memory_level = 8;
    z_stream stream{};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, with_gzip_header, memory_level,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return {};
    std::string out(deflateBound(&stream, records.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(records.data());
    stream.avail_in = static_cast<uInt>(records.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const int done = deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    if (done != Z_STREAM_END) return {};
    return out;
}

std::optional<std::string> with_lz4(std::string_view records) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockMode = LZ4F_blockIndependent; // Java reads no other.
    std::string out(LZ4F_compressFrameBound(records.size(), &preferences), '\0');
    const std::size_t size =
        LZ4F_compressFrame(out.data(), out.size(), records.data(), records.size(), &preferences);
    if (LZ4F_isError(size)) return {};
    out.resize(size);
    return out;
}

std::optional<std::string> with_zstd(std::string_view records) {
    std::string out(ZSTD_compressBound(records.size()), '\0');
    const std::size_t size =
        ZSTD_compress(out.data(), out.size(), records.data(), records.size(), ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(size)) return {};
    out.resize(size);
    return out;
}

std::optional<std::string> with_snappy(std::string_view records) {
    std::string out;
    snappy::Compress(records.data(), records.size(), &out);
    return out;
}

std::optional<std::string> with(Compression compression, std::string_view records) {
    switch (compression) {
    case Compression::none: return {};
    case Compression::gzip: return with_gzip(std::string(records));
    case Compression::snappy: return with_snappy(records);
    case Compression::lz4: return with_lz4(records);
    case Compression::zstd: return with_zstd(records);
    }
    return {};
}

} // namespace

std::optional<Compression> parse_compression(std::string_view name) {
    if (name == "none") return Compression::none;
    if (name == "gzip") return Compression::gzip;
    if (name == "snappy") return Compression::snappy;
    if (name == "lz4") return Compression::lz4;
    if (name == "zstd") return Compression::zstd;
    return {};
}

Bytes compressed(const wire::RecordBatch& batch, Compression compression) {
    const std::string_view records = batch.bytes().text().substr(wire::BatchHeader::size);
    const auto smaller = with(compression, records);
    if (!smaller || smaller->size() >= records.size()) return batch.bytes();
    wire::BatchHeader header = batch.header();
    header.attributes =
        static_cast<std::int16_t>(header.attributes | static_cast<int>(compression));
    return wire::assemble(header, Bytes::copy_of(*smaller));
}

} // namespace pyralog::cli
