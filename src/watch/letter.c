/*
 * letter.c - the text of the weekly letter: what should be looked at, with what to do, and last
 * week's figures beside those of the week before.
 */
#include "base/day.h"
#include "watch/watch_int.h"
#include <stdlib.h>
#include <time.h>

#define WARNINGS_TOLD 40u
#define SUBJECT_MOST ((size_t)4096)
#define ABOUT_MOST ((size_t)300)
#define REASONS_TOLD 3u

static const char *choose(const struct watch_letter *l, const char *en, const char *ja)
{
    return l->japanese ? ja : en;
}

/* Prints one of two formats. */
#define SAY(l, out, en, ja, ...)                                                               \
    ((l)->japanese ? buf_addf(out, ja, __VA_ARGS__) : buf_addf(out, en, __VA_ARGS__))

/* --- values ------------------------------------------------------------------------------- */

/* "1,234,567" */
static struct str number(int64_t n, struct arena *a)
{
    struct str text = STR("");
    for (; n >= 1000; n /= 1000)
        text = arena_printf(a, ",%03d%.*s", (int)(n % 1000), STR_ARG(text));
    return arena_printf(a, "%d%.*s", (int)n, STR_ARG(text));
}

/* As the pages have it: "12.3 MB" */
static struct str size(int64_t octets, struct arena *a)
{
    static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
    double n = (double)octets;
    size_t i = 0;
    for (; n >= 1024 && i + 1 < ARRAY_LEN(units); i++)
        n /= 1024;
    return arena_printf(a, "%.*f %s", i == 0 || n >= 100 ? 0 : 1, n, units[i]);
}

static struct str moment(int64_t when, struct arena *a)
{
    char text[CLOCK_TEXT_BYTES];
    return arena_str(a, str_head(str_from_c(clock_print(when * USEC_S, text)), 16));
}

/* Names of files and reasons of the system may be anything. */
static struct str plain(struct str s, struct arena *a)
{
    s = str_head(s, ABOUT_MOST);
    bool utf8 = str_is_utf8(s);
    char *p = arena_new_array(a, char, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        p[i] = c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8) ? '?' : s.p[i];
    }
    return str_from(p, s.n);
}

/* --- warnings ----------------------------------------------------------------------------- */

static struct str value_of(const struct warning *w, struct str name, struct arena *a)
{
    bool octets = warning_rows[w->kind].octets;
    if (str_eq(name, STR("n")))
        return octets ? size(w->n, a) : number(w->n, a);
    if (str_eq(name, STR("of")))
        return octets ? size(w->of, a) : number(w->of, a);
    return str_eq(name, STR("when")) ? moment(w->when, a) : plain(w->about, a);
}

/* text with values for {names}. */
static void fill(const struct warning *w, struct str text, struct arena *a, struct buf *out)
{
    size_t open = 0;
    while ((open = str_find(text, '{')) != SIZE_MAX) {
        struct str name = str_skip(text, open + 1);
        size_t close = str_find(name, '}');
        buf_must(buf_add_str(out, str_head(text, open)));
        buf_must(buf_add_str(out, value_of(w, str_head(name, close), a)));
        text = str_skip(name, close == SIZE_MAX ? name.n : close + 1);
    }
    buf_must(buf_add_str(out, text));
}

/* What is to be done now first, then by kind, the fullest first. */
static int compare(const void *x, const void *y)
{
    const struct warning *a = x, *b = y;
    if (a->bad != b->bad)
        return a->bad ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    double fill_a = a->of > 0 ? (double)a->n / (double)a->of : 0;
    double fill_b = b->of > 0 ? (double)b->n / (double)b->of : 0;
    if (fill_a != fill_b)
        return fill_a > fill_b ? -1 : 1;
    return str_cmp(a->about, b->about);
}

static void print_warnings(const struct watch_letter *l, struct arena *a, struct buf *out)
{
    if (l->count == 0) {
        buf_addf(out, "%s\n",
                 choose(l, "All is well. There is nothing you need to do.",
                        "問題はありません。必要な対応はありません。"));
        return;
    }
    buf_addf(out, "%s\n", choose(l, "What you should look at:", "確認していただきたいこと:"));
    for (size_t i = 0; i < l->count && i < WARNINGS_TOLD; i++) {
        const struct warning *w = &l->list[i];
        const struct warning_row *row = &warning_rows[w->kind];
        buf_addf(out, "\n%s ",
                 choose(l, w->bad ? "[act now]" : "[look at it]",
                        w->bad ? "【要対応】" : "【要確認】"));
        fill(w, str_from_c(choose(l, row->en, row->ja)), a, out);
        buf_addf(out, "\n  %s\n", choose(l, row->advice_en, row->advice_ja));
    }
    if (l->count > WARNINGS_TOLD)
        SAY(l, out, "\nand %zu more.\n", "\nほか %zu 件。\n", l->count - WARNINGS_TOLD);
}

/* --- figures ------------------------------------------------------------------------------ */

/* The sum of some counters, less `minus`. */
struct figure {
    const char *en, *ja;
    bool octets;
    unsigned plus_count;
    enum metric plus[5], minus; /* minus: METRIC_COUNT: none */
};
#define PLUS(...)                                                                              \
    ARRAY_LEN(((const enum metric[]){ __VA_ARGS__ })),                                         \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }

static const struct figure mail[] = {
    { "Messages accepted", "受け付けたメール", false,
      PLUS(METRIC_accepted_mailbox, METRIC_accepted_queue), METRIC_COUNT },
    { "Their size", "その容量", true, PLUS(METRIC_accepted_bytes), METRIC_COUNT },
    { "Put into mailboxes here", "このサーバーのメールボックスに配送", false,
      PLUS(METRIC_accepted_mailbox, METRIC_delivered), METRIC_relayed },
    { "Sent on to other servers", "ほかのサーバーに送信", false, PLUS(METRIC_relayed),
      METRIC_COUNT },
    { "Put off, to be tried again", "延期 (あとで再送)", false, PLUS(METRIC_deferred),
      METRIC_COUNT },
    { "Could not be delivered", "配送不能", false, PLUS(METRIC_failed), METRIC_COUNT },
};
static const struct figure reasons[] = {
    { "connections, over a limit", "接続 (制限超過)", false,
      PLUS(METRIC_refused_sessions, METRIC_refused_service, METRIC_refused_address,
           METRIC_refused_proxy, METRIC_refused_resources),
      METRIC_COUNT },
    { "clients that may not send here", "接続元 (受信制限)", false, PLUS(METRIC_refused_gates),
      METRIC_COUNT },
    { "senders", "差出人", false, PLUS(METRIC_refused_senders), METRIC_COUNT },
    { "recipients (unknown, not allowed)", "宛先 (存在しない、許可なし)", false,
      PLUS(METRIC_refused_rcpts), METRIC_COUNT },
    { "messages (their content or size)", "メール (内容や大きさ)", false,
      PLUS(METRIC_refused_messages), METRIC_COUNT },
};
static const struct figure logins[] = {
    { "Logins", "ログイン", false,
      PLUS(METRIC_login_good_smtp, METRIC_login_good_pop3, METRIC_login_good_ctrl,
           METRIC_login_good_web),
      METRIC_COUNT },
    { "Logins that failed", "失敗したログイン", false,
      PLUS(METRIC_login_bad_smtp, METRIC_login_bad_pop3, METRIC_login_bad_ctrl,
           METRIC_login_bad_web),
      METRIC_COUNT },
};

static int64_t sum(const struct figure *f, const struct watch_week *week)
{
    int64_t n = f->minus == METRIC_COUNT ? 0 : -week->n[f->minus];
    for (unsigned i = 0; i < f->plus_count; i++)
        n += week->n[f->plus[i]];
    return MAX(n, 0);
}

/* Letters are read with all kinds of type: nothing is put into columns. */
static void print_row(struct str label, struct str last, struct str before, struct buf *out)
{
    buf_addf(out, "  %.*s: %.*s (%.*s)\n", STR_ARG(label), STR_ARG(last), STR_ARG(before));
}

static void print_figure(const struct watch_letter *l, const struct figure *f,
                         const char *indent, struct arena *a, struct buf *out)
{
    int64_t last = sum(f, l->last), before = sum(f, l->before);
    print_row(arena_printf(a, "%s%s", indent, choose(l, f->en, f->ja)),
              f->octets ? size(last, a) : number(last, a),
              f->octets ? size(before, a) : number(before, a), out);
}

/* How many were refused, and the largest reasons. */
static void print_refused(const struct watch_letter *l, struct arena *a, struct buf *out)
{
    bool told[ARRAY_LEN(reasons)] = { false };
    int64_t last = 0, before = 0;
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        last += sum(&reasons[i], l->last);
        before += sum(&reasons[i], l->before);
    }
    print_row(str_from_c(choose(l, "Refused", "拒否")), number(last, a), number(before, a),
              out);
    for (unsigned n = 0; n < REASONS_TOLD; n++) {
        size_t most = ARRAY_LEN(reasons);
        for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
            if (!told[i] && sum(&reasons[i], l->last) > 0 &&
                (most == ARRAY_LEN(reasons) ||
                 sum(&reasons[i], l->last) > sum(&reasons[most], l->last)))
                most = i;
        if (most == ARRAY_LEN(reasons))
            break;
        told[most] = true;
        print_figure(l, &reasons[most], choose(l, "  of them ", "  うち "), a, out);
    }
}

static void print_figures(const struct watch_letter *l, struct arena *a, struct buf *out)
{
    int64_t ends[3];
    watch_week_ends(l->now, ends);
    struct str first = day_of(ends[1] * USEC_S, a), last = day_of((ends[2] - 1) * USEC_S, a);
    SAY(l, out, "\nThe week from %.*s to %.*s, in brackets the week before:\n\n",
        "\n%.*s から %.*s までの 1 週間 (括弧内は前の週):\n\n", STR_ARG(first), STR_ARG(last));
    for (size_t i = 0; i < ARRAY_LEN(mail); i++)
        print_figure(l, &mail[i], "", a, out);
    print_refused(l, a, out);
    for (size_t i = 0; i < ARRAY_LEN(logins); i++)
        print_figure(l, &logins[i], "", a, out);
}

void watch_week_ends(int64_t now, int64_t out[3])
{
    time_t at = (time_t)now;
    struct tm today;
    (void)localtime_r(&at, &today);
    for (int i = 0; i < 3; i++) {
        struct tm tm = { .tm_year = today.tm_year,
                         .tm_mon = today.tm_mon,
                         .tm_mday = today.tm_mday - 7 * (2 - i),
                         .tm_isdst = -1 };
        out[i] = (int64_t)mktime(&tm);
    }
}

void watch_count(struct watch_week *week, struct str name, int64_t n)
{
    static const char *const names[METRIC_COUNT] = {
#define METRIC(member, kind, name, labels, help) #member,
#include "sys/metrics.def"
#undef METRIC
    };
    for (size_t i = 0; i < METRIC_COUNT; i++)
        if (str_eq(name, str_from_c(names[i])))
            week->n[i] += n;
}

/* --- the letter --------------------------------------------------------------------------- */

static void print_end(const struct watch_letter *l, struct buf *out)
{
    if (str_istarts(l->page, STR("https://")) || str_istarts(l->page, STR("http://")))
        buf_addf(out, "\n%s\n  %.*s%swarnings\n",
                 choose(l, "The warnings in the browser:", "ブラウザーでの点検:"),
                 STR_ARG(l->page), str_ends(l->page, STR("/")) ? "" : "/");
    buf_addf(
        out, "\n-- \n%s\n",
        choose(l,
               "The mail server writes this letter once a week. The settings WeeklyLetter,\n"
               "WeeklyLetterHour and WeeklyLetterLanguage say when and how; WeeklyLetter 0\n"
               "ends it.",
               "このレポートはメールサーバーが週に一度お送りします。曜日、時刻、言語は設定の\n"
               "WeeklyLetter、WeeklyLetterHour、WeeklyLetterLanguage で変更でき、\n"
               "WeeklyLetter を 0 にすると止まります。"));
}

struct str watch_letter_print(const struct watch_letter *letter, struct arena *a,
                              struct buf *out)
{
    const struct watch_letter *l = letter;
    struct buf subject AUTO_RELEASE_BUF;
    buf_init(&subject, SUBJECT_MOST);
    if (l->count > 0)
        qsort(l->list, l->count, sizeof(*l->list), compare);
    struct str when = moment(l->now, a);
    SAY(l, out, "Weekly report of the mail server %.*s, %.*s\n\n",
        "メールサーバー %.*s の週間レポート (%.*s)\n\n", STR_ARG(l->server), STR_ARG(when));
    print_warnings(l, a, out);
    print_figures(l, a, out);
    print_end(l, out);
    if (l->count == 0)
        SAY(l, &subject, "Weekly report of %.*s: all is well",
            "%.*s の週間レポート: 問題はありません", STR_ARG(l->server));
    else
        SAY(l, &subject, "Weekly report of %.*s: %zu to look at",
            "%.*s の週間レポート: 確認事項 %zu 件", STR_ARG(l->server), l->count);
    return arena_str(a, buf_str(&subject));
}
