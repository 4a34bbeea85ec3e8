/* routes.c - the routes, one row each, and how a path finds its own. */
#include "web/web_int.h"

#define KB ((size_t)1024)
#define SMALL (64 * KB)
#define LARGE (8 * 1024 * KB)
#define QUEUE_FILTER                                                                           \
    "state: waiting, held or frozen, empty: waiting and held; search: text to look for; "      \
    "from: "                                                                                   \
    "the sender; auth: who signed in; to: a recipient; domain: of a recipient; client: its "   \
    "address; reason: text in a recipient's reason"
#define TRIAL                                                                                  \
    "; confirm_within: seconds after which the change goes back by itself unless it was "      \
    "confirmed (POST /history/{id}); may be missing"
#define HANDLING                                                                               \
    "reply: null, or first, last (days; empty: open), days (nobody is answered twice within "  \
    "so many), subject (empty: made of the message's), text; notices, copies: lists of "       \
    "addresses; message_id: true or false; version: from GET, may be missing"
#define GROUP                                                                                  \
    "name: for people; first, last: days (2026-11-30; empty: open); list: address of its "     \
    "mailing list; person, mail: in charge; memo"
#define PIECES "search: text to look for; offset: of the first; limit: most"

/* clang-format off */
const struct route web_routes[] = {
    /* signing in */
    { "POST",   "/api/v1/session",          api_sign_in,       RIGHT_NONE,  ROUTE_PERSON | ROUTE_OWN, SMALL, "Sign in: sets a cookie.", NULL, "name: of the administrator; password: his password; code: of the second factor, when the answer was 401 second-factor", NULL, NULL },
    { "GET",    "/api/v1/session",          api_session,       RIGHT_READ,  ROUTE_PERSON | ROUTE_OWN, 0,     "Who is signed in.", NULL, NULL, NULL, NULL },
    { "DELETE", "/api/v1/session",          api_sign_out,      RIGHT_READ,  ROUTE_PERSON | ROUTE_OWN, 0,     "Sign out.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/session/confirm",  api_confirm,       RIGHT_READ,  ROUTE_PERSON | ROUTE_OWN, SMALL, "Give the password once more, before something dangerous.", NULL, "password: one's own", NULL, NULL },
    { "GET",    "/api/v1/sign-ins",         api_sign_ins,      RIGHT_READ,  ROUTE_PERSON | ROUTE_OWN, 0,     "Sign-ins in force: one's own; for owners, all.", NULL, NULL, NULL, NULL },
    { "DELETE", "/api/v1/sign-ins/{id}",    api_sign_in_end,   RIGHT_READ,  ROUTE_PERSON | ROUTE_OWN, 0,     "End a sign-in; \"others\": all of one's own but this one.", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/session/password", api_own_password,  RIGHT_READ,  ROUTE_PERSON | ROUTE_CONFIRM | ROUTE_OWN, SMALL, "Another password for oneself; other sign-ins end.", NULL, "password: without one it is made and told", NULL, NULL },
    { "POST",   "/api/v1/session/second-factor", api_factor_begin, RIGHT_READ, ROUTE_PERSON | ROUTE_CONFIRM | ROUTE_OWN, SMALL, "A secret for an app that makes codes (RFC 6238): secret, and uri for a QR code. It counts when a code was given.", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/session/second-factor", api_factor_set, RIGHT_READ, ROUTE_PERSON | ROUTE_CONFIRM | ROUTE_OWN, SMALL, "Give a code: from now on signing in asks for one. Tells recovery codes, once.", NULL, "code: six digits", NULL, NULL },
    { "DELETE", "/api/v1/session/second-factor", api_factor_delete, RIGHT_READ, ROUTE_PERSON | ROUTE_CONFIRM | ROUTE_OWN, 0, "No second factor any more.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/admins",           api_admins,        RIGHT_OWNER, ROUTE_PERSON, 0, "The administrators.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/admins",           api_admin_add,     RIGHT_OWNER, ROUTE_PERSON | ROUTE_CONFIRM, SMALL, "A new one.", NULL, "name: what he signs in with; right: viewer, admin or owner; password: without one it is made and told", NULL, NULL },
    { "PATCH",  "/api/v1/admins/{name}",    api_admin_set,     RIGHT_OWNER, ROUTE_PERSON | ROUTE_CONFIRM, SMALL, "Change one.", NULL, "right: viewer, admin or owner; password: another, empty: it is made and told; second_factor: false takes it away", NULL, NULL },
    { "DELETE", "/api/v1/admins/{name}",    api_admin_delete,  RIGHT_OWNER, ROUTE_PERSON | ROUTE_CONFIRM, 0, "Remove one; the last owner stays.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/delegation",       api_delegation,    RIGHT_READ,  ROUTE_OWN, 0, "What one may oneself, as an administrator of some domains: name, values, counts (users, lists, aliases).", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/delegates",        api_delegates,     RIGHT_OWNER, ROUTE_PERSON, 0, "Administrators of some domains: name, values, counts (users, lists, aliases), last_sign_in (seconds since 1970; null: none in a year).", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/delegates",        api_delegate_add,  RIGHT_OWNER, ROUTE_PERSON | ROUTE_CONFIRM, SMALL, "A new one. Remove him and change his password as any administrator.", NULL, "name: what he signs in with; password: without one it is made and told; values: items of webdelegates.tab and their values", NULL, NULL },
    { "PUT",    "/api/v1/delegates/{name}", api_delegate_set,  RIGHT_OWNER, ROUTE_PERSON | ROUTE_CONFIRM, SMALL, "What one may, all of it.", NULL, "values: items and their values; what isn't named is taken away", NULL, NULL },
    { "GET",    "/api/v1/tokens",           api_tokens,        RIGHT_READ,  ROUTE_PERSON | ROUTE_OWN, 0, "Tokens for programs: one's own; for owners, all.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/tokens",           api_token_add,     RIGHT_READ,  ROUTE_PERSON | ROUTE_CONFIRM | ROUTE_OWN, SMALL, "A new token, told once: Authorization: Bearer ...", NULL, "name: what it is for; right: viewer, admin or owner, at most one's own; areas: a list of first words of paths behind /api/v1/, empty: all; days: until it ends, 0: never", NULL, NULL },
    { "DELETE", "/api/v1/tokens/{id}",      api_token_delete,  RIGHT_READ,  ROUTE_PERSON | ROUTE_OWN, 0, "Take it back.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/explain",          api_explain,       RIGHT_READ,  0, 0,     "What would happen to a client: each gate that it passes, with the line that decides.", "client: its address; service: smtp, submission, pop3, ctrl, finger or http; from: the sender, empty: the null sender; to: a recipient; login: as after a login of this account; tls: 1", NULL, NULL, NULL },
    { "GET",    "/api/v1/refused",          api_refused,       RIGHT_READ,  0, 0,     "Clients that the gates refused lately: client, count, last, gate.", "days: how many, today is 1", NULL, NULL, NULL },
    { "GET",    "/api/v1/limits",           api_command,       RIGHT_READ,  0, 0,     "Who is over a limit of limits.tab: whom (account or address), who, what, action, delay, since, until (seconds since 1970; until 0: until let go), count, window, line.", NULL, NULL, "limitlist", "whom who what action delay since until count window line" },
    { "POST",   "/api/v1/limits",             api_command,       RIGHT_WRITE, 0, SMALL, "Stop an account: it may not send until it is let go.", NULL, "account: as it signs in", "limitstop .account", NULL },
    { "DELETE", "/api/v1/limits/{who}",     api_command,       RIGHT_WRITE, 0, 0,     "Let go of a client or account.", NULL, NULL, "limitrelease {who}", NULL },
    { "GET",    "/api/v1/audit",            api_audit,         RIGHT_WRITE, ROUTE_OWN, 0,     "Who changed what, newest first: time, by, from, via (web, ctrl, local), act, what, changes (file, removed and added lines).", "search: text to look for; by: whose changes; offset: of the first; limit: most rows; before: seconds since 1970", NULL, NULL, NULL },

    /* the server */
    { "GET",    "/api/v1/openapi.json",     api_openapi,       RIGHT_NONE,  ROUTE_OWN, 0,     "This description.", NULL, NULL, NULL, NULL },
    { "GET",    "/health",                  api_health,        RIGHT_NONE,  ROUTE_OWN, 0,     "200 while all roles run, else 503: healthy, down (roles), since (of the last start).", NULL, NULL, NULL, NULL },
    { "GET",    "/metrics",                 api_metrics,       RIGHT_NONE,  0, 0,     "Counters for Prometheus; from this machine, or with a token.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/status",           api_status,        RIGHT_READ,  0, 0,     "Roles, listeners, counters, the certificate's end.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/reload",           api_command,       RIGHT_WRITE, 0, SMALL, "Read settings and certificates once more, without a restart.", NULL, NULL, "reload", NULL },
    { "POST",   "/api/v1/restart",          api_command,       RIGHT_WRITE, ROUTE_CONFIRM, SMALL, "Restart the server: all roles end and start again, with the settings as they are now. Sign-ins end; since of /health tells when it is back.", NULL, NULL, "restart", NULL },
    { "GET",    "/api/v1/reachable",        api_reachable,     RIGHT_WRITE, 0, 0,     "Tries a connection from the server to each of its own services, at the addresses of this machine and at those of HeloDomain: service, address, by_name, answers, text (the greeting, or what went wrong).", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/tls",              api_tls,           RIGHT_READ,  0, 0,     "Certificates: certificate (the server's own: subject, issuer, names, begins, ends, key, fingerprint, self_signed, chain, above: those above it, troubles: not-yet, over, ends-soon, self-signed, other-name), hosts (the same for clients that ask for a host), services, authorities that are trusted besides the system's.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/tls-order",        api_command,       RIGHT_WRITE, ROUTE_CONFIRM, SMALL, "Order the server's certificate from the authority of the settings, now. What becomes of it stands in GET /api/v1/tls: acme.", NULL, NULL, "tlsorder", NULL },
    { "GET",    "/.well-known/acme-challenge/{token}", api_challenge, RIGHT_NONE, ROUTE_ANYWHERE, 0, "The answer to an authority's challenge (RFC 8555 8.3).", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/tls/{place}",      api_tls_set,       RIGHT_WRITE, ROUTE_CONFIRM, LARGE, "Install a certificate for \"server\", the server's own, or for a host. What doesn't fit, has expired or isn't whole is refused.", NULL, "certificate: in PEM, with those above it, maybe with the key; key: in PEM; without one, that of the last request or the present one", NULL, NULL },
    { "DELETE", "/api/v1/tls/{place}",      api_command,       RIGHT_WRITE, ROUTE_CONFIRM, 0, "Remove a host's certificate and its key.", NULL, NULL, "tlsdel {place}", NULL },
    { "POST",   "/api/v1/tls/{place}/self-signed", api_tls_self, RIGHT_WRITE, ROUTE_CONFIRM, SMALL, "A new key, and a certificate that it signs itself.", NULL, "names: a list; without it, the place's host", NULL, NULL },
    { "POST",   "/api/v1/tls/{place}/request", api_tls_request, RIGHT_WRITE, ROUTE_CONFIRM, SMALL, "A new key, and a request for a certificate (PKCS #10): request. The key waits for what the authority answers.", NULL, "names: a list; without it, the place's host", NULL, NULL },
    { "POST",   "/api/v1/filter-test",      api_filter_test_begin, RIGHT_WRITE, ROUTE_CONFIRM, LARGE, "Show a message to all filters that are meant for it: programs run, milters and hooks are asked, nothing is delivered. One test at a time.", NULL, "message: its text; from: the sender, to: a list of recipients (without them: of the message), client: an IP address, helo, auth: who logged in", NULL, NULL },
    { "GET",    "/api/v1/filter-test",      api_filter_test,   RIGHT_WRITE, 0, 0,     "The last test: running, result (null: none yet): error, or sender, recipients (address, kind), passes, lines (table, line, for, words, reached; skipped; code, verdict, reply, last, sender_told; fails, then: pass, wait or 451; output; before and after: octets, removed and added lines).", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/tls/{place}/signed", api_tls_signed, RIGHT_WRITE, ROUTE_CONFIRM, SMALL, "A new key, and a certificate from the authority of our own.", NULL, "names: a list; without it, the place's host", NULL, NULL },
    { "GET",    "/api/v1/authority",        api_authority,     RIGHT_READ,  0, 0,     "The authority of our own: certificate (null: there is none), pem, permitted (domains that it may sign for; empty: all), suggested (where there is none: such domains), issued (serial, kind: client or server, name, begun, ends, revoked: seconds since 1970 or 0).", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/authority",        api_authority_make, RIGHT_WRITE, ROUTE_CONFIRM, SMALL, "Make it.", NULL, "name: what its certificate calls it; domains: a list, the only ones that it may sign for (hosts in them, mail addresses of theirs); empty: it may sign for all", NULL, NULL },
    { "POST",   "/api/v1/authority/clients", api_authority_issue, RIGHT_WRITE, ROUTE_CONFIRM, SMALL, "A key and certificate for a client: file (PKCS #12, base64) and its password, both told once.", NULL, "address: whose; days: how long it is good", NULL, NULL },
    { "DELETE", "/api/v1/authority/issued/{serial}", api_command, RIGHT_WRITE, ROUTE_CONFIRM, 0, "A certificate counts no more.", NULL, NULL, "carevoke {serial}", NULL },
    { "POST",   "/api/v1/tls-authorities",  api_tls_trust,     RIGHT_WRITE, ROUTE_CONFIRM, LARGE, "Trust one more authority (certs.pem).", NULL, "certificate: in PEM", NULL, NULL },
    { "DELETE", "/api/v1/tls-authorities/{fingerprint}", api_command, RIGHT_WRITE, ROUTE_CONFIRM, 0, "Trust it no more.", NULL, NULL, "tlscadel {fingerprint}", NULL },

    /* the queue */
    { "GET",    "/api/v1/queue",              api_queue,         RIGHT_READ,  0, 0,     "What waits, oldest first: id, received, from, auth, client, size, tries, next_try, state (waiting, held, frozen), recipients, open (not settled), to (some of those: address, domain, reason).", QUEUE_FILTER "; offset: of the first; limit: most", NULL, NULL, NULL },
    { "POST",   "/api/v1/queue",              api_queue_orders,  RIGHT_WRITE, 0, LARGE, "An order about many messages, as a job.", NULL, "order: try, hold, release, reroute or delete (asks for the password); ids: a list; filter: instead, as of GET; hosts: for reroute, as in smtpfwd.tab, empty takes it back; after: seconds until it begins, until when stopping the job undoes it, and what isn't held any more then isn't meant", NULL, NULL },
    { "GET",    "/api/v1/queue/destinations", api_queue_places,  RIGHT_READ,  0, 0,     "Where waiting mail is to go, most recipients first, with examples of reasons: domain, entries, recipients, size, held, oldest, next_try, not_tried, reasons, other_reasons; and counts of waiting, held, frozen.", PIECES, NULL, NULL, NULL },
    { "GET",    "/api/v1/queue/senders",      api_queue_senders, RIGHT_READ,  0, 0,     "Who has mail in the queue, by the account that signed in (empty: nobody did), most recipients first: account, entries, recipients, size, held, oldest, newest, clients (some addresses: client, count), other_clients, senders (some addresses of MAIL FROM).", PIECES, NULL, NULL, NULL },
    { "GET",    "/api/v1/queue/{id}",         api_queue_entry,   RIGHT_READ,  0, 0,     "One message, frozen ones too: its envelope, recipients and what happened.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/queue/{id}",         api_queue_order,   RIGHT_WRITE, 0, SMALL, "An order about it.", NULL, "order: try, hold, release or reroute; hosts: for reroute", NULL, NULL },
    { "DELETE", "/api/v1/queue/{id}",         api_queue_delete,  RIGHT_WRITE, ROUTE_CONFIRM, 0, "Delete it; nobody is told.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/queue/{id}/message", api_queue_message, RIGHT_WRITE, 0, SMALL, "The message itself (message/rfc822). Reading other people's mail needs a reason, which is recorded.", NULL, "reason: why", NULL, NULL },
    { "POST",   "/api/v1/letters",            api_letter,        RIGHT_WRITE, 0, LARGE, "A letter of the postmaster.", NULL, "to: an address; subject: one line; text: lines", NULL, NULL },
    { "GET",    "/api/v1/letters/weekly",     api_weekly,        RIGHT_WRITE, 0, 0,     "The weekly letter to the postmaster as it would be now: to, subject, text.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/letters/weekly",     api_weekly_send,   RIGHT_WRITE, 0, SMALL, "Sends it now; the one of the week comes nevertheless: to, subject, text.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/warnings",           api_warnings,      RIGHT_READ,  0, 0,     "What should be looked at: kind (role, certificate, tables, disk, inodes, backup (about: why), log, stopped, held, addresses, old, kept, frozen), level (bad, warn), about, n, of, when; text and advice, in en and ja, where {about}, {n}, {of} and {when} stand for those; octets: n and of are.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/warnings/mailboxes", api_warnings_mailboxes, RIGHT_WRITE, 0, SMALL, "Looks at all mailboxes with a limit, as a job; its result is such a list: mailbox-full, mailbox-nearly (less than 10 MB left, or a tenth of small ones).", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/trace",              api_trace,         RIGHT_READ,  0, 0,     "What became of messages, newest first: stories of id, state (queue, frozen, gone; session: of refusals), events (time, role, event, values), more_events; more: there are older ones; incomplete: not all could be looked at; days: how long it is kept.", "about: an id of a message or session, a Message-ID, an address of a sender, recipient or client, with wildcards; limit: most", NULL, NULL, NULL },
    { "GET",    "/api/v1/statistics",         api_statistics,    RIGHT_READ,  0, 0,    "What the server counted, in order of time; kept by hour for 40 days, by day for ten years: a list of begins (of the hour or day, seconds since 1970) and counts (by name; what isn't named is 0).", "step: hour or day (hour); from: seconds since 1970 (before until: a week of hours, 60 days); until: not including it (now)", NULL, NULL, NULL },
    { "GET",    "/api/v1/statistics/domains", api_domains_statistics, RIGHT_READ, ROUTE_NARROWED, 0, "What was counted for each domain in a piece of time; kept by hour for 8 days, by day for 400: a list of domain and counts, accepted and refused (recipients, by SMTP), delivered (into mailboxes), octets_in (of those), sent (to other servers), octets_out (of those), deferred and failed (tries of the queue); the last four are the sender's domain's when the recipient is elsewhere.", "step: hour or day (hour); from: seconds since 1970 (before until: a week of hours, 60 days); until: not including it (now)", NULL, NULL, NULL },
    { "GET",    "/api/v1/domains/{domain}/statistics", api_domain_statistics, RIGHT_READ, ROUTE_IN_PATH, 0, "The same for one domain, in order of time: a list of begins and counts.", "step: hour or day (hour); from: seconds since 1970 (before until: a week of hours, 60 days); until: not including it (now)", NULL, NULL, NULL },
    { "GET",    "/api/v1/logs",               api_logs,          RIGHT_WRITE, 0, 0,    "The log files: name, kind, size, modified.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/logs/{name}",        api_log,           RIGHT_WRITE, 0, 0,    "Records of one, newest first: rows of at and values; next: where older ones are, 0: there are none. A request looks at 64 MB at most.", "search: text to look for; from: records not before this time, as in the file (2026-11-30 or 2026-11-30 10:20); until: not after it; before: next of the answer before; limit: most", NULL, NULL, NULL },
    { "GET",    "/api/v1/logs/{name}/file",   api_log_file,      RIGHT_WRITE, 0, 0,    "The file itself.", NULL, NULL, NULL, NULL },

    /* settings and tables */
    { "GET",    "/api/v1/options",          api_options,       RIGHT_READ,  0, 0,     "All settings of server.tab with their meaning, defaults and present values; waits: changed since the start, counts from the next one on.", NULL, NULL, NULL, NULL },
    { "PATCH",  "/api/v1/options",          api_options_set,   RIGHT_WRITE, 0, SMALL, "Change settings; null takes one out of server.tab.", NULL, "version: of server.tab, from GET; values: names and values" TRIAL, NULL, NULL },
    { "GET",    "/api/v1/tables",           api_tables,        RIGHT_READ,  0, 0,     "The tables of the MailRoot.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/tables/{path*}",   api_table,         RIGHT_READ,  0, 0,     "The rows of a table.", "offset: of the first row; limit: most rows; search: text that a row holds", NULL, NULL, NULL },
    { "PATCH",  "/api/v1/tables/{path*}",   api_table_set,     RIGHT_WRITE, 0, LARGE, "Change rows of a table; lines that aren't named stay as they are.", NULL, "version: from GET; changes: a list of {op: add, set, remove or move; line; old; values; before}" TRIAL, NULL, NULL },
    { "DELETE", "/api/v1/tables/{path*}",   api_table_delete,  RIGHT_WRITE, ROUTE_CONFIRM, 0, "Remove the file of a table that exists once a domain, account or name.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/table-files",      api_table_files,   RIGHT_READ,  0, 0,     "The files of a table that exists more than once: custom domains (custdomains/*.tab), command aliases (cmdaliases/*/*.tab) ...", "of: the table's path with *", NULL, NULL, NULL },

    { "GET",    "/api/v1/backups",            api_backups,       RIGHT_OWNER, 0, 0,     "Backups: folder, time and keep (settings), busy, work (the last or present one: state (waiting, running, done, damaged, failed, stopped, interrupted), act, snapshot, what, place, by, began, seen, files, octets, why and other numbers, notes: file, what), backups (name, files), aside (folders that were restored to), troubles.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/backups",            api_command,       RIGHT_OWNER, 0, SMALL, "Make one now, as a process of its own; GET tells how far it is.", NULL, NULL, "backuporder make", NULL },
    { "POST",   "/api/v1/backups-look",       api_command,       RIGHT_OWNER, 0, SMALL, "Look into the folder again, for the list of GET.", NULL, NULL, "backuporder look", NULL },
    { "POST",   "/api/v1/backups-stop",       api_command,       RIGHT_OWNER, 0, SMALL, "Stop what is under way. A restore goes on where it was when it is ordered again.", NULL, NULL, "backuporder stop", NULL },
    { "POST",   "/api/v1/backups/{name}/verify", api_command,    RIGHT_OWNER, 0, SMALL, "Read all of a backup and compare it with its checksums.", NULL, NULL, "backuporder verify {name}", NULL },
    { "POST",   "/api/v1/backups/{name}/restore", api_command,   RIGHT_OWNER, ROUTE_CONFIRM, SMALL, "Bring something back from a backup. What is there stays as it is.", NULL, "what: all, a domain, an address, or address/folder; place: back (into the MailRoot; with all: each domain), aside (a folder below BackupFolder)", "backuporder restore {name} .what .place", NULL },
    { "GET",    "/api/v1/history",          api_history,        RIGHT_WRITE, 0, 0,     "Changes of tables, newest first: id, time, by, from, via (web, ctrl, local, server, hand), act, what, files, file_count, undoes and undone (numbers of changes), until (it goes back then by itself unless confirmed; 0: it stays).", "file: text in a table's path; by: a name; since: seconds since 1970; until: seconds since 1970; before: only ids below; waiting: 1 tells only those that go back unless confirmed; limit: most rows", NULL, NULL, NULL },
    { "GET",    "/api/v1/history/{id}",     api_history_change, RIGHT_WRITE, 0, 0,     "One with its lines: changes (file, known, hunks of line and lines of sign, row and values), more (lines that aren't told). Passwords are stars.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/history/{id}",     api_history_order,  RIGHT_WRITE, 0, SMALL, "Take it back, where its lines haven't been changed since; or confirm a change that would go back by itself.", NULL, "order: undo or confirm", NULL, NULL },

    /* domains */
    { "GET",    "/api/v1/domains",          api_command, RIGHT_READ,  ROUTE_NARROWED, 0,     "The domains.", NULL, NULL, "domainlist", "domain" },
    { "POST",   "/api/v1/domains",          api_command, RIGHT_WRITE, 0, SMALL, "A new domain.", NULL, "domain: its name", "domainadd .domain", NULL },
    { "DELETE", "/api/v1/domains/{domain}", api_command, RIGHT_WRITE, ROUTE_CONFIRM, 0, "Remove a domain with all that is in it; it can be brought back.", NULL, NULL, "domaindel {domain}", NULL },
    { "GET",    "/api/v1/domains/{domain}/dns", api_domain_dns, RIGHT_READ, ROUTE_IN_PATH, 0, "What the DNS must say for the domain, and what it says: name, type, want (empty: any address of the server), found, state (ok, missing, differs, unknown), needed.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/alias-domains",         api_command, RIGHT_READ,  ROUTE_PIECES, 0, "Other names of domains.", PIECES, NULL, "aliasdomainlist", "domain alias" },
    { "POST",   "/api/v1/alias-domains",         api_command, RIGHT_WRITE, 0, SMALL, "Give a domain another name.", NULL, "domain: one of this server; alias: the other name, a pattern too", "aliasdomainadd .domain .alias", NULL },
    { "DELETE", "/api/v1/alias-domains/{alias}", api_command, RIGHT_WRITE, 0, 0, "Take it away.", NULL, NULL, "aliasdomaindel {alias}", NULL },

    /* accounts */
    { "GET",    "/api/v1/users",                          api_users,         RIGHT_READ,  ROUTE_NARROWED, 0,     "Accounts, in pieces.", "domain: only of this one; usage: 1 tells octets and messages in the mailboxes, and last logins; " PIECES, NULL, NULL, NULL },
    { "POST",   "/api/v1/users",                          api_user_add,      RIGHT_WRITE, ROUTE_IN_BODY, SMALL, "A new account; without a password one is made and told in the answer.", NULL, "domain: one of this server; name: before the @; password: may be missing; variables: names and values of user.tab", NULL, NULL },
    { "GET",    "/api/v1/users/{domain}/{user}",          api_user,          RIGHT_READ,  ROUTE_IN_PATH, 0,     "An account or list: its settings (user.tab), mailbox, last login.", NULL, NULL, NULL, NULL },
    { "PATCH",  "/api/v1/users/{domain}/{user}",          api_user_set,      RIGHT_WRITE, ROUTE_IN_PATH, SMALL, "Change settings; null takes one out.", NULL, "variables: names and values; version: from GET, may be missing", NULL, NULL },
    { "DELETE", "/api/v1/users/{domain}/{user}",          api_command,       RIGHT_WRITE, ROUTE_CONFIRM | ROUTE_IN_PATH, 0, "Remove an account or list; it can be brought back.", NULL, NULL, "userdel {domain} {user}", NULL },
    { "PUT",    "/api/v1/users/{domain}/{user}/password", api_user_password, RIGHT_WRITE, ROUTE_IN_PATH, SMALL, "Another password; without one it is made and told in the answer.", NULL, "password: may be missing", NULL, NULL },
    { "GET",    "/api/v1/users/{domain}/{user}/mailproc", api_mailproc,      RIGHT_READ,  0, 0,     "What becomes of the account's mail (mailproc.tab).", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/users/{domain}/{user}/mailproc", api_mailproc_set,  RIGHT_WRITE, 0, SMALL, "Change it; no lines: mail comes into the mailbox.", NULL, "lines: a list of lists of words; version: from GET, may be missing", NULL, NULL },
    { "GET",    "/api/v1/users/{domain}/{user}/forwarding", api_forwarding,    RIGHT_READ,  ROUTE_IN_PATH, 0,     "Forwarding, as mailproc.tab says it: keep (in the mailbox too), addresses, as_account (sent as from the account), others (lines that mean something else).", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/users/{domain}/{user}/forwarding", api_forwarding_set, RIGHT_WRITE, ROUTE_IN_PATH, SMALL, "Change it; other lines stay.", NULL, "keep: true or false; addresses: a list of addresses or domains; as_account: true or false; version: from GET, may be missing", NULL, NULL },
    { "GET",    "/api/v1/users/{domain}/{user}/handling",   api_handling,      RIGHT_READ,  ROUTE_IN_PATH, 0,     "What goes along with the account's mail: reply (null: none), notices (addresses that are told of each message), copies (addresses that get a copy), message_id (a missing Message-ID is added).", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/users/{domain}/{user}/handling",   api_handling_set,  RIGHT_WRITE, ROUTE_IN_PATH, LARGE, "Change it; other lines of mailproc.tab stay.", NULL, HANDLING, NULL, NULL },
    { "GET",    "/api/v1/users/{domain}/{user}/lines/{table}", api_lines,      RIGHT_READ,  ROUTE_IN_PATH, 0,     "The lines of a table of the account or list: refuse (senders that it refuses, patterns); of a list also header and footer (texts around its posts).", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/users/{domain}/{user}/lines/{table}", api_lines_set,  RIGHT_WRITE, ROUTE_IN_PATH, LARGE, "Change them; none: the table goes.", NULL, "lines: a list of texts; version: from GET, may be missing", NULL, NULL },
    { "GET",    "/api/v1/domains/{domain}/handling",        api_handling,      RIGHT_READ,  ROUTE_IN_PATH, 0,     "The same for all accounts of a domain.", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/domains/{domain}/handling",        api_handling_set,  RIGHT_WRITE, ROUTE_IN_PATH, LARGE, "Change it.", NULL, HANDLING, NULL, NULL },
    { "GET",    "/api/v1/groups",                         api_groups,        RIGHT_READ,  0, 0,     "Groups of accounts: id, name, first, last (days), list, person, mail, memo, members (how many), state (now, later, over).", "member: an account; only groups that it is in", NULL, NULL, NULL },
    { "POST",   "/api/v1/groups",                         api_group_add,     RIGHT_WRITE, 0, SMALL, "A new group.", NULL, GROUP "; id: lower case letters, digits and hyphens; may be missing", NULL, NULL },
    { "GET",    "/api/v1/groups/{group}",                 api_group,         RIGHT_READ,  0, 0,     "One of them.", NULL, NULL, NULL, NULL },
    { "PATCH",  "/api/v1/groups/{group}",                 api_group_set,     RIGHT_WRITE, 0, SMALL, "Change it.", NULL, GROUP "; version: from GET, may be missing", NULL, NULL },
    { "DELETE", "/api/v1/groups/{group}",                 api_group_delete,  RIGHT_WRITE, ROUTE_CONFIRM, 0, "Remove it; its accounts stay.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/groups/{group}/handling",        api_handling,      RIGHT_READ,  0, 0,     "What goes along with the mail of its accounts, on its days.", NULL, NULL, NULL, NULL },
    { "PUT",    "/api/v1/groups/{group}/handling",        api_handling_set,  RIGHT_WRITE, 0, LARGE, "Change it.", NULL, HANDLING, NULL, NULL },
    { "GET",    "/api/v1/groups/{group}/members",         api_group_members, RIGHT_READ,  0, 0,     "Its accounts, in pieces: domain, name, exists.", PIECES, NULL, NULL, NULL },
    { "POST",   "/api/v1/groups/{group}/members",         api_group_members_add, RIGHT_WRITE, 0, LARGE, "Add accounts: added, already (how many), unknown (addresses that are no accounts).", NULL, "addresses: a list", NULL, NULL },
    { "DELETE", "/api/v1/groups/{group}/members/{domain}/{user}", api_group_member_delete, RIGHT_WRITE, 0, 0, "Take an account out.", NULL, NULL, NULL, NULL },
    { "POST",   "/api/v1/groups/{group}/variables",       api_group_variables, RIGHT_WRITE, ROUTE_CONFIRM, SMALL, "Change settings of all its accounts, as a job; null takes one out.", NULL, "variables: names and values of user.tab", NULL, NULL },
    { "POST",   "/api/v1/groups/{group}/list",            api_group_list,    RIGHT_WRITE, 0, SMALL, "Make its accounts members of its list: added (how many).", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/user-variables",                 api_user_variables, RIGHT_READ,  ROUTE_OWN, 0,    "The variables of user.tab with their meaning.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/users/{domain}/{user}/links",    api_command,       RIGHT_READ,  ROUTE_IN_PATH, 0,     "Mailboxes elsewhere that are fetched for the account.", NULL, NULL, "poplnklist {domain} {user}", "domain user server remote_user - options state" },
    { "POST",   "/api/v1/users/{domain}/{user}/links",    api_command,       RIGHT_WRITE, ROUTE_IN_PATH, SMALL, "Fetch from another mailbox.", NULL, "server: host, or host:port; remote_user: its login; password: its password; options: CLR, APOP, STLS, POP3S ...", "poplnkadd {domain} {user} .server .remote_user .password .options", NULL },
    { "DELETE", "/api/v1/users/{domain}/{user}/links/{server}/{remote_user}", api_command, RIGHT_WRITE, ROUTE_IN_PATH, 0, "Fetch from it no more.", NULL, NULL, "poplnkdel {domain} {user} {server} {remote_user}", NULL },
    { "PUT",    "/api/v1/users/{domain}/{user}/links/{server}/{remote_user}", api_command, RIGHT_WRITE, ROUTE_IN_PATH, SMALL, "Switch it on (1) or off (0).", NULL, "on: 1 or 0", "poplnkenable .on {domain} {user} {server} {remote_user}", NULL },
    { "GET",    "/api/v1/removed",                        api_command,       RIGHT_READ,  0, 0,     "Removed accounts and domains that can be brought back.", NULL, NULL, "removedlist", "id what when" },
    { "POST",   "/api/v1/removed/{id}",                   api_command,       RIGHT_WRITE, 0, SMALL, "Bring one back.", NULL, NULL, "undelete {id}", NULL },
    { "POST",   "/api/v1/import/users",                   api_import,        RIGHT_WRITE, 0, LARGE, "Many accounts from a text: a preview (test), else a job.", NULL, "text: lines with TABs or commas between their values, the first may name columns (domain, name or address, password, variables of user.tab); mode: merge, or replace: accounts of these domains that aren't named are removed; test: true or false; domain: for names without one", NULL, NULL },
    { "GET",    "/api/v1/export/users",                   api_export,        RIGHT_READ,  0, 0,     "Accounts as such a text; passwords don't come along.", "domain: only of this one; format: csv or tsv", NULL, NULL, NULL },

    /* long work */
    { "GET",    "/api/v1/jobs",                           api_jobs,          RIGHT_READ,  0, 0,     "Long work: what is under way, and what has ended.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/jobs/{id}",                      api_job,           RIGHT_READ,  0, 0,     "One, with its result for who began it.", NULL, NULL, NULL, NULL },
    { "DELETE", "/api/v1/jobs/{id}",                      api_job_end,       RIGHT_WRITE, 0, 0,     "Stop it; forget one that has ended.", NULL, NULL, NULL, NULL },
    { "GET",    "/api/v1/events",                         api_events,        RIGHT_READ,  0, 0,     "What changes, as Server-Sent Events: state (roles that run), changed (tables), jobs.", NULL, NULL, NULL, NULL },

    /* mailing lists */
    { "GET",    "/api/v1/lists",                                   api_lists,    RIGHT_READ,  ROUTE_NARROWED, 0,     "Mailing lists, in pieces.", "domain: only of this one; " PIECES, NULL, NULL, NULL },
    { "POST",   "/api/v1/lists",                                   api_list_add, RIGHT_WRITE, ROUTE_IN_BODY, SMALL, "A new mailing list.", NULL, "domain: one of this server; name: before the @; variables: names and values of user.tab", NULL, NULL },
    { "GET",    "/api/v1/lists/{domain}/{list}/members",           api_command,  RIGHT_READ,  ROUTE_PIECES | ROUTE_IN_PATH, 0, "Members of a list.", PIECES, NULL, "mluserlist {domain} {list}", "address rights" },
    { "POST",   "/api/v1/lists/{domain}/{list}/members",           api_command,  RIGHT_WRITE, ROUTE_IN_PATH, SMALL, "Add a member.", NULL, "address: whose; rights: R reads, RW also posts, RA posts when signed in", "mluseradd {domain} {list} .address ?rights", NULL },
    { "DELETE", "/api/v1/lists/{domain}/{list}/members/{address}", api_command,  RIGHT_WRITE, ROUTE_IN_PATH, 0,     "Remove a member.", NULL, NULL, "mluserdel {domain} {list} {address}", NULL },

    /* aliases */
    { "GET",    "/api/v1/aliases",                    api_command, RIGHT_READ,  ROUTE_PIECES | ROUTE_NARROWED, 0, "Other names of accounts.", PIECES, NULL, "aliaslist", "domain alias target" },
    { "POST",   "/api/v1/aliases",                    api_command, RIGHT_WRITE, ROUTE_IN_BODY, SMALL, "A new alias.", NULL, "domain: one of this server; alias: before the @, a pattern too; target: an account or an address", "aliasadd .domain .alias .target", NULL },
    { "DELETE", "/api/v1/aliases/{domain}/{alias}",   api_command, RIGHT_WRITE, ROUTE_IN_PATH, 0,     "Remove an alias.", NULL, NULL, "aliasdel {domain} {alias}", NULL },
    { "GET",    "/api/v1/external-aliases",           api_command, RIGHT_READ,  ROUTE_PIECES, 0, "Outside addresses that stand for accounts.", PIECES, NULL, "exaliaslist", "remote_domain remote_name domain name" },
    { "POST",   "/api/v1/external-aliases",           api_command, RIGHT_WRITE, 0, SMALL, "A new one.", NULL, "address: of an account; remote: the outside address", "exaliasadd .address .remote", NULL },
    { "DELETE", "/api/v1/external-aliases/{remote}",  api_command, RIGHT_WRITE, 0, 0,     "Remove it.", NULL, NULL, "exaliasdel {remote}", NULL },
};
/* clang-format on */
const size_t web_route_count = ARRAY_LEN(web_routes);

/* Does the path fit the pattern? Its parameters, decoded. */
static bool fits(struct str pattern, struct str path, struct arena *a,
                 struct str params[WEB_PARAMS_MAX])
{
    size_t n = 0;
    struct str want, have;
    while (str_cut(&pattern, '/', &want)) {
        if (str_ends(want, STR("*}")))
            return path.p != NULL && path.n > 0 && n < WEB_PARAMS_MAX &&
                   http_decode(path, false, a, &params[n]);
        if (!str_cut(&path, '/', &have))
            return false;
        if (!str_starts(want, STR("{"))) {
            if (!str_eq(want, have))
                return false;
            continue;
        }
        if (have.n == 0 || n == WEB_PARAMS_MAX || !http_decode(have, false, a, &params[n]) ||
            str_has_control(params[n]))
            return false;
        n++;
    }
    return path.p == NULL;
}

const struct route *web_route_find(struct str method, struct str path, struct arena *a,
                                   struct str params[WEB_PARAMS_MAX], bool *out_path_known)
{
    *out_path_known = false;
    if (str_eq(method, STR("HEAD")))
        method = STR("GET");
    for (size_t i = 0; i < web_route_count; i++) {
        if (!fits(str_from_c(web_routes[i].pattern), path, a, params))
            continue;
        *out_path_known = true;
        if (str_eq(method, str_from_c(web_routes[i].method)))
            return &web_routes[i];
    }
    return NULL;
}

/* --- the description ---------------------------------------------------------------------- */

/* "name: meaning; name: meaning" as a list of pairs. */
static bool next_meaning(struct str *rest, struct str *name, struct str *meaning)
{
    struct str one;
    if (rest->n == 0 || !str_cut(rest, ';', &one))
        return false;
    *meaning = str_trim(one);
    return str_cut(meaning, ':', name) && meaning->p != NULL;
}

static json_t *parameter(struct str name, const char *in, struct str meaning)
{
    json_t *p =
        json_pack("{s:o, s:s, s:b, s:{s:s}}", "name", web_str(name), "in", in, "required",
                  (int)(strcmp(in, "path") == 0), "schema", "type", "string");
    if (meaning.n > 0)
        (void)json_object_set_new(p, "description", web_str(str_trim(meaning)));
    return p;
}

static json_t *parameters_of(const struct route *r)
{
    json_t *list = json_array();
    struct str rest = str_from_c(r->pattern), part, name, meaning;
    while (str_cut(&rest, '/', &part))
        if (str_starts(part, STR("{")))
            (void)json_array_append_new(
                list,
                parameter(str_head(str_skip(part, 1),
                                   str_find(part, '*') != SIZE_MAX ? part.n - 3 : part.n - 2),
                          "path", STR("")));
    rest = str_from_c(r->query);
    while (next_meaning(&rest, &name, &meaning))
        (void)json_array_append_new(list, parameter(name, "query", meaning));
    return list;
}

static json_t *body_of(const struct route *r)
{
    json_t *members = json_object();
    struct str rest = str_from_c(r->body), name, meaning;
    while (next_meaning(&rest, &name, &meaning))
        (void)json_object_setn_new(
            members, name.p, name.n,
            json_pack("{s:o}", "description", web_str(str_trim(meaning))));
    return json_pack("{s:b, s:{s:{s:{s:s, s:o}}}}", "required", 1, "content",
                     "application/json", "schema", "type", "object", "properties", members);
}

/* What an administrator of some domains can do with it. */
static const char *domain_of(const struct route *r)
{
    return (r->flags & ROUTE_OWN) != 0        ? "own"
           : (r->flags & ROUTE_IN_PATH) != 0  ? "path"
           : (r->flags & ROUTE_IN_BODY) != 0  ? "body"
           : (r->flags & ROUTE_NARROWED) != 0 ? "list"
                                              : "none";
}

static json_t *operation_of(const struct route *r)
{
    static const char *const rights[] = { "anybody", "viewer", "admin", "owner" };
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:o, s:{s:{s:s}, s:{s:s}}}", "summary", r->summary,
                  "x-right", rights[r->right], "x-domain", domain_of(r), "parameters",
                  parameters_of(r), "responses", "200", "description", "Done.", "default",
                  "description", "An error: {\"error\": word, \"detail\": text}.");
    if (r->body != NULL)
        (void)json_object_set_new(o, "requestBody", body_of(r));
    if (r->right == RIGHT_NONE)
        (void)json_object_set_new(o, "security", json_array());
    return o;
}

/* Patterns write the rest of a path as {path*}; OpenAPI has no word for it. */
static struct str shown_path(const char *pattern, struct arena *a)
{
    struct str p = str_from_c(pattern);
    size_t star = str_find(p, '*');
    return star == SIZE_MAX ? p
                            : arena_printf(a, "%.*s%.*s", STR_ARG(str_head(p, star)),
                                           STR_ARG(str_skip(p, star + 1)));
}

static json_t *openapi(void)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    json_t *paths = json_object();
    for (size_t i = 0; i < web_route_count; i++) {
        const struct route *r = &web_routes[i];
        struct str path = shown_path(r->pattern, &a);
        char method[8] = "";
        for (size_t k = 0; k + 1 < sizeof(method) && r->method[k] != '\0'; k++)
            method[k] = ascii_lower(r->method[k]);
        json_t *item = json_object_get(paths, path.p);
        if (item == NULL) {
            item = json_object();
            (void)json_object_set_new(paths, path.p, item);
        }
        (void)json_object_set_new(item, method, operation_of(r));
    }
    return json_pack(
        "{s:s, s:{s:s, s:s}, s:o, s:{s:{s:{s:s, s:s, s:s}, s:{s:s, s:s}}}, s:[{s:[]}, {s:[]}]}",
        "openapi", "3.1.0", "info", "title", "Hikyaku", "version", HIKYAKU_VERSION, "paths",
        paths, "components", "securitySchemes", "cookie", "type", "apiKey", "in", "cookie",
        "name", "hikyaku", "token", "type", "http", "scheme", "bearer", "security", "cookie",
        "token");
}

void web_print_openapi(struct buf *out)
{
    json_t *value = openapi();
    char *text = json_dumps(value, JSON_INDENT(1));
    if (text != NULL)
        buf_must(buf_add_str(out, str_from_c(text)));
    free(text);
    json_decref(value);
}

void api_openapi(struct web *w)
{
    web_json(w, 200, openapi());
}
