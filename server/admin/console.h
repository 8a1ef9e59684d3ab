// server/admin/console.h
//
// The console's three files, as they were when the program was built.
#pragma once

#include <string_view>

namespace pyralog::server {

std::string_view console_html();
std::string_view console_css();
std::string_view console_js();

} // namespace pyralog::server
