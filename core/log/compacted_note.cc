#include "core/log/compacted_note.h"

namespace pyralog {

Result<std::optional<wire::Compacted>> read_compacted_note(Environment& env,
                                                           const std::string& path, GroupId group) {
    const std::optional<wire::Compacted> none;
    const auto file = TRY(env.disk.open(path, Disk::Open::existing));
    Buffer bytes(wire::CompactedNote::size);
    const Result<std::size_t> got = file->read_at(0, bytes.view());
    if (!got.ok() && got.error() == Error::corrupt) return none;
    const auto note = wire::decode_compacted_note(bytes.view().first(TRY(got)));
    return note && note->group == group ? std::optional(note->compacted) : none;
}

} // namespace pyralog
