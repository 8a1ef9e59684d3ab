#include "server/decompress.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace pyralog::server {

namespace {

constexpr std::size_t plain_piece_bytes = 64_KiB;

// What has come out so far. Bytes are made of it once.
class Output {
public:
    explicit Output(std::size_t size_max) : size_max_(size_max) {}

    char* piece() { return piece_.data(); }
    std::size_t piece_size() const { return piece_.size(); }
    // False: it is too much.
    bool take(std::size_t count) {
        if (count > size_max_ - text_.size()) return false;
        text_.append(piece_.data(), count);
        return true;
    }
    bool take_all(const std::string& text) {
        if (text.size() > size_max_ - text_.size()) return false;
        text_ += text;
        return true;
    }
    std::size_t room() const { return size_max_ - text_.size(); }
    Bytes bytes() const { return Bytes::copy_of(text_); }

private:
    const std::size_t size_max_;
    std::string text_;
    std::vector<char> piece_ =
        std::vector<char>(plain_piece_bytes); // Too much for a fiber's stack.
};

std::optional<Bytes> from_gzip(const Bytes& bytes, std::size_t size_max) {
    constexpr int with_gzip_header = 16 + MAX_WBITS;
    if (bytes.size() > std::numeric_limits<uInt>::max()) return {};
    z_stream stream{};
    if (inflateInit2(&stream, with_gzip_header) != Z_OK) return {};
    struct End {
        z_stream& stream;
        ~End() { inflateEnd(&stream); }
    } const end{stream};
    // zlib does not write there; it was written before there was const.
    std::string input(bytes.text());
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    Output output(size_max);
    for (;;) {
        stream.next_out = reinterpret_cast<Bytef*>(output.piece());
        stream.avail_out = static_cast<uInt>(output.piece_size());
        const int done = inflate(&stream, Z_NO_FLUSH);
        if (done != Z_OK && done != Z_STREAM_END) return {};
        if (!output.take(output.piece_size() - stream.avail_out)) return {};
        if (done == Z_STREAM_END) break;
        if (stream.avail_in == 0 && stream.avail_out > 0) return {}; // Cut short.
    }
    if (stream.avail_in > 0) return {};
    return output.bytes();
}

bool add_snappy(std::string_view block, Output& output) {
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(block.data(), block.size(), &size)) return false;
    if (size > output.room()) return false;
    std::string text;
    return snappy::Uncompress(block.data(), block.size(), &text) && output.take_all(text);
}

// Java's library puts a header before its blocks, and a length before each; others have one block.
std::optional<Bytes> from_snappy(const Bytes& bytes, std::size_t size_max) {
    constexpr std::string_view magic("\x82SNAPPY\0", 8);
    constexpr std::size_t header_size = 16;
    Output output(size_max);
    std::string_view rest = bytes.text();
    if (!rest.starts_with(magic)) {
        if (!add_snappy(rest, output)) return {};
        return output.bytes();
    }
    if (rest.size() < header_size) return {};
    rest.remove_prefix(header_size);
    while (!rest.empty()) {
        if (rest.size() < 4) return {};
        std::size_t size = 0;
        for (const char c : rest.substr(0, 4)) size = size << 8 | static_cast<unsigned char>(c);
        rest.remove_prefix(4);
        if (size > rest.size() || !add_snappy(rest.substr(0, size), output)) return {};
        rest.remove_prefix(size);
    }
    return output.bytes();
}

std::optional<Bytes> from_lz4(const Bytes& bytes, std::size_t size_max) {
    LZ4F_dctx* context = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) return {};
    struct End {
        LZ4F_dctx* context;
        ~End() { LZ4F_freeDecompressionContext(context); }
    } const end{context};
    Output output(size_max);
    std::string_view rest = bytes.text();
    std::size_t wanted = 1; // Zero: the frame is complete.
    while (wanted > 0) {
        std::size_t made = output.piece_size(), used = rest.size();
        wanted = LZ4F_decompress(context, output.piece(), &made, rest.data(), &used, nullptr);
        if (LZ4F_isError(wanted) || !output.take(made)) return {};
        rest.remove_prefix(used);
        if (made == 0 && used == 0 && wanted > 0) return {}; // Cut short.
    }
    if (!rest.empty()) return {};
    return output.bytes();
}

std::optional<Bytes> from_zstd(const Bytes& bytes, std::size_t size_max) {
    ZSTD_DStream* const stream = ZSTD_createDStream();
    if (!stream) return {};
    struct End {
        ZSTD_DStream* stream;
        ~End() { ZSTD_freeDStream(stream); }
    } const end{stream};
    Output output(size_max);
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    for (;;) {
        ZSTD_outBuffer piece{output.piece(), output.piece_size(), 0};
        const std::size_t before = input.pos;
        const std::size_t left = ZSTD_decompressStream(stream, &piece, &input);
        if (ZSTD_isError(left) || !output.take(piece.pos)) return {};
        if (left == 0 && input.pos == input.size) break;
        if (piece.pos == 0 && input.pos == before) return {}; // Cut short.
    }
    return output.bytes();
}

} // namespace

std::optional<Bytes> decompressed(wire::Compression compression, const Bytes& bytes,
                                  std::size_t size_max) {
    switch (compression) {
    case wire::Compression::none: return bytes;
    case wire::Compression::gzip: return from_gzip(bytes, size_max);
    case wire::Compression::snappy: return from_snappy(bytes, size_max);
    case wire::Compression::lz4: return from_lz4(bytes, size_max);
    case wire::Compression::zstd: return from_zstd(bytes, size_max);
    }
    return {};
}

} // namespace pyralog::server
