/* story_int.h - inside story.c and story_index.c: blocks of trace files and what their indexes
 * say. */
#ifndef HIKYAKU_CONF_STORY_INT_H
#define HIKYAKU_CONF_STORY_INT_H

#include "conf/story.h"
#include "sys/io.h"

#define STORY_FOLDER "logs"
#define STORY_LINE_MAX ((size_t)16 << 10)
#define STORY_VALUES 32u
/* One block's words as a Bloom filter; about one false hit in a thousand blocks. */
#define STORY_MARKS ((size_t)2048)

/* A trace file and its index. */
struct story_file {
    struct str path; /* "logs/trace-202611300000" */
    int fd, index_fd;
    uint64_t size, blocks, indexed; /* indexed: blocks that the index covers */
};
/* Names of the trace files, oldest first, in a. */
enum rc story_list(struct arena *a, struct str **out, size_t *out_count,
                   struct err *e) CHECK_RESULT;
/* False: it can't be read. The index is opened when it is one. */
bool story_file_open(struct story_file *f, struct str path);
void story_file_close(struct story_file *f);

/* The lines that begin in block i of the file, in room's memory; false: not readable. */
bool story_block_read(const struct story_file *f, uint64_t i, struct buf *room,
                      struct str *out_lines);
/* All marks of the index, in a: STORY_MARKS octets a block; NULL: none. */
const unsigned char *story_marks_read(const struct story_file *f, struct arena *a);

/* A word's places in the marks. */
uint64_t story_word(struct str word);
bool story_marks_hold(const unsigned char *marks, uint64_t word);

/* One line as an event, in a; false: it isn't one. */
bool story_parse(struct str line, struct arena *a, struct story_event *out);
/* "local@domain" as "@domain", which is a word of the index too; empty when there is none. */
struct str story_domain_word(struct str address);
/* "<x>" as "x" */
struct str story_without_brackets(struct str s);

#endif
