/* notes_fuzz.c - any octets as a note's frame: what is understood encodes to the same octets.
 */
#include "sys/notes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct note n;
    struct buf again AUTO_RELEASE_BUF;
    struct str frame = str_from((const char *)data, size);
    buf_init(&again, NOTE_FRAME_MAX);
    if (note_decode(frame, &n, NULL) != RC_OK)
        return 0;
    if (note_encode(&n, &again, NULL) != RC_OK || !str_eq(buf_str(&again), frame))
        abort();
    return 0;
}
