// server/admin/pages.h
//
// What there is to be asked at a node's side door, and who answers it. The only such list: the 404,
// the 405 and docs/http.md follow from it.
#pragma once

#include "server/admin/admin.h"
#include "server/broker.h"

#include <span>

namespace pyralog::server {

struct Page;

class Pages {
public:
    // All of them outlive this.
    Pages(Environment& env, const Config& config, const Broker& broker)
        : env_(env), config_(config), broker_(broker) {}

    // May wait, for what a page needs of the store of small facts.
    AdminAnswer answer(const HttpRequest& request) const;

    // The same for another node, which may have what is under /v1/ and only read.
    HttpResponse tell(const HttpRequest& request) const;

    // For a person: each page, a line.
    static std::string list();

private:
    friend struct Page;

    HttpResponse console(const HttpRequest&) const;
    HttpResponse style(const HttpRequest&) const;
    HttpResponse script(const HttpRequest&) const;
    HttpResponse health(const HttpRequest&) const;
    HttpResponse readiness(const HttpRequest&) const;
    HttpResponse metrics(const HttpRequest&) const;
    HttpResponse status(const HttpRequest&) const;
    HttpResponse cluster(const HttpRequest&) const;
    HttpResponse topics(const HttpRequest&) const;
    HttpResponse partitions(const HttpRequest&) const;
    HttpResponse groups(const HttpRequest&) const;
    HttpResponse history(const HttpRequest&) const;
    HttpResponse log_level(const HttpRequest&) const;
    HttpResponse stop(const HttpRequest&) const;

    HttpResponse relayed(std::string_view node, const HttpRequest& request) const;
    std::vector<std::string> unready() const;

    Environment& env_;
    const Config& config_;
    const Broker& broker_;
};

} // namespace pyralog::server
